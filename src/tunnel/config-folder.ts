import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** Longest text that is spelled out in a file name; file systems allow 255 bytes. */
const maxFileStem = 150;

/** The folder of what is kept for the user, such as keys: `~/.config/mcp-expose`, unless the environment says otherwise. */
export function configFolder(env: NodeJS.ProcessEnv): string {
  const fixed = process.platform === 'win32' ? env['APPDATA'] : env['XDG_CONFIG_HOME'];
  return join(fixed || join(env['HOME'] || homedir(), '.config'), 'mcp-expose');
}

/**
 * Creates a folder and its parents for this user alone. Not by mkdir's `recursive`, which never returns on file systems where
 * nothing can be created, such as /proc.
 */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another process may have created it meanwhile.
    if (!existsSync(folder)) throw error;
  }
}

/**
 * A file name for a host or a URL: percent-encoding keeps different ones apart, and leaves only characters that every file
 * system allows.
 */
export function fileStem(text: string): string {
  const stem = encodeURIComponent(text.toLowerCase()).replaceAll('*', '%2A');
  return stem.length <= maxFileStem ? stem : createHash('sha256').update(text.toLowerCase()).digest('hex');
}
