import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { isProcessAlive } from '../../../platform/lock-file.ts';

export interface TemporaryFolder {
  readonly path: string;
  /** Safe to call twice. Never throws. */
  remove(): void;
}

type Owner = 'pinggy' | 'ssh' | 'cloudflared';

const prefix = 'mcp-expose-';

/** The owner, our process id, and the suffix of mkdtemp. */
const namePattern = /^mcp-expose-(?:pinggy|ssh|cloudflared)-(\d+)-[A-Za-z0-9]{6}$/;

/**
 * Creates a temporary folder for this user alone and this run.
 * @throws the system's error when no folder can be created.
 */
export function makeTemporaryFolder(owner: Owner): TemporaryFolder {
  const folder = mkdtempSync(path.join(tmpdir(), `${prefix}${owner}-${process.pid}-`));
  return { path: folder, remove: () => removeFolder(folder) };
}

/** Removes the folders of killed runs: they may contain a credential. Never throws. */
export function sweepTemporaryFolders(): void {
  const root = tmpdir();
  for (const name of namesIn(root)) {
    const [, pid] = namePattern.exec(name) ?? [];
    if (pid === undefined || isProcessAlive(Number(pid))) continue;
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

/** Not a link, which could lead anywhere, nor another user's folder: everybody may write to the temporary folder. */
function isOurFolder(folder: string): boolean {
  try {
    const found = lstatSync(folder);
    // Windows has no user ids, and one temporary folder per user.
    return found.isDirectory() && (process.getuid === undefined || found.uid === process.getuid());
  } catch {
    return false;
  }
}

function removeFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // Another run will remove it.
  }
}
