import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** Longest text that is spelled out in a file name; file systems stop at 255 bytes. */
const maxFileStem = 150;

/** Where what we keep for the user is, such as keys: `~/.config/mcp-expose`, unless the environment says otherwise. */
export function configFolder(env: NodeJS.ProcessEnv): string {
  const fixed = process.platform === 'win32' ? env['APPDATA'] : env['XDG_CONFIG_HOME'];
  return join(fixed || join(env['HOME'] || homedir(), '.config'), 'mcp-expose');
}

/**
 * Makes a folder, and those above it, for this user alone. Not by mkdir's own recursion, which never returns on file systems
 * where nothing can be made, such as /proc.
 */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another process may have been faster.
    if (!existsSync(folder)) throw error;
  }
}

/** The name of a file that belongs to a host or a URL: percent-encoding keeps different ones apart, and leaves no character that a file system minds. */
export function fileStem(text: string): string {
  const stem = encodeURIComponent(text.toLowerCase()).replaceAll('*', '%2A');
  return stem.length <= maxFileStem ? stem : createHash('sha256').update(text.toLowerCase()).digest('hex');
}
