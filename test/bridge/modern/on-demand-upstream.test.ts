import { describe, expect, test } from 'vitest';
import { OnDemandUpstream } from '../../../src/bridge/modern/on-demand-upstream.ts';
import { Coexistence } from '../../../src/bridge/restart/coexistence.ts';
import { UpstreamHealth } from '../../../src/bridge/restart/upstream-health.ts';
import { createFakeClock } from '../../harness/fake-clock.ts';
import { createFakeUpstream } from '../fake-upstream.ts';
import { notification, request, response } from '../messages.ts';
import { modernWorld, type ModernWorld } from './world.ts';

/** A server that has answered once. */
function working(): ReturnType<typeof begun> {
  const begin = begun();
  begin.client.upstream.send(request(0));
  begin.world.server().say(response(1));
  begin.client.take();
  begin.world.sent();
  return begin;
}

function begun(world: ModernWorld = modernWorld()) {
  return { world, client: world.attach() };
}

describe('a connection', () => {
  test('is made by the first request, not by a client or a notification', () => {
    const { world, client } = begun();
    client.upstream.send(notification('notifications/cancelled', { requestId: 1 }));
    expect(world.servers).toEqual([]);
    client.upstream.send(request(1));
    expect([world.servers.length, world.sent().length]).toEqual([1, 1]);
  });

  test('is made once there may be one, with all that waits but for what was cancelled', () => {
    const starts: (() => void)[] = [];
    const { world, client } = begun(
      modernWorld({
        whenClear(connect) {
          starts.push(connect);
          return () => {};
        },
      }),
    );
    for (const id of [1, 2, 3]) client.upstream.send(request(id));
    client.upstream.send(notification('notifications/cancelled', { requestId: 2 }));
    expect([world.servers.length, starts.length]).toEqual([0, 1]);
    starts[0]?.();
    expect(world.sent().map((line) => JSON.parse(line).id)).toEqual([1, 3]);
  });

  test('which cannot be made at first fails what waits, and the next request tries again', () => {
    const { world, client } = begun();
    client.upstream.send(request(1));
    world.server().die({ code: 'upstream_not_started', reason: 'it does not exist' });
    expect(client.losses).toMatchObject([{ code: 'upstream_not_started', reason: 'it does not exist', untaken: [] }]);
    expect(world.servers.length).toBe(1);
    client.upstream.send(request(2));
    world.clock.advance(500);
    expect([world.servers.length, world.sent().length]).toEqual([2, 1]);
  });

  test('which died before it was of use to anybody is replaced at once, and nobody hears of it', () => {
    const { world, client } = begun();
    client.upstream.send(request(1));
    world.server().die({ isUnused: true, untaken: [request(1)] });
    world.clock.advance(500);
    expect([world.servers.length, world.sent().length, client.losses]).toEqual([2, 1, []]);
  });
});

describe('a server that dies', () => {
  test('fails what is in flight, and starts again with the next request, not before', () => {
    const { world, client } = working();
    client.upstream.send(request(1));
    world.server().die();
    world.clock.advance(60_000);
    expect([client.losses.length, client.losses[0]?.untaken, client.ends, world.servers.length]).toEqual([
      1,
      [],
      [],
      1,
    ]);
    expect(world.warnings).toEqual(['the server exited with code 1; it is started again when it is needed']);
    client.upstream.send(request(1));
    world.clock.advance(500);
    expect(world.sent().map((line) => JSON.parse(line).id)).toEqual([3]);
    world.server().say(response(3));
    expect([client.take(), world.restarts()]).toEqual([['{"jsonrpc":"2.0","id":1,"result":{}}'], 1]);
  });

  test('gets again what it has certainly not acted on, under the ids of its client', () => {
    const { world, client } = working();
    const other = world.attach();
    client.upstream.send(request('a'));
    client.upstream.send(request('b'));
    other.upstream.send(request('a'));
    const [, taken, foreign] = world.sent();
    world.server().die({ untaken: [request(3, 'tools/call'), request(4, 'tools/call')] });
    expect([taken, foreign]).toEqual([expect.stringContaining('"id":3'), expect.stringContaining('"id":4')]);
    expect(client.losses.map(({ untaken }) => untaken?.map((one) => 'id' in one && one.id))).toEqual([['b']]);
    expect(other.losses.map(({ untaken }) => untaken?.map((one) => 'id' in one && one.id))).toEqual([['a']]);
    world.clock.advance(500);
    expect(world.sent().map((line) => JSON.parse(line).id)).toEqual([3, 4]);
    world.server().say(response(4, { n: 4 }));
    expect(other.take()).toEqual(['{"jsonrpc":"2.0","id":"a","result":{"n":4}}']);
  });

  test('again and again, before it acts on what waits, is given up, but not for what comes later', () => {
    const { world, client } = working();
    client.upstream.send(request('a'));
    for (let ends = 0; ends < 5; ends++) {
      world.server().die({ untaken: [request(2)] });
      world.clock.advance(30_000);
    }
    const last = client.losses.at(-1);
    expect(last?.untaken).toEqual([]);
    expect(last?.reason).toMatch(/did not come back|5 times within a minute/);
    const made = world.servers.length;
    client.upstream.send(request('b'));
    world.clock.advance(30_000);
    expect(world.servers.length).toBe(made + 1);
    world.server().say(response(3));
    expect(client.take()).toEqual(['{"jsonrpc":"2.0","id":"b","result":{}}']);
  });

  test('leaves nothing behind: its end is waited for', async () => {
    const { world } = working();
    const letEnd = world.server().holdEnd();
    world.server().die();
    let isOver = false;
    const closed = world.shared.close().then(() => (isOver = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isOver).toBe(false);
    letEnd();
    await closed;
    expect(world.servers.map(({ closeCalls }) => closeCalls)).toEqual([1]);
  });
});

describe('a server that does not read', () => {
  test('holds up its clients, and gets what waits when it reads again', () => {
    const { world, client } = begun(modernWorld({ prepare: (server) => server.fill() }));
    client.upstream.send(request(1, 'tools/call', { text: 'x'.repeat(1024 * 1024) }));
    let isWritable = false;
    client.upstream.whenWritable(() => (isWritable = true));
    expect([client.upstream.isWritable(), isWritable, world.sent()]).toEqual([false, false, []]);
    client.upstream.send(request(2));
    client.upstream.send(notification('notifications/x'));
    world.server().drain();
    expect([client.upstream.isWritable(), isWritable, world.sent().length]).toEqual([true, true, 3]);
  });

  test('and takes nothing, although it has room, is ended and replaced', () => {
    const { world, client } = working();
    const stuck = world.server();
    stuck.accepting = false;
    expect(client.upstream.send(request(1))).toBe(true);
    world.clock.advance(1000);
    expect(stuck.closeCalls).toBe(1);
    stuck.die();
    world.clock.advance(500);
    expect([world.servers.length, world.sent().length]).toEqual([2, 1]);
  });
});

test('that is paused makes connections that are', () => {
  const clock = createFakeClock();
  const made = createFakeUpstream();
  const coexistence = new Coexistence({ knowledge: 'proven', onChange() {}, onWarning() {} });
  const server = { take: () => made, coexistence, health: new UpstreamHealth(clock) };
  const upstream = new OnDemandUpstream({ server, clock, onWarning() {} });
  expect(upstream.send(request(1))).toBe(false);
  upstream.start({ onMessage() {}, onClose() {} });
  upstream.pause();
  upstream.send(request(1));
  expect(made.paused).toBe(true);
  upstream.resume();
  expect(made.paused).toBe(false);
});
