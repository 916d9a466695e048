import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';

import type { HostEnvironment } from '../../host-environment.ts';

/** Whether a program of this name is in a folder of PATH; with one of PATHEXT's endings on Windows. */
export async function isInstalled({ env }: Pick<HostEnvironment, 'env'>, program: string): Promise<boolean> {
  const endings = process.platform === 'win32' ? (env['PATHEXT'] ?? '.EXE;.CMD;.BAT;.COM').split(';') : [''];
  const folders = (env['PATH'] ?? env['Path'] ?? '').split(path.delimiter).filter((folder) => folder !== '');
  const candidates = folders.flatMap((folder) => endings.map((ending) => path.join(folder, program + ending)));
  const found = await Promise.all(candidates.map(isExecutable));
  return found.includes(true);
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
