import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface TemporaryFolder {
  readonly path: string;
  /** Safe to call twice. Never throws. */
  remove(): void;
}

/** Whose file for one run it is. */
type Owner = 'pinggy' | 'ssh' | 'cloudflared';

const prefix = 'mcp-expose-';

/** The owner, our process id, and what mkdtemp makes of it. */
const namePattern = /^mcp-expose-(?:pinggy|ssh|cloudflared)-(\d+)-[A-Za-z0-9]{6}$/;

/**
 * Makes a folder among the temporary ones, for this user alone and one run.
 * @throws Error of the system's when no folder can be made.
 */
export function makeTemporaryFolder(owner: Owner): TemporaryFolder {
  const folder = mkdtempSync(path.join(tmpdir(), `${prefix}${owner}-${process.pid}-`));
  return { path: folder, remove: () => removeFolder(folder) };
}

/** Removes those of runs that were killed before they could: there may be a credential in them. Never throws. */
export function sweepTemporaryFolders(): void {
  const root = tmpdir();
  for (const name of namesIn(root)) {
    const [, pid] = namePattern.exec(name) ?? [];
    if (pid === undefined || isRunning(Number(pid))) continue;
    const folder = path.join(root, name);
    if (isOurFolder(folder)) removeFolder(folder);
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** No link, which could lead anywhere, and nothing of another user's: everybody may write there. */
function isOurFolder(folder: string): boolean {
  try {
    const found = lstatSync(folder);
    // Windows has no such numbers, and a temporary folder for each user.
    return found.isDirectory() && (process.getuid === undefined || found.uid === process.getuid());
  } catch {
    return false;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: there is one, of another user.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

function removeFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // It stays until another run can remove it.
  }
}
