import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openConfiguration } from '../../../../src/tunnel/providers/cloudflared/configuration.ts';
import { temporaryDirectory } from '../../../harness/program.ts';

function kept(): { readonly env: NodeJS.ProcessEnv; readonly folder: string; readonly file: string } {
  const config = temporaryDirectory();
  const folder = path.join(config, 'mcp-expose');
  return { env: { XDG_CONFIG_HOME: config, APPDATA: config }, folder, file: path.join(folder, 'cloudflared.yml') };
}

test('one file for all runs, which stays and is not written again', () => {
  const { env, folder, file } = kept();
  const first = openConfiguration(env);
  expect([first.file, readFileSync(file, 'utf8'), readdirSync(folder)]).toEqual([file, '{}\n', ['cloudflared.yml']]);
  const before = statSync(file, { bigint: true });
  openConfiguration(env).close();
  first.close();
  const after = statSync(file, { bigint: true });
  expect([after.ino, after.mtimeNs]).toEqual([before.ino, before.mtimeNs]);
});

test('what somebody has made of it is put right', () => {
  const { env, folder, file } = kept();
  mkdirSync(folder);
  writeFileSync(file, 'ingress:\n  - service: http://127.0.0.1:9\n');
  openConfiguration(env);
  expect([readFileSync(file, 'utf8'), readdirSync(folder)]).toEqual(['{}\n', ['cloudflared.yml']]);
});

test('a folder in its place: a file for this run, which goes with it', () => {
  const { env, folder, file } = kept();
  mkdirSync(file, { recursive: true });
  const configuration = openConfiguration(env);
  expect([readFileSync(configuration.file, 'utf8'), readdirSync(folder)]).toEqual(['{}\n', ['cloudflared.yml']]);
  configuration.close();
  expect(() => statSync(path.dirname(configuration.file))).toThrow('ENOENT');
});
