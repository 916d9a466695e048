// Who is alive, read from /proc. A mark in the environment finds processes whoever their parent has become.
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessInfo {
  pid: number;
  parent: number;
  /** Clock ticks since boot; together with the pid it names a process for ever. */
  startTime: string;
  state: string;
  command: string[];
}

/** The variable that `startExpose` hands to the children of mcp-expose by `--env`. */
export const childMark = 'MCP_EXPOSE_TEST_MARK';

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // ended in the meantime, or not ours
  }
}

export function processInfo(pid: number): ProcessInfo | undefined {
  const stat = readOrNothing(`/proc/${pid}/stat`);
  if (stat === '') return undefined;
  // The command in parentheses may hold spaces and parentheses itself; the fields after it do not.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const command = readOrNothing(`/proc/${pid}/cmdline`).split('\0').slice(0, -1);
  return { pid, parent: Number(fields[1]), startTime: fields[19] ?? '', state: fields[0] ?? '', command };
}

/** Name and value pairs that the process was started with. */
export function environmentOf(pid: number): string[] {
  return readOrNothing(`/proc/${pid}/environ`).split('\0').slice(0, -1);
}

export function allProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processInfo(Number(name)))
    .filter((info) => info !== undefined)
    .filter(({ state }) => state !== 'Z');
}

/** Living processes with this mark in their environment: mcp-expose itself, its watchdog, its children, theirs. */
export function processesWithMark(mark: string): ProcessInfo[] {
  return allProcesses().filter(({ pid }) => environmentOf(pid).some((pair) => pair.endsWith(`=${mark}`)));
}

/** Living children of one mcp-expose, and theirs. */
export function childrenWithMark(mark: string): ProcessInfo[] {
  return allProcesses().filter(({ pid }) => environmentOf(pid).includes(`${childMark}=${mark}`));
}

/** Every living descendant, however it was started and whatever its environment is. */
export function descendants(ancestor: number): ProcessInfo[] {
  const all = allProcesses();
  const found: ProcessInfo[] = [];
  const visit = (pid: number) => {
    for (const child of all.filter(({ parent }) => parent === pid)) {
      found.push(child);
      visit(child.pid);
    }
  };
  visit(ancestor);
  return found;
}

export function isAlive({ pid, startTime }: ProcessInfo): boolean {
  const now = processInfo(pid);
  return now !== undefined && now.startTime === startTime && now.state !== 'Z';
}

export function killIfAlive(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it has ended already
  }
}
