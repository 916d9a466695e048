import { fstatSync } from 'node:fs';

/** How often we look, in milliseconds. */
const lookMs = 2000;

/**
 * Tells when the program that started us has ended without ending us: nobody reads what we print any more, and nobody
 * would ever end us. Only where a program holds both our standard input and output: what a shell started, in the foreground, in
 * the background or under nohup, may outlive it.
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

/** On Windows the number of a parent that has ended stays what it was. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}
