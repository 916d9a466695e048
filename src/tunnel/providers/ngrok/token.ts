import { readFile } from 'node:fs/promises';
import path from 'node:path';

import type { HostEnvironment } from '../../host-environment.ts';

/**
 * The token with which ngrok's agent would authenticate: from NGROK_AUTHTOKEN, or from its configuration file, at the places
 * that https://ngrok.com/docs/agent/config names for each system, or where version 2 had it.
 */
export async function findNgrokToken({ env }: Pick<HostEnvironment, 'env'>): Promise<string | undefined> {
  const given = env['NGROK_AUTHTOKEN'] ?? '';
  if (given !== '') return given;
  const texts = await Promise.all(configurationFiles(env).map((file) => readFile(file, 'utf8').catch(() => '')));
  // At the top in version 2 of the file, below `agent` in version 3.
  return texts.map((text) => /^[ \t]*authtoken:[ \t]*["']?([^\s"'#]+)/m.exec(text)?.[1]).find(Boolean);
}

function configurationFiles(env: NodeJS.ProcessEnv): string[] {
  const home = env['HOME'] ?? env['USERPROFILE'] ?? '';
  const named = (env['NGROK_CONFIG'] ?? '').split(',').filter((file) => file !== '');
  if (named.length > 0) return named;
  const folders = {
    darwin: path.join(home, 'Library', 'Application Support'),
    win32: env['LOCALAPPDATA'] ?? path.join(home, 'AppData', 'Local'),
    other: env['XDG_CONFIG_HOME'] ?? path.join(home, '.config'),
  };
  const folder =
    process.platform === 'darwin' || process.platform === 'win32' ? folders[process.platform] : folders.other;
  return [path.join(folder, 'ngrok', 'ngrok.yml'), path.join(home, '.ngrok2', 'ngrok.yml')];
}
