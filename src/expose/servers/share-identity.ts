import { realpathSync } from 'node:fs';
import path from 'node:path';

import type { ServerOptions } from '../options.ts';
import { commandOf } from './server-sources.ts';

/**
 * Identifies what is shared: a text that is equal whenever the same is shared again, made of the command and its folder, the
 * URL, or the configuration file and the selected servers. May contain secrets.
 * @throws ExposeError `usage` for a command that cannot be read.
 */
export function shareIdentity({ stdio, http, sse, config, names = [], cwd = '.' }: ServerOptions): string {
  if (config !== undefined) return JSON.stringify(['config', realPath(config), ...new Set(names.toSorted())]);
  if (stdio === undefined) {
    const url = http ?? sse ?? '';
    return JSON.stringify([http === undefined ? 'sse' : 'http', URL.canParse(url) ? new URL(url).href : url]);
  }
  const command = commandOf(stdio);
  const words = command.kind === 'shell' ? [command.line] : [command.file, ...command.args];
  return JSON.stringify([command.kind, realPath(cwd), ...words]);
}

/** One path for all links to a file or folder. A missing one is reported elsewhere. */
function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return path.resolve(file);
  }
}
