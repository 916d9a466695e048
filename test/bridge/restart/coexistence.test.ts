import { describe, expect, test } from 'vitest';
import type { Coexistence, Knowledge } from '../../../src/bridge/restart/coexistence.ts';
import type { UpstreamEnd } from '../../../src/bridge/upstream/upstream.ts';
import type { FakeClock } from '../../harness/fake-clock.ts';
import type { FakeUpstream } from '../fake-upstream.ts';
import { agreement, request } from '../messages.ts';
import { managedWorld, use } from './managed-world.ts';

const hint = 'this server seems to run only once: --isolation shared serves many clients with one process';

interface Run {
  readonly process: FakeUpstream;
  readonly ends: UpstreamEnd[];
  close(): Promise<void>;
  callTool(): void;
}

interface World {
  readonly coexistence: Coexistence;
  readonly clock: FakeClock;
  readonly warnings: string[];
  readonly changes: () => number;
  /** Starts a process. */
  run(isBrief?: boolean): Run;
  /** The same, and it answers. */
  work(): Run;
}

function world(knowledge: Knowledge = 'unknown'): World {
  const { coexistence, clock, warnings, changes, made, connect } = managedWorld({ knowledge });
  function run(isBrief?: boolean): Run {
    const connection = connect(isBrief);
    const { ends } = use(connection);
    const process = made.at(-1);
    if (process === undefined) throw new Error('no connection was made');
    const callTool = (): void => void connection.send(request(7, 'tools/call'));
    return { process, ends, close: () => connection.close(), callTool };
  }
  function work(): Run {
    const running = run();
    running.process.say(agreement());
    return running;
  }
  return { coexistence, clock, warnings, changes, run, work };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Asks for a start; the answer tells whether it has come. */
function asking({ coexistence }: World): { hasStarted: () => boolean; cancel: () => void } {
  let started = false;
  const cancel = coexistence.whenClear(() => (started = true));
  return { hasStarted: () => started, cancel };
}

describe('a process', () => {
  test('may start beside one that serves a client, and not before one that ends is gone', async () => {
    const given = world();
    const first = given.work();
    expect(asking(given).hasStarted()).toBe(true);
    const open = first.process.holdEnd();
    const closing = first.close();
    const next = asking(given);
    await settled();
    expect([next.hasStarted(), given.coexistence.count]).toEqual([false, 1]);
    open();
    await closing;
    await settled();
    expect([next.hasStarted(), given.coexistence.count]).toEqual([true, 0]);
  });

  test('that has died is waited for until what it has left behind is gone', async () => {
    const given = world();
    const first = given.work();
    const open = first.process.holdEnd();
    first.process.die();
    const next = asking(given);
    await settled();
    expect([next.hasStarted(), first.process.closeCalls]).toEqual([false, 1]);
    open();
    await settled();
    expect(next.hasStarted()).toBe(true);
  });

  test('that is brief is waited for from its start on, and by one after the other', async () => {
    const given = world();
    const brief = given.run(true);
    const one = asking(given);
    const two = asking(given);
    const three = asking(given);
    two.cancel();
    expect([one.hasStarted(), given.coexistence.isFree]).toEqual([false, false]);
    await brief.close();
    await settled();
    expect([one, two, three].map(({ hasStarted }) => hasStarted())).toEqual([true, false, true]);
    expect(given.changes()).toBe(1);
  });

  test('waits for nothing where processes may run side by side', () => {
    const given = world('wanted');
    const first = given.work();
    first.process.holdEnd();
    void first.close();
    expect([asking(given).hasStarted(), given.coexistence.isFree]).toEqual([true, true]);
  });
});

describe('two processes', () => {
  test('that have worked side by side for two seconds may do so', () => {
    const given = world();
    const { coexistence, clock, work } = given;
    work();
    clock.advance(60_000);
    expect([coexistence.isAllowed, coexistence.isFree]).toEqual([false, false]);
    work();
    clock.advance(1999);
    expect([coexistence.isAllowed, given.changes()]).toEqual([false, 0]);
    clock.advance(1);
    expect([coexistence.isAllowed, coexistence.isFree, given.changes()]).toEqual([true, true, 1]);
    expect(clock.pending).toBe(0);
  });

  test('that were never there at the same time prove nothing, nor does one that says nothing', async () => {
    const { coexistence, clock, work, run } = world();
    await work().close();
    await work().close();
    run();
    work();
    clock.advance(60_000);
    expect([coexistence.isAllowed, clock.pending]).toEqual([false, 0]);
  });
});

describe('a process that ends at once beside another one', () => {
  test.each([
    ['before it has answered', false],
    ['soon after it has answered', true],
  ])('%s says that the server seems to run only once', (_when, answers) => {
    const { warnings, work, run } = world();
    const first = work();
    for (const second of [answers ? work() : run(), run()]) {
      second.process.die();
      expect(second.ends).toMatchObject([{ reason: `the server exited with code 1; ${hint}`, exitCode: 1 }]);
    }
    expect([warnings, first.ends]).toEqual([[hint], []]);
  });

  test.each<[string, (given: World) => Run]>([
    ['it was ended on purpose', ({ run }) => run()],
    ['it was asked to do something before', ({ work }) => work()],
    ['it was there first', ({ work }) => work()],
  ])('says nothing of the kind when %s', async (what, start) => {
    const given = world();
    if (what !== 'it was there first') given.work();
    const ended = start(given);
    if (what === 'it was asked to do something before') ended.callTool();
    if (what === 'it was ended on purpose') await ended.close();
    else ended.process.die();
    expect([given.warnings, ended.ends.map(({ reason }) => reason.includes(hint))]).toEqual([[], [false]]);
  });

  test('says nothing of the kind once two have worked side by side, or when it has worked for long', () => {
    const proven = world();
    proven.work();
    proven.work();
    proven.clock.advance(2000);
    proven.run().process.die();
    const old = world();
    const [, second] = [old.work(), old.work()];
    old.clock.advance(2000);
    second.process.die();
    expect([proven.warnings, old.warnings]).toEqual([[], []]);
  });
});

describe('a process that ends when another one starts', () => {
  test('may do so once; the second time, none is started beside the one that is there', async () => {
    const given = world();
    const first = given.work();
    const second = given.work();
    first.process.die();
    expect([first.ends[0]?.reason, given.warnings]).toEqual(['the server exited with code 1', []]);
    await settled();
    const again = given.run();
    second.process.die();
    expect([second.ends[0]?.reason, given.warnings]).toEqual([`the server exited with code 1; ${hint}`, [hint]]);
    const refused = given.run();
    await settled();
    expect([refused.process.started, refused.ends]).toEqual([
      false,
      [{ reason: hint, code: 'upstream_not_started', stderr: '' }],
    ]);
    await again.close();
    expect(given.run().process.started).toBe(true);
  });

  test.each([
    ['long after another one did was another coincidence', 2000, false],
    ['soon after another one did was ended by it', 1999, true],
  ])('%s', async (_what, livedMs, isTold) => {
    const { clock, warnings, work, run } = world();
    const first = work();
    const second = work();
    first.process.die();
    await settled();
    clock.advance(livedMs);
    run();
    second.process.die();
    expect(warnings).toEqual(isTold ? [hint] : []);
  });

  test.each(['starts', 'waits for the end of its predecessor'])(
    'is no coincidence yet while one that may end the other %s',
    async (what) => {
      const given = world();
      const first = given.work();
      const second = given.work();
      if (what !== 'starts') first.process.holdEnd();
      first.process.die();
      await settled();
      if (what === 'starts') given.run();
      else asking(given);
      given.clock.advance(60_000);
      given.run();
      second.process.die();
      expect(given.warnings).toEqual([hint]);
    },
  );

  test('is no reason to start none where the user wants several', () => {
    const given = world('wanted');
    for (let round = 0; round < 3; round++) {
      const older = given.work();
      const newer = given.run();
      older.process.die();
      void newer.close();
    }
    expect([given.warnings, given.run().process.started]).toEqual([[], true]);
  });
});
