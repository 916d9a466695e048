import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { readConfig, type Config, type ReadConfigOptions } from '../../../src/expose/config/read-config.ts';
import { ExposeError } from '../../../src/errors.ts';
import { temporaryDirectory } from '../../harness/program.ts';

/** A file with this content, by default mcp.json in a folder of its own. */
export function writeConfig(content: unknown, name = 'mcp.json', folder: string = temporaryDirectory()): string {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content));
  return file;
}

export async function readContent(content: unknown, options: Partial<ReadConfigOptions> = {}): Promise<Config> {
  return readConfig(writeConfig(content), { env: {}, ...options });
}

export async function refusalOf(attempt: Promise<unknown>): Promise<ExposeError> {
  const error: unknown = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ExposeError)) throw new Error('no ExposeError was thrown', { cause: error });
  return error;
}
