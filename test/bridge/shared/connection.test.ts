// The life of a server that several sessions share.
import { describe, expect, test } from 'vitest';
import { Channel } from '../../../src/bridge/session/channel.ts';
import { createSharedUpstream } from '../../../src/bridge/shared/shared-upstream.ts';
import { createFakeCall, createFakeSink } from '../session/fake-sink.ts';
import { createFakeUpstream } from '../fake-upstream.ts';
import { initialize, notification, request, response, watchedRequest, whole } from '../messages.ts';
import { answered, idIn, opening, sharedWorld, written } from './world.ts';

describe('a session that goes', () => {
  test('has its calls cancelled, and nobody else gets their answers', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.send(request(1));
    a.upstream.send(request(2));
    b.upstream.send(request(1));
    const [first, second, ofB] = world.sent().map(idIn);
    const closing = a.upstream.close();
    expect(a.ends).toEqual([]);
    await closing;
    expect(a.ends).toHaveLength(1);
    expect(world.sent()).toEqual(
      [first, second].map(
        (id) =>
          `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id},"reason":"the client has gone"}}`,
      ),
    );
    world.server().say(response(first ?? ''));
    world.server().say(response(ofB ?? ''));
    world.server().say(notification('notifications/x'));
    expect([a.take(), b.take().length, world.warnings]).toEqual([[], 2, []]);
    expect(a.upstream.send(request(3))).toBe(false);
    await a.upstream.close();
    expect([a.ends.length, world.server().closeCalls]).toEqual([1, 0]);
  });

  test('leaves the server to the next one, also when it was the last', async () => {
    const world = sharedWorld();
    await (await world.join()).upstream.close();
    await world.join();
    expect([world.servers.length, world.server().closeCalls]).toEqual([1, 0]);
  });

  test('leaves no server that has agreed with nobody: it may be stuck', async () => {
    const world = sharedWorld();
    const [a, b] = [world.attach(), world.attach()];
    a.upstream.send(opening(1));
    await a.upstream.close();
    expect(world.server().closeCalls).toBe(0);
    await b.upstream.close();
    expect(world.server().closeCalls).toBeGreaterThan(0);
    world.attach();
    expect(world.servers).toHaveLength(2);
  });
});

describe('the shared upstream', () => {
  test('begins with the first session that starts', () => {
    const world = sharedWorld();
    world.shared.attach();
    expect(world.servers).toEqual([]);
    world.attach();
    world.attach();
    expect([world.servers.length, world.server().started]).toEqual([1, true]);
  });

  test('that has not begun takes nothing, holds nobody up and can be closed', async () => {
    const upstream = sharedWorld().shared.attach();
    let released = 0;
    upstream.whenWritable(() => released++);
    upstream.pause();
    upstream.resume();
    expect([upstream.send(request(1)), upstream.isWritable(), released]).toEqual([false, true, 1]);
    await upstream.close();
  });

  test('tells everybody of its end, and begins anew', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    world.server().die({ exitCode: 3, stderr: 'oops', untaken: [request(1)] });
    const end = { reason: 'the server exited with code 1', code: 'upstream_exited', exitCode: 3, stderr: 'oops' };
    expect([a.ends, b.ends]).toEqual([[end], [end]]);
    expect([a.upstream.send(request(1)), world.servers[0]?.closeCalls]).toEqual([false, 1]);
    await a.upstream.close();
    const c = await world.join();
    expect([world.servers.length, a.ends.length]).toEqual([2, 1]);
    c.upstream.send(request(1));
    expect(idIn(world.sent()[0])).toBe(2);
  });

  test('that fails at once tells the session that wanted it', () => {
    const ends: string[] = [];
    const shared = createSharedUpstream({
      create: () => ({
        ...createFakeUpstream(),
        start: (events) => events.onClose({ reason: 'no such file', code: 'upstream_not_started', stderr: '' }),
      }),
      onWarning() {},
    });
    shared.attach().start({ onMessage() {}, onClose: ({ reason }) => ends.push(reason) });
    expect(ends).toEqual(['no such file']);
  });

  test('passes on that it was lost, and forgets what was in flight', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.send(watchedRequest(1, 1));
    const id = idIn(world.sent()[0]);
    world.server().lose();
    const end = { reason: 'the server exited with code 1', code: 'upstream_exited', stderr: '', untaken: [] };
    expect([a.losses, b.losses, a.ends]).toEqual([[end], [end], []]);
    world.server().say(response(id));
    a.upstream.send(notification('notifications/cancelled', { requestId: 1 }));
    expect([a.take(), world.sent()]).toEqual([[], []]);
    a.upstream.send(request(1));
    world.server().say(response(idIn(world.sent()[0])));
    expect(a.take()).toHaveLength(1);
  });

  test('that was lost keeps what will be sent again, each session its own', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.send(watchedRequest(1, 'p'));
    a.upstream.send(request(2));
    b.upstream.send(request('b'));
    const lines = world.sent();
    const [first, , ofB] = lines.map(idIn);
    const untaken = [lines[0], lines[2]].map((line) => written(line ?? ''));
    world.server().lose({ untaken: [...untaken, notification('notifications/x'), request(1_000_000)] });
    const kept = [a, b].map(({ losses }) => losses[0]?.untaken?.map(whole));
    expect(kept).toEqual([[whole(watchedRequest(1, 'p'))], [whole(request('b'))]]);
    world.server().say(notification('notifications/progress', { progressToken: first, progress: 1 }));
    for (const id of [first, ofB]) world.server().say(response(id ?? ''));
    expect([a.take().length, b.take().length]).toEqual([2, 1]);
    b.upstream.send(notification('notifications/cancelled', { requestId: 2 }));
    a.upstream.send(notification('notifications/cancelled', { requestId: 2 }));
    expect(world.sent()).toEqual([]);
  });

  test('ends with all who use it, and takes nobody any more', async () => {
    const world = sharedWorld();
    const a = await world.join();
    const release = world.server().holdEnd();
    let done = false;
    const closing = world.shared.close().then(() => (done = true));
    await answered();
    expect([done, world.server().closeCalls]).toEqual([false, 1]);
    release();
    await closing;
    expect(a.ends).toHaveLength(1);
    const late = world.attach();
    await answered();
    expect([late.ends.length, world.servers.length]).toEqual([1, 1]);
    await world.shared.close();
  });

  test('is not over before what an earlier server has left behind', async () => {
    const world = sharedWorld();
    await world.join();
    const release = world.server().holdEnd();
    world.server().die();
    let done = false;
    const closing = world.shared.close().then(() => (done = true));
    await answered();
    expect(done).toBe(false);
    release();
    await closing;
  });
});

test('a channel works over it as over an upstream of its own', async () => {
  const world = sharedWorld();
  const standalone = createFakeSink();
  const upstream = world.shared.attach();
  const channel = new Channel({ upstream, standalone, onClose() {} });
  channel.start();
  const [start, call] = [createFakeCall(), createFakeCall()];
  channel.request(initialize, start);
  world.server().say(response(idIn(world.sent()[0]), { protocolVersion: '2025-11-25' }));
  channel.request(watchedRequest(5, 'p'), call);
  const id = idIn(world.sent()[0]);
  world.server().say(notification('notifications/progress', { progressToken: id, progress: 1 }));
  world.server().say(response(id, { ok: true }));
  expect([start.responses.length, call.got.length, call.responses[0]?.json]).toEqual([
    1,
    1,
    { jsonrpc: '2.0', id: 5, result: { ok: true } },
  ]);
  await channel.close();
  expect(channel.isBusy()).toBe(false);
});
