import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { createWatchdog, signalGroup, type Watchdog } from '../../../src/platform/process/watchdog.ts';
import { eventually, within } from '../../harness/eventually.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { descendants, isAlive, killIfAlive, processInfo, type ProcessInfo } from '../../harness/processes.ts';
import { projectRoot } from '../../harness/program.ts';
import {
  behaviours,
  expectGone,
  infoOf,
  killGroup,
  startNode,
  withStubbornChild,
  type NodeProcess,
  type NodeProcessOptions,
} from './node-process.ts';

const builtModule = pathToFileURL(path.join(projectRoot, 'dist', 'platform', 'process', 'watchdog.js')).href;

/** An mcp-expose in small: it guards groups that others lead, until it is killed. */
function startOwner(guarded: readonly number[], released: readonly number[] = []): Promise<NodeProcess> {
  return startNode(
    `
      import { createWatchdog } from ${JSON.stringify(builtModule)};
      const watchdog = createWatchdog();
      for (const group of ${JSON.stringify(guarded)}) watchdog.guard(group);
      for (const group of ${JSON.stringify(released)}) watchdog.release(group);
      setTimeout(() => {}, 60_000);
      console.log('ready');
    `,
    ['--input-type=module'],
  );
}

/** One that does what it is told line by line, such as `guard 123`, or `free`, when it has given up its open files. */
function startObedientOwner(preparation = '', options: NodeProcessOptions = {}): Promise<NodeProcess> {
  return startNode(
    `
      import fs from 'node:fs';
      import { createInterface } from 'node:readline';
      import { createWatchdog } from ${JSON.stringify(builtModule)};
      const watchdog = createWatchdog();
      const files = [];
      createInterface({ input: process.stdin }).on('line', (line) => {
        const [verb, group] = line.split(' ');
        if (verb === 'free') for (const file of files.splice(0)) fs.closeSync(file);
        else watchdog[verb](Number(group));
        console.log(line);
      });
      ${preparation}
      console.log('ready');
    `,
    ['--input-type=module'],
    options,
  );
}

async function tell({ child }: NodeProcess, line: string): Promise<void> {
  const done = once(child.stdout, 'data');
  child.stdin.write(`${line}\n`);
  const [said]: unknown[] = await within(15_000, `the owner to have done ${line}`, done);
  expect(String(said)).toBe(`${line}\n`);
}

/** Kills a watchdog; resolves when its owner has heard of it, which is when nothing is left of its process. */
async function killDog({ pid }: ProcessInfo): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await eventually(() => expect(processInfo(pid)).toBeUndefined());
}

function dogOf(owner: number): Promise<ProcessInfo> {
  return eventually(() => {
    const dog = descendants(owner).find(({ command }) => command[0] === 'mcp-expose-watchdog');
    if (dog === undefined) throw new Error('there is no watchdog');
    atEnd('test', () => killIfAlive(dog.pid));
    return dog;
  });
}

/** In this process, for what needs no death. */
function ownWatchdog(): Watchdog {
  const watchdog = createWatchdog();
  atEnd('test', () => watchdog.close());
  return watchdog;
}

