import { fstatSync } from 'node:fs';

/** How often the parent is checked, in milliseconds. */
const lookMs = 2000;

/**
 * Reports that the program that started mcp-expose has exited without ending it, so that nobody reads its output and nobody
 * would end it. Only if both standard input and output are pipes: a process of a shell, in the foreground, in the background
 * or with nohup, may outlive the shell.
 * @returns how to stop watching.
 */
export function watchParent(onGone: () => void): () => void {
  const parent = process.ppid;
  if (![0, 1].every(isPipe)) return () => {};
  const timer = setInterval(() => {
    if (process.ppid === parent && isAlive(parent)) return;
    clearInterval(timer);
    onGone();
  }, lookMs);
  timer.unref();
  return () => clearInterval(timer);
}

function isPipe(descriptor: number): boolean {
  try {
    const status = fstatSync(descriptor);
    return status.isFIFO() || status.isSocket();
  } catch {
    return false;
  }
}

/** On Windows, the parent process id stays the same after the parent has exited. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}
