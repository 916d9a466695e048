import { readdirSync, readFileSync } from 'node:fs';

/** A process below a server that has left the server's group, as browsers and daemons do. */
export interface DetachedDescendant {
  readonly pid: number;
  /** When it started, in clock ticks since the system did: with the pid, it names a process for good. */
  readonly startedAt: string;
}

interface Process extends DetachedDescendant {
  readonly parent: number;
  readonly group: number;
}

/** By the number of their parent; undefined unless a look of this turn of the event loop is still good. */
let children: ReadonlyMap<number, readonly Process[]> | undefined;

/**
 * The processes below `leader` that are not in its group, which a signal to the group would miss. Linux only, where
 * /proc tells; elsewhere there are none. Has to be asked while their parents live: an orphan's parent is lost.
 */
export function detachedDescendantsOf(leader: number): DetachedDescendant[] {
  if (process.platform !== 'linux') return [];
  if (children === undefined) {
    // Many servers that end together share one look, which reads a file for each process of the machine.
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

/** Sends a signal to a stray, unless it has ended. Returns false when it has. */
export function signalDescendant({ pid, startedAt }: DetachedDescendant, signal: NodeJS.Signals | 0): boolean {
  if (readProcess(pid)?.startedAt !== startedAt) return false;
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** proc(5), /proc/pid/stat: the name in parentheses can hold anything, so what follows the last one is read. */
function readProcess(pid: number): Process | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  const [state, parent, group, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startedAt = rest[16];
  // A zombie has ended and waits for its parent to notice.
  if (state === 'Z' || startedAt === undefined) return undefined;
  return { pid, parent: Number(parent), group: Number(group), startedAt };
}
