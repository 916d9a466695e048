import { realpathSync } from 'node:fs';
import path from 'node:path';

import type { ServerOptions } from '../options.ts';
import { commandOf } from './server-sources.ts';

/**
 * What is shared, as a text that is the same whenever the same is shared again, and another for anything else: a command and
 * its folder, a URL, or a configuration file with the servers that are chosen of it. May hold secrets.
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

/** The same for every way to a file or folder; what is not there is somebody else's to report. */
function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return path.resolve(file);
  }
}
