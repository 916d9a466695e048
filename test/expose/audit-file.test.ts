import {
  appendFileSync,
  chmodSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { AuditFile } from '../../src/expose/audit-file.ts';
import { eventually } from '../harness/eventually.ts';
import { parseJson } from '../harness/parse-json.ts';
import { temporaryDirectory } from '../harness/program.ts';

type Line = Record<string, unknown>;

const linesIn = (file: string): Line[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => parseJson<Line>(line));

const newFile = (): string => path.join(temporaryDirectory('test'), 'audit.jsonl');

const warnings: string[] = [];
const open = (file: string): Promise<AuditFile> => AuditFile.open(file, (message) => warnings.push(message));

test('lines have a time, no undefined members, and are in order and whole', async () => {
  const file = newFile();
  const audit = await open(file);
  for (let number = 0; number < 5000; number++) audit.write('call', { number, missing: undefined });
  await audit.close();
  const lines = linesIn(file);
  expect(lines.map(({ number }) => number)).toEqual(Array.from({ length: 5000 }, (_, number) => number));
  expect(Object.keys(lines[0] ?? {})).toEqual(['time', 'event', 'number']);
  expect(new Date(String(lines[0]?.['time'])).toISOString()).toBe(lines[0]?.['time']);
});

test('no text of others begins a line or reaches a terminal', async () => {
  const file = newFile();
  const audit = await open(file);
  const tool = 'a\n{"event":"forged"}\r\u001B[2J\u009B0m\u2028\u202Eb\uD800"';
  audit.write('call', { tool });
  await audit.close();
  const text = readFileSync(file, 'utf8');
  expect(text.trimEnd()).toMatch(/^[ -~]+$/);
  expect(linesIn(file)).toMatchObject([{ event: 'call', tool }]);
});

test('what the disk does not take in time is dropped, and counted by a later line', async () => {
  const file = newFile();
  const audit = await open(file);
  const filling = 'x'.repeat(1000);
  // Nothing is written before this turn of the event loop is over.
  for (let number = 0; number < 3000; number++) audit.write('call', { number, filling });
  audit.drop();
  await audit.close();
  const lines = linesIn(file);
  const written = lines.filter(({ event }) => event === 'call').length;
  expect(written).toBeGreaterThan(900);
  expect(statSync(file).size).toBeLessThan(2.2 * 1024 * 1024);
  expect(lines.filter(({ event }) => event === 'dropped')).toMatchObject([{ count: 3001 - written }]);
});

describe('the file at the path', () => {
  test('is private, and appended to', async () => {
    const file = newFile();
    writeFileSync(file, 'half a line without an end\n', { mode: 0o600 });
    await (await open(file)).close();
    expect(readFileSync(file, 'utf8')).toBe('half a line without an end\n');
    rmSync(file);
    await (await open(file)).close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test.each([0o640, 0o604, 0o620])('is refused with mode %o', async (mode) => {
    const file = newFile();
    writeFileSync(file, '');
    chmodSync(file, mode);
    await expect(open(file)).rejects.toMatchObject({
      code: 'usage',
      message: `the audit file ${file} can be read by other users (mode 0${mode.toString(8)})`,
      hints: [`make it private: chmod 600 ${file}`],
    });
  });

  test('is named by the error if it cannot be opened, unless the name looks like a token', async () => {
    const folder = temporaryDirectory('test');
    await expect(open(folder)).rejects.toThrow(`cannot open the audit file ${folder}: EISDIR`);
    await expect(open(path.join(folder, 'no', 'file'))).rejects.toThrow('ENOENT');
    await expect(open('mcpx_vOzwu6gZl0vXtCi6ZJFfA1GdM9i7mDUkRDR5hrJhBmE')).rejects.toThrow(
      '--audit takes the name of a file, not a token',
    );
  });

  test.each(['moved', 'removed', 'replaced'])('is begun again when it was %s', async (how) => {
    const file = newFile();
    const audit = await open(file);
    audit.write('first', { is: 1 });
    await eventually(() => expect(linesIn(file)).toHaveLength(1));
    if (how === 'removed') rmSync(file);
    else renameSync(file, `${file}.1`);
    if (how === 'replaced') writeFileSync(file, '', { mode: 0o600 });
    await eventually(() => {
      audit.write('later', { is: 1 });
      expect(existsSync(file) && linesIn(file)).toContainEqual(expect.objectContaining({ event: 'later' }));
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await audit.close();
  });

  test('is not used if others can read the one that came in its place', async () => {
    warnings.length = 0;
    const file = newFile();
    const audit = await open(file);
    audit.write('first', { is: 1 });
    await eventually(() => expect(linesIn(file)).toHaveLength(1));
    renameSync(file, `${file}.1`);
    appendFileSync(file, '');
    chmodSync(file, 0o644);
    await eventually(() => {
      audit.write('later', { is: 1 });
      expect(warnings).toHaveLength(1);
    });
    expect(warnings[0]).toMatch(/moved, and lines are still written to it: .* can be read by other users/);
    await audit.close();
    expect(readFileSync(file, 'utf8')).toBe('');
    expect(linesIn(`${file}.1`).length).toBeGreaterThan(1);
  });
});

test.runIf(process.platform === 'linux')(
  'a full disk warns once, and what was lost is counted when there is space',
  async () => {
    warnings.length = 0;
    const link = newFile();
    symlinkSync('/dev/full', link);
    const audit = await open(link);
    for (let count = 1; count <= 3; count++) {
      audit.write('lost', { count });
      // oxlint-disable-next-line no-await-in-loop -- for one write each
      await eventually(() => expect(warnings).toHaveLength(1));
    }
    rmSync(link);
    await eventually(() => {
      audit.write('kept', { is: 1 });
      expect(existsSync(link)).toBe(true);
    });
    await audit.close();
    const lines = linesIn(link);
    const dropped = lines.filter(({ event }) => event === 'dropped');
    expect(dropped).toHaveLength(1);
    expect(Number(dropped[0]?.['count'])).toBeGreaterThanOrEqual(3);
    expect(warnings).toEqual([expect.stringMatching(/^cannot write to the audit file .*, lines are lost: ENOSPC/)]);
  },
);
