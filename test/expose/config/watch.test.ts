import { EventEmitter } from 'node:events';
import {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  type watch,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { digestOf } from '../../../src/expose/config/read-file.ts';
import { watchConfig, type ConfigWatch, type WatchConfigOptions } from '../../../src/expose/config/watch.ts';
import { within } from '../../harness/eventually.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { temporaryDirectory } from '../../harness/program.ts';

interface Observed extends ConfigWatch {
  /** Resolves when a change was told and the file held this content by then. */
  told(content: string): Promise<string>;
  /** How often a change was told. */
  count(): number;
}

/** Watches a file that held `content` when it was read. */
function observe(file: string, content: string, options: Partial<WatchConfigOptions> = {}): Observed {
  const changes = new EventEmitter();
  const seen: string[] = [];
  const watching = watchConfig(file, {
    digest: digestOf(content),
    settleMs: 10,
    pollMs: 20,
    onChange() {
      seen.push(readFileSync(file, 'utf8'));
      changes.emit('seen');
    },
    ...options,
  });
  atEnd('test', watching.close);
  return {
    close: watching.close,
    count: () => seen.length,
    told(wanted) {
      const found = new Promise<string>((resolve) => {
        const look = (): void => {
          if (seen.includes(wanted)) resolve(wanted);
        };
        changes.on('seen', look);
        look();
      });
      return within(10_000, `a change to ${wanted} to be told`, found);
    },
  };
}

/**
 * Writes to a file of its own, watched with the same times, until that was told: whatever the file under test had to
 * tell by now has been told, too.
 */
async function afterOthers(): Promise<void> {
  const file = path.join(temporaryDirectory(), 'other.json');
  writeFileSync(file, 'a');
  const other = observe(file, 'a', { settleMs: 100 });
  writeFileSync(file, 'b');
  await other.told('b');
}

function fileWith(content: string): string {
  const file = path.join(temporaryDirectory(), 'mcp.json');
  writeFileSync(file, content);
  return file;
}

const noWatch: typeof watch = () => {
  throw new Error('ENOSPC: System limit for number of file watchers reached');
};

/** A watch that breaks when it is told to. */
function breakable(): { watchFolder: typeof watch; fail(): void; closed(): boolean } {
  const watcher = new EventEmitter();
  let isClosed = false;
  const stand = Object.assign(watcher, {
    close() {
      isClosed = true;
    },
    ref: () => stand,
    unref: () => stand,
  });
  return {
    watchFolder: () => stand,
    fail: () => watcher.emit('error', new Error('EPERM')),
    closed: () => isClosed,
  };
}

describe.each<[string, Partial<WatchConfigOptions>]>([
  ['told by the system', {}],
  ['by looking again and again', { watchFolder: noWatch }],
])('a change is told, %s,', (_how, options) => {
  test('when the file is written in place', async () => {
    const file = fileWith('a');
    const watching = observe(file, 'a', options);
    writeFileSync(file, 'b');
    expect(await watching.told('b')).toBe('b');
    writeFileSync(file, 'c');
    expect(await watching.told('c')).toBe('c');
  });

  test('when another file is put in its place, again and again', async () => {
    const file = fileWith('0');
    const watching = observe(file, '0', options);
    for (let round = 1; round <= 3; round++) {
      writeFileSync(`${file}.tmp`, String(round));
      renameSync(`${file}.tmp`, file);
      expect(await watching.told(String(round))).toBe(String(round)); // oxlint-disable-line no-await-in-loop -- one change after the other
    }
  });

  test('when it is gone and comes back as another one', async () => {
    const file = fileWith('a');
    const watching = observe(file, 'a', options);
    unlinkSync(file);
    await afterOthers();
    expect(watching.count()).toBe(0);
    writeFileSync(file, 'b');
    expect(await watching.told('b')).toBe('b');
  });

  test('when its folder is gone and comes back', async () => {
    const folder = path.join(temporaryDirectory(), 'project');
    mkdirSync(folder);
    const file = path.join(folder, 'mcp.json');
    writeFileSync(file, 'a');
    const watching = observe(file, 'a', options);
    await afterOthers();
    rmSync(folder, { recursive: true });
    await afterOthers();
    mkdirSync(folder);
    writeFileSync(file, 'b');
    expect(await watching.told('b')).toBe('b');
    writeFileSync(file, 'c');
    expect(await watching.told('c')).toBe('c');
  });

  test('when another folder is put in place of its folder', async () => {
    const root = temporaryDirectory();
    const file = path.join(root, 'project', 'mcp.json');
    for (const [name, content] of [
      ['project', 'a'],
      ['next', 'b'],
    ] as const) {
      mkdirSync(path.join(root, name));
      writeFileSync(path.join(root, name, 'mcp.json'), content);
    }
    const watching = observe(file, 'a', options);
    await afterOthers();
    renameSync(path.join(root, 'project'), path.join(root, 'old'));
    renameSync(path.join(root, 'next'), path.join(root, 'project'));
    expect(await watching.told('b')).toBe('b');
    writeFileSync(file, 'c');
    expect(await watching.told('c')).toBe('c');
  });

  test('when it is made only later', async () => {
    const file = path.join(temporaryDirectory(), 'not yet', 'mcp.json');
    const watching = observe(file, '', options);
    await afterOthers();
    mkdirSync(path.dirname(file));
    writeFileSync(file, 'a');
    expect(await watching.told('a')).toBe('a');
  });

  test('when it had changed before the watch began', async () => {
    expect(await observe(fileWith('b'), 'a', options).told('b')).toBe('b');
  });

  test('when it cannot be used any more, and when it can again', async () => {
    const file = fileWith('a');
    const watching = observe(file, 'a', options);
    writeFileSync(file, Buffer.from([0xff]));
    expect(await watching.told('\uFFFD')).toBe('\uFFFD');
    writeFileSync(file, 'a');
    expect(await watching.told('a')).toBe('a');
  });

  test('but not when it is written with the same content, or only touched around', async () => {
    const file = fileWith('a');
    const watching = observe(file, 'a', options);
    writeFileSync(file, 'a');
    writeFileSync(`${file}.tmp`, 'a');
    renameSync(`${file}.tmp`, file);
    writeFileSync(path.join(path.dirname(file), 'other.json'), 'b');
    unlinkSync(file);
    writeFileSync(file, 'a');
    await afterOthers();
    expect(watching.count()).toBe(0);
  });

  test('and not after the watch was closed', async () => {
    const file = fileWith('a');
    const watching = observe(file, 'a', options);
    writeFileSync(file, 'b');
    watching.close();
    watching.close();
    writeFileSync(file, 'c');
    await afterOthers();
    expect(watching.count()).toBe(0);
  });
});

test('nothing is told when the watch is closed while the file is being read', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  atEnd('test', () => void vi.useRealTimers());
  const watching = observe(fileWith('b'), 'a');
  vi.advanceTimersByTime(10);
  watching.close();
  vi.useRealTimers();
  await afterOthers();
  expect(watching.count()).toBe(0);
});

