import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import {
  makeTemporaryFolder,
  sweepTemporaryFolders,
} from '../../../../src/tunnel/providers/external/temporary-folder.ts';
import { temporaryDirectory } from '../../../harness/program.ts';

let root = '';

beforeEach(() => {
  root = temporaryDirectory();
  vi.stubEnv('TMPDIR', root);
});

/** A number that no process has. */
function deadPid(): number {
  return spawnSync(process.execPath, ['-e', '']).pid;
}

/** A folder with a file in it, among the temporary ones. */
function folderNamed(name: string): string {
  const folder = path.join(root, name);
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'config'), 'User S3CRET\n');
  return folder;
}

test('it is for this user alone, and removed as often as one likes', () => {
  const folder = makeTemporaryFolder('pinggy');
  expect(path.dirname(folder.path)).toBe(root);
  expect(statSync(folder.path).mode & 0o777).toBe(0o700);
  writeFileSync(path.join(folder.path, 'config'), '');
  folder.remove();
  folder.remove();
  expect(existsSync(folder.path)).toBe(false);
});

test('what dead runs have left is swept, and nothing of those that live', () => {
  const dead = deadPid();
  const left = ['pinggy', 'ssh', 'cloudflared'].map((owner) => folderNamed(`mcp-expose-${owner}-${dead}-abcDEF`));
  const ours = makeTemporaryFolder('pinggy').path;
  sweepTemporaryFolders();
  expect([...left, ours].map((folder) => existsSync(folder))).toEqual([false, false, false, true]);
});

test('nothing that only looks like it', () => {
  const dead = deadPid();
  const names = [
    `mcp-expose-other-${dead}-abcDEF`,
    `mcp-expose-pinggy-${dead}`,
    `mcp-expose-pinggy-${dead}-abcDEF-more`,
    `x-mcp-expose-pinggy-${dead}-abcDEF`,
  ];
  const folders = names.map(folderNamed);
  const file = path.join(root, `mcp-expose-pinggy-${dead}-aFILEe`);
  writeFileSync(file, '');
  sweepTemporaryFolders();
  expect([...folders, file].filter((entry) => !existsSync(entry))).toEqual([]);
});

test('no link is followed, nor removed', () => {
  const elsewhere = folderNamed('elsewhere');
  const link = path.join(root, `mcp-expose-pinggy-${deadPid()}-aLINKk`);
  symlinkSync(elsewhere, link);
  const real = folderNamed(`mcp-expose-pinggy-${deadPid()}-abcDEF`);
  symlinkSync(elsewhere, path.join(real, 'link'));
  sweepTemporaryFolders();
  expect([existsSync(link), existsSync(real)]).toEqual([true, false]);
  expect(readFileSync(path.join(elsewhere, 'config'), 'utf8')).toBe('User S3CRET\n');
});

test('nothing of another user', () => {
  const folder = folderNamed(`mcp-expose-pinggy-${deadPid()}-abcDEF`);
  vi.spyOn(process, 'getuid').mockReturnValue(12_345);
  sweepTemporaryFolders();
  vi.restoreAllMocks();
  expect(existsSync(folder)).toBe(true);
});

test('no temporary folder at all', () => {
  vi.stubEnv('TMPDIR', path.join(root, 'nothing'));
  expect(() => sweepTemporaryFolders()).not.toThrow();
  expect(() => makeTemporaryFolder('ssh')).toThrow('ENOENT');
});
