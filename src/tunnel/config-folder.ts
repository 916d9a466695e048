import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

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
