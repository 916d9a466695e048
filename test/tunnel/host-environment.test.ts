import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { isInstalled } from '../../src/tunnel/host-environment.ts';
import { temporaryDirectory } from '../harness/program.ts';

const isThere = (PATH: string | undefined): Promise<boolean> =>
  isInstalled({ env: PATH === undefined ? {} : { PATH } }, 'there');

test('a program that can be run, in any folder of PATH', async () => {
  const folder = temporaryDirectory();
  writeFileSync(path.join(folder, 'there'), '', { mode: 0o755 });
  expect(await isThere(['/nowhere', '', folder].join(path.delimiter))).toBe(true);
  expect(await isThere('/nowhere')).toBe(false);
  expect(await isThere('')).toBe(false);
  expect(await isThere(undefined)).toBe(false);
});

test('neither a file that cannot be run nor a folder is one', async () => {
  const folder = temporaryDirectory();
  writeFileSync(path.join(folder, 'text'), '', { mode: 0o644 });
  mkdirSync(path.join(folder, 'folder'));
  expect(await isInstalled({ env: { PATH: folder } }, 'text')).toBe(false);
  expect(await isInstalled({ env: { PATH: folder } }, 'folder')).toBe(false);
});

test('a path is looked at where it is, and not in PATH', async () => {
  const folder = temporaryDirectory();
  const file = path.join(folder, 'there');
  writeFileSync(file, '', { mode: 0o755 });
  expect(await isInstalled({ env: {} }, file)).toBe(true);
  expect(await isInstalled({ env: {} }, path.relative('', file))).toBe(true);
  expect(await isInstalled({ env: { PATH: folder } }, './there')).toBe(false);
});