describe('when its owner is killed with SIGKILL', () => {
  test('guarded groups are ended: the polite, the stubborn, and what they have started', async () => {
    const polite = await startNode(behaviours.ignoresEndOfInput);
    const stubborn = await startNode(withStubbornChild(behaviours.ignoresSigterm));
    const grandchild = infoOf(Number(stubborn.greeting));
    const owner = await startOwner([polite.pid, stubborn.pid]);
    const dog = await dogOf(owner.pid);
    process.kill(owner.pid, 'SIGKILL');
    expect(await polite.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(await stubborn.exited).toEqual({ code: null, signal: 'SIGKILL' });
    await eventually(() => [grandchild, dog].forEach(expectGone), 10_000);
  });

  test('released groups are left alone', async () => {
    const kept = await startNode(behaviours.ignoresEndOfInput);
    const guarded = await startNode(behaviours.ignoresEndOfInput);
    const keptToo = await startNode(behaviours.ignoresEndOfInput);
    const all = [kept.pid, guarded.pid, keptToo.pid];
    const owner = await startOwner(all, [kept.pid, keptToo.pid]);
    const dog = await dogOf(owner.pid);
    process.kill(owner.pid, 'SIGKILL');
    await guarded.exited;
    await eventually(() => expectGone(dog), 10_000);
    expect([kept, keptToo].map(({ info }) => isAlive(info))).toEqual([true, true]);
  });

  test('without a group to end it just goes', async () => {
    const kept = await startNode(behaviours.ignoresEndOfInput);
    const owner = await startOwner([kept.pid], [kept.pid]);
    const dog = await dogOf(owner.pid);
    process.kill(owner.pid, 'SIGKILL');
    await eventually(() => expectGone(dog), 10_000);
    expect(isAlive(kept.info)).toBe(true);
  });

  test('it has not been ended by what a terminal sends to everybody', async () => {
    const guarded = await startNode(behaviours.ignoresEndOfInput);
    const owner = await startOwner([guarded.pid]);
    const dog = await dogOf(owner.pid);
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.kill(dog.pid, signal);
    killGroup(owner.pid);
    expect(await guarded.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });
});

describe('when it has died itself', () => {
  test('another one takes its place with the next group, and guards all that are left', async () => {
    const groups = await Promise.all([1, 2, 3, 4].map(() => startNode(behaviours.ignoresEndOfInput)));
    const [first, second, released, next] = groups.map(({ pid }) => pid);
    const owner = await startObedientOwner();
    await tell(owner, `guard ${first}`);
    await tell(owner, `guard ${second}`);
    await tell(owner, `guard ${released}`);
    await tell(owner, `release ${released}`);
    await killDog(await dogOf(owner.pid));
    expect(descendants(owner.pid)).toEqual([]);
    await tell(owner, `guard ${next}`);
    const dog = await dogOf(owner.pid);
    expect(descendants(owner.pid)).toHaveLength(1);
    process.kill(owner.pid, 'SIGKILL');
    for (const index of [0, 1, 3]) {
      // oxlint-disable-next-line no-await-in-loop -- all of them end in the same moment
      expect(await groups[index]?.exited).toEqual({ code: null, signal: 'SIGTERM' });
    }
    await eventually(() => expectGone(dog), 10_000);
    expect(groups.map(({ info }) => isAlive(info))).toEqual([false, false, true, false]);
  });

  test('again and again', async () => {
    const guarded = await startNode(behaviours.ignoresEndOfInput);
    const owner = await startObedientOwner();
    for (let time = 0; time < 3; time++) {
      await tell(owner, `guard ${guarded.pid}`); // oxlint-disable-line no-await-in-loop -- one after the other
      await killDog(await dogOf(owner.pid)); // oxlint-disable-line no-await-in-loop
    }
    await tell(owner, `guard ${guarded.pid}`);
    await dogOf(owner.pid);
    process.kill(owner.pid, 'SIGKILL');
    expect(await guarded.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('releasing and closing are no trouble', async () => {
    const guarded = await startNode(behaviours.ignoresEndOfInput);
    const watchdog = ownWatchdog();
    watchdog.guard(guarded.pid);
    await killDog(await dogOf(process.pid));
    watchdog.release(guarded.pid);
    watchdog.killAll();
    await watchdog.close();
    expect(isAlive(guarded.info)).toBe(true);
  });

  test('what it is told before that is known harms nobody', async () => {
    const guarded = await startNode(behaviours.ignoresEndOfInput);
    const watchdog = ownWatchdog();
    watchdog.guard(guarded.pid);
    const dog = await dogOf(process.pid);
    process.kill(dog.pid, 'SIGKILL');
    // Without a turn of the event loop, in which this process would hear of the death.
    const deadline = performance.now() + 5000;
    while (isAlive(dog) && performance.now() < deadline);
    expect(isAlive(dog)).toBe(false);
    watchdog.guard(guarded.pid);
    await eventually(() => expect(processInfo(dog.pid)).toBeUndefined());
    watchdog.guard(guarded.pid);
    expect((await dogOf(process.pid)).pid).not.toBe(dog.pid);
    watchdog.release(guarded.pid);
  });

  test('or could not be started for too many open files, the next group brings it', async () => {
    const [early, late] = await Promise.all([1, 2].map(() => startNode(behaviours.ignoresEndOfInput)));
    const takeAll = `
      try {
        for (;;) files.push(fs.openSync('/dev/null'));
      } catch {}
    `;
    const owner = await startObedientOwner(takeAll, { maxOpenFiles: 64 });
    await tell(owner, `guard ${early?.pid}`);
    expect(descendants(owner.pid)).toEqual([]);
    await tell(owner, 'free');
    await tell(owner, `guard ${late?.pid}`);
    await dogOf(owner.pid);
    process.kill(owner.pid, 'SIGKILL');
    expect(await early?.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(await late?.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });
});

describe('while its owner lives', () => {
  test('it costs one process of less than 8 MB', async () => {
    const first = await startNode(behaviours.endsWithInput);
    const second = await startNode(behaviours.endsWithInput);
    const owner = await startOwner([first.pid, second.pid]);
    const dog = await dogOf(owner.pid);
    expect(descendants(owner.pid)).toHaveLength(1);
    const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${dog.pid}/status`, 'utf8')) ?? [];
    expect(Number(kilobytes)).toBeGreaterThan(0);
    expect(Number(kilobytes)).toBeLessThan(8 * 1024);
  });

  test('it inherits none of the secrets in the environment', async () => {
    process.env['MCP_EXPOSE_WATCHDOG_TEST'] = 'secret';
    const watchdog = ownWatchdog();
    const guarded = await startNode(behaviours.endsWithInput);
    watchdog.guard(guarded.pid);
    delete process.env['MCP_EXPOSE_WATCHDOG_TEST'];
    const dog = await dogOf(process.pid);
    const names = readFileSync(`/proc/${dog.pid}/environ`, 'utf8')
      .split('\0')
      .map((pair) => pair.replace(/=.*$/s, ''))
      .filter((name) => name !== '');
    // A shell may add its working folder and the like.
    expect(names.filter((name) => !['PATH', 'PWD', 'OLDPWD', 'SHLVL', '_'].includes(name))).toEqual([]);
    watchdog.release(guarded.pid);
  });

  test('it holds no process that needs none', async () => {
    const watchdog = createWatchdog();
    const before = descendants(process.pid).filter(({ command }) => command[0] === 'mcp-expose-watchdog').length;
    watchdog.killAll();
    watchdog.release(1);
    await watchdog.close();
    const after = descendants(process.pid).filter(({ command }) => command[0] === 'mcp-expose-watchdog').length;
    expect(after).toBe(before);
  });

  test('it is gone when it was closed, and closing twice is fine', async () => {
    const guarded = await startNode(behaviours.ignoresEndOfInput);
    const watchdog = ownWatchdog();
    watchdog.guard(guarded.pid);
    const dog = await dogOf(process.pid);
    watchdog.release(guarded.pid);
    await watchdog.close();
    await watchdog.close();
    expect(isAlive(dog)).toBe(false);
    expect(isAlive(guarded.info)).toBe(true);
  });

  test('it does not keep its owner from ending', async () => {
    const guarded = await startNode(behaviours.ignoresEndOfInput);
    const owner = await startNode(
      `
        import { createWatchdog } from ${JSON.stringify(builtModule)};
        createWatchdog().guard(${guarded.pid});
        console.log('ready');
      `,
      ['--input-type=module'],
    );
    expect(await owner.exited).toEqual({ code: 0, signal: null });
    expect(await guarded.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });
});

describe('killing all', () => {
  test('ends guarded groups at once, the stubborn too, and no released one', async () => {
    const [stubborn, released] = await Promise.all([
      startNode(behaviours.ignoresSigterm),
      startNode(behaviours.ignoresEndOfInput),
    ]);
    const watchdog = ownWatchdog();
    watchdog.guard(stubborn.pid);
    watchdog.guard(released.pid);
    watchdog.release(released.pid);
    watchdog.killAll();
    expect(await stubborn.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(isAlive(released.info)).toBe(true);
    watchdog.release(stubborn.pid);
  });
});

describe('signalling a group', () => {
  test('tells whether there was somebody in it', async () => {
    const { pid, child, exited } = await startNode(behaviours.endsWithInput);
    expect(signalGroup(pid, 0)).toBe(true);
    child.stdin.end();
    await exited;
    expect(signalGroup(pid, 0)).toBe(false);
    expect(signalGroup(pid, 'SIGTERM')).toBe(false);
  });
});
