import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';

/** Age at which a lock without a readable pid, or an interrupted take-over, counts as left behind, in milliseconds. */
const abandonedAfterMs = 10_000;

/** The locks of this process: its pid in a lock file may also be from an earlier process with the same number. */
const heldHere = new Set<string>();

/**
 * Takes the lock file `path`, which holds the pid of its owner, or returns undefined while a living process has it.
 * A lock whose owner has exited is taken over. Throws the errors of the file system.
 * @returns removes the lock file; safe to call twice.
 */
export function takeLock(path: string): (() => void) | undefined {
  if (heldHere.has(path)) return undefined;
  if (!createFile(path) && !takeOver(path)) return undefined;
  heldHere.add(path);
  return () => {
    if (heldHere.delete(path) && readText(path) === lockText()) rmSync(path, { force: true });
  };
}

/** Only the holder of the `.takeover` file may replace a stale lock, so two starters cannot both remove and create it. */
function takeOver(path: string): boolean {
  if (!isStale(path)) return false;
  const guard = `${path}.takeover`;
  if (ageOf(guard) > abandonedAfterMs) rmSync(guard, { force: true });
  if (!createFile(guard)) return false;
  try {
    // Another process may have replaced the lock before this one got the `.takeover` file.
    if (!isStale(path)) return false;
    rmSync(path, { force: true });
    return createFile(path);
  } finally {
    rmSync(guard, { force: true });
  }
}

function isStale(path: string): boolean {
  const [pidText = '', boot = ''] = (readText(path) ?? '').split('\n');
  const pid = Number(pidText);
  // The owner creates and fills the file in two steps; an empty one may be new.
  if (!Number.isSafeInteger(pid) || pid <= 0) return ageOf(path) > abandonedAfterMs;
  if (boot !== '' && boot !== bootId()) return true;
  // In a container every run has the same pid: a lock with this pid that this process does not hold is from an earlier run.
  return pid === process.pid || !isProcessAlive(pid);
}

function createFile(path: string): boolean {
  try {
    writeFileSync(path, lockText(), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function lockText(): string {
  return `${process.pid}\n${bootId()}\n`;
}

/** Identifies the boot of the system, after which pids start again; empty if unknown. */
function bootId(): string {
  return process.platform === 'linux' ? (readText('/proc/sys/kernel/random/boot_id') ?? '').trim() : '';
}

export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is alive, but belongs to another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** The content of a file; undefined where it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Milliseconds since the last change; 0 for a missing file. */
function ageOf(path: string): number {
  const changedAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return changedAt === undefined ? 0 : Date.now() - changedAt;
}