test('several writes in a row are one change', async () => {
  const file = fileWith('a');
  const watching = observe(file, 'a', { settleMs: 100 });
  for (const content of ['', 'b', 'bc', 'bcd']) writeFileSync(file, content);
  expect(await watching.told('bcd')).toBe('bcd');
  await afterOthers();
  expect(watching.count()).toBe(1);
});

test('a file behind a link is watched where it is', async () => {
  const real = fileWith('a');
  const link = path.join(temporaryDirectory(), 'mcp.json');
  symlinkSync(real, link);
  const watching = observe(link, 'a');
  await afterOthers();
  writeFileSync(real, 'b');
  expect(await watching.told('b')).toBe('b');
});

test('a folder behind a link is watched where the link leads to by then', async () => {
  const root = temporaryDirectory();
  for (const name of ['release-1', 'release-2']) {
    mkdirSync(path.join(root, name));
    writeFileSync(path.join(root, name, 'mcp.json'), name);
  }
  const current = path.join(root, 'current');
  symlinkSync('release-1', current);
  const watching = observe(path.join(current, 'mcp.json'), 'release-1');
  await afterOthers();
  symlinkSync('release-2', `${current}.new`);
  renameSync(`${current}.new`, current);
  expect(await watching.told('release-2')).toBe('release-2');
});

test('a watch that breaks is replaced', async () => {
  const file = fileWith('a');
  const { watchFolder, fail, closed } = breakable();
  const watching = observe(file, 'a', { watchFolder });
  fail();
  expect(closed()).toBe(true);
  writeFileSync(file, 'b');
  expect(await watching.told('b')).toBe('b');
});

test('a busy folder does not keep a change from being told', async () => {
  const file = fileWith('a');
  const events = new EventEmitter();
  const { watchFolder: stand } = breakable();
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only this form of it is used
  const watchFolder = ((folder: string, options: object, listener: (event: string, name: string) => void) => {
    events.on('change', (name: string) => listener('change', name));
    return stand(folder, options);
  }) as typeof watch;
  const watching = observe(file, 'a', { watchFolder, settleMs: 50 });
  writeFileSync(file, 'b');
  events.emit('change', 'mcp.json');
  const busy = setInterval(() => events.emit('change', 'log.txt'), 5);
  atEnd('test', () => clearInterval(busy));
  expect(await watching.told('b')).toBe('b');
});
