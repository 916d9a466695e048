import { describe, expect, test } from 'vitest';
import { ManagedServer, type ManagedServerOptions } from '../../../src/bridge/restart/managed-server.ts';
import { createFakeClock } from '../../harness/fake-clock.ts';
import { gate } from '../../harness/gate.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { agreement } from '../messages.ts';
import { use } from './managed-world.ts';

function world(options: Partial<ManagedServerOptions> = {}) {
  const made: FakeUpstream[] = [];
  const clock = createFakeClock();
  const warnings: string[] = [];
  const server = new ManagedServer({
    connect() {
      const upstream = createFakeUpstream();
      made.push(upstream);
      return upstream;
    },
    isProcess: true,
    isShared: false,
    clock,
    random: () => 1,
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  return { server, made, clock, warnings };
}

/** Number of those that live and that nobody has. */
const idle = (made: FakeUpstream[]): number =>
  made.filter(({ started, paused, closeCalls }) => started && paused && closeCalls === 0).length;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('idle servers', () => {
  test.each<[string, Partial<ManagedServerOptions>, number]>([
    ['one by default', {}, 1],
    ['none when none is wanted', { warm: 0 }, 0],
    ['as many as the user says', { warm: 3 }, 3],
    ['one where all sessions share it', { warm: 3, isShared: true }, 1],
    ['none where the server is no process of ours', { warm: 3, isProcess: false }, 0],
  ])('are kept: %s', (_what, options, count) => {
    const { server, made } = world(options);
    server.begin();
    expect([made.length, idle(made)]).toEqual([count, count]);
  });

  test('are started beside one in use only when two have worked side by side', () => {
    const { server, made, clock } = world();
    server.begin();
    use(server.take());
    made[0]?.say(agreement());
    clock.advance(60_000);
    expect([made.length, server.coexistence.isAllowed]).toEqual([1, false]);
    use(server.take());
    made[1]?.say(agreement());
    clock.advance(2000);
    expect(server.coexistence.isAllowed).toBe(true);
    clock.advance(50);
    expect([made.length, idle(made)]).toEqual([3, 1]);
  });

  test('that die are replaced when nothing is left of them', async () => {
    const { server, made, clock } = world();
    server.begin();
    clock.advance(10_000);
    const open = made[0]?.holdEnd();
    made[0]?.die();
    clock.advance(60_000);
    expect(made).toHaveLength(1);
    open?.();
    await turn();
    clock.advance(0);
    expect([made.length, idle(made)]).toEqual([2, 1]);
  });
});

describe('a look', () => {
  test('has a process of its own, before and after which another one may start', async () => {
    const { server, made } = world();
    use(server.take());
    const open = made[0]?.holdEnd();
    made[0]?.die();
    const { opened, open: finish } = gate();
    const look = server.look(async (upstream) => {
      use(upstream);
      await opened;
      return 'seen';
    });
    let isClear = false;
    server.coexistence.whenClear(() => (isClear = true));
    await turn();
    expect([made.length, isClear]).toEqual([1, false]);
    open?.();
    await turn();
    expect([made.length, isClear]).toEqual([2, false]);
    finish();
    expect(await look).toBe('seen');
    await server.coexistence.allEnded();
    expect([made[1]?.closeCalls, isClear]).toEqual([1, true]);
  });

  test('that fails says so, and its process is ended, too', async () => {
    const { server, made } = world();
    const look = server.look(async (upstream) => {
      use(upstream);
      throw new Error('it is no server');
    });
    await expect(look).rejects.toThrow('it is no server');
    const open = made[0]?.holdEnd();
    await server.close();
    open?.();
    expect(made[0]?.closeCalls).toBe(1);
  });

  test.each<[string, number | undefined, number]>([
    ['ends an idle process, which it may not bear', undefined, 0],
    ['leaves idle processes alone where the user wants several', 1, 1],
  ])('%s', async (_what, warm, ready) => {
    const { server, made } = world({ warm });
    server.begin();
    const look = server.look(async (upstream) => use(upstream));
    expect([idle(made), made[0]?.closeCalls]).toEqual([ready, 1 - ready]);
    await look;
    expect(made).toHaveLength(2);
  });
});

test('a session may be tried unless it would start a process beside one in use', async () => {
  const { server, made } = world();
  expect(server.mayBeTried()).toBe(true);
  server.begin();
  expect(server.mayBeTried()).toBe(true);
  use(server.take());
  expect([server.mayBeTried(), server.mayBeAsked()]).toEqual([false, false]);
  made[0]?.die();
  await turn();
  expect([server.mayBeTried(), server.mayBeAsked()]).toEqual([true, true]);
  for (const options of [{ isShared: true }, { isProcess: false }, { warm: 1 }]) {
    const other = world(options);
    use(other.server.take());
    // A session of one that all share starts no process, and a question does.
    expect([other.server.mayBeTried(), other.server.mayBeAsked()]).toEqual([true, options.isShared !== true]);
  }
});

test('closing waits for what an idle process that died has left behind', async () => {
  const { server, made } = world();
  server.begin();
  const open = made[0]?.holdEnd();
  made[0]?.die();
  let isClosed = false;
  const closing = server.close().then(() => (isClosed = true));
  await turn();
  expect(isClosed).toBe(false);
  open?.();
  await closing;
});

test('closing waits for idle processes, and leaves those of clients to them', async () => {
  const { server, made } = world({ warm: 1 });
  use(server.take());
  server.begin();
  const open = made[1]?.holdEnd();
  let isClosed = false;
  const closing = server.close().then(() => (isClosed = true));
  await turn();
  expect([isClosed, made.map(({ closeCalls }) => closeCalls)]).toEqual([false, [0, 1]]);
  open?.();
  await closing;
});
