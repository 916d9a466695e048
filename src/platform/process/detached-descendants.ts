import { readdirSync, readFileSync } from 'node:fs';

/** A descendant of a server that has left the process group of the server, as browsers and daemons do. */
export interface DetachedDescendant {
  readonly pid: number;
  /** Its start, in clock ticks since boot, which identifies a process together with the pid. */
  readonly startedAt: string;
}

interface Process extends DetachedDescendant {
  readonly parent: number;
  readonly group: number;
}

/** Processes by their parent's pid; kept only for one turn of the event loop. */
let children: ReadonlyMap<number, readonly Process[]> | undefined;

/**
 * The descendants of `leader` that are not in its group, which a signal to the group does not reach. From /proc, so only on
 * Linux; empty elsewhere. Call it while their parents are alive: the parent of an orphan is unknown.
 */
export function detachedDescendantsOf(leader: number): DetachedDescendant[] {
  if (process.platform !== 'linux') return [];
  if (children === undefined) {
    // Shared by servers that end together, since it reads a file for each process of the machine.
    children = readChildren();
    setImmediate(() => (children = undefined));
  }
  const below: Process[] = [];
  const parents = [leader];
  for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
    for (const child of children.get(parent) ?? []) {
      below.push(child);
      parents.push(child.pid);
    }
  }
  return below.filter(({ group }) => group !== leader);
}

function readChildren(): Map<number, Process[]> {
  const found = new Map<number, Process[]>();
  let entries: string[] = [];
  try {
    entries = readdirSync('/proc');
  } catch {
    // Not mounted, as in some containers.
  }
  for (const entry of entries) {
    const child = /^\d+$/.test(entry) ? readProcess(Number(entry)) : undefined;
    if (child === undefined) continue;
    const siblings = found.get(child.parent);
    if (siblings === undefined) found.set(child.parent, [child]);
    else siblings.push(child);
  }
  return found;
}

/** Sends a signal to a detached descendant. Returns false if it has exited. */
export function signalDescendant({ pid, startedAt }: DetachedDescendant, signal: NodeJS.Signals | 0): boolean {
  if (readProcess(pid)?.startedAt !== startedAt) return false;
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** proc(5), /proc/pid/stat: the name in parentheses can contain anything, so the fields after the last one are read. */
function readProcess(pid: number): Process | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  const [state, parent, group, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startedAt = rest[16];
  // A zombie has exited, but its parent has not waited for it.
  if (state === 'Z' || startedAt === undefined) return undefined;
  return { pid, parent: Number(parent), group: Number(group), startedAt };
}
