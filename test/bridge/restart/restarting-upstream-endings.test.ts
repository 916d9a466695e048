// What src/bridge/supervised.ts gives up, sends again and leaves behind.
import { describe, expect, test } from 'vitest';
import { Channel } from '../../../src/bridge/session/channel.ts';
import type { RpcRequest } from '../../../src/mcp/json-rpc.ts';
import { within } from '../../harness/eventually.ts';
import { gate } from '../../harness/gate.ts';
import { createFakeCall, createFakeSink, type FakeCall } from '../session/fake-sink.ts';
import { agreement, initialize, notification, request, response } from '../messages.ts';
import { agreedWorld, methodsSentTo, sentTo, supervisedWorld } from './restarting-world.ts';

describe('what was certainly not acted on', () => {
  const untaken = [
    request(1),
    request(2),
    notification('notifications/cancelled', { requestId: 2 }),
    response('ask'),
    notification('notifications/initialized'),
    notification('notifications/roots/list_changed'),
  ];

  test('is sent again, and survives for whoever waits for it', () => {
    const { server, lost, clock, welcome, upstream, messages } = agreedWorld();
    server().die({ code: 'upstream_session_lost', untaken });
    upstream.send(request(3));
    expect(lost[0]?.untaken).toEqual([untaken[0], untaken[5]]);
    clock.advance(0);
    welcome();
    expect(methodsSentTo(server())).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/call',
      'notifications/roots/list_changed',
      'tools/call',
    ]);
    expect(sentTo(server())[2]?.id).toBe(1);
    server().say(response(1));
    expect(messages.at(-1)).toMatchObject({ id: 1 });
  });

  test('is never our own replay', () => {
    const { server, clock, upstream, welcome } = agreedWorld();
    upstream.send(request(1, 'logging/setLevel', { level: 'error' }));
    server().say(response(1));
    server().die();
    clock.advance(0);
    const [own = request(0)] = server().sent.map((line) => request(sentTo(server())[0]?.id ?? 0, line));
    server().die({ code: 'upstream_unreachable', untaken: [own, notification('notifications/initialized')] });
    clock.advance(500);
    welcome();
    expect(methodsSentTo(server())).toEqual(['initialize', 'notifications/initialized', 'logging/setLevel']);
  });

  test('keeps its call in the channel, and only this', () => {
    const { upstream, server, clock, welcome } = supervisedWorld({ starts: false });
    const channel = new Channel({ upstream, standalone: createFakeSink(), onClose() {} });
    const call = (sent: RpcRequest): FakeCall => {
      const fake = createFakeCall();
      expect(channel.request(sent, fake)).toBeUndefined();
      return fake;
    };
    channel.start();
    call(initialize);
    server().say(agreement());
    const [surviving, lost] = [call(request(1)), call(request(2))];
    server().die({ code: 'upstream_session_lost', untaken: [request(1)] });
    const later = call(request(2));
    clock.advance(0);
    welcome();
    expect(
      sentTo(server())
        .map(({ id }) => id)
        .slice(1),
    ).toEqual([1, 2]);
    server().say(response(1));
    server().say(response(2));
    expect([surviving, lost, later].map(({ responses, failures }) => [responses.length, failures.length])).toEqual([
      [1, 0],
      [0, 1],
      [1, 0],
    ]);
  });
});

describe('a server that has forgotten the session', () => {
  test('gets a new one at once, even where nothing is restarted', () => {
    const { server, clock, welcome, lost, ends, warnings, restarts } = agreedWorld({ restart: 'never' });
    server().die({ code: 'upstream_session_lost', reason: 'the server has forgotten the session' });
    clock.advance(0);
    welcome();
    expect([lost.length, ends, restarts()]).toEqual([1, [], 1]);
    expect(warnings).toEqual(['the server has forgotten the session; connecting again']);
  });

  test('is not asked for ever when it forgets every one', () => {
    const { server, clock, welcome, ends, made } = agreedWorld({ restart: 'never' });
    for (let round = 0; round < 5; round++) {
      server().die({ code: 'upstream_session_lost', reason: 'it forgot', untaken: [request(1)] });
      clock.advance(8000);
      if (ends.length === 0) welcome();
    }
    expect(ends).toMatchObject([
      { reason: 'the connection was lost 5 times within a minute, the last time: it forgot' },
    ]);
    expect([made.length, clock.pending]).toEqual([5, 0]);
  });
});

describe('it gives up', () => {
  test('at any other end where nothing is restarted', () => {
    const { server, ends, lost, clock } = agreedWorld({ restart: 'never' });
    server().die({ exitCode: 9 });
    expect(ends).toMatchObject([{ exitCode: 9, reason: 'the server exited with code 1' }]);
    expect([lost, clock.pending]).toEqual([[], 0]);
  });

  test('at the fifth end within a minute, used or not', () => {
    const { server, clock, welcome, ends, lost, made, upstream } = agreedWorld();
    server().die({ stderr: 'first' });
    clock.advance(0);
    server().die({ stderr: 'in the replay' });
    clock.advance(500);
    welcome();
    server().die();
    clock.advance(1000);
    server().die({ code: 'upstream_not_started', reason: 'the server did not start' });
    clock.advance(2000);
    welcome();
    expect(ends).toEqual([]);
    server().die({ exitCode: 3, stderr: 'last words', reason: 'the server exited with code 3' });
    expect(ends).toEqual([
      {
        reason: 'the server ended 5 times within a minute, the last time: the server exited with code 3',
        code: 'upstream_exited',
        exitCode: 3,
        stderr: 'last words',
      },
    ]);
    expect([made.length, lost.length, clock.pending, upstream.send(request(1))]).toEqual([5, 2, 0, false]);
  });

  test('not at ends that are further apart', () => {
    const { restart, clock, ends } = agreedWorld();
    for (let round = 0; round < 12; round++) {
      restart();
      clock.advance(10_000);
    }
    expect(ends).toEqual([]);
  });

  test('when nobody can be reached for a minute, after a last attempt at its end', () => {
    const { server, clock, ends, made } = agreedWorld();
    server().die();
    const lostAt = clock.now();
    let attempts = 1;
    while (ends.length === 0 && clock.now() < lostAt + 120_000) {
      clock.advance(500);
      if (made.length > attempts) server().die({ code: 'upstream_unreachable', reason: 'connection refused' });
      attempts = made.length;
    }
    expect(ends).toMatchObject([
      {
        code: 'upstream_unreachable',
        reason: 'the server did not come back, it was tried for 60 s, the last time: connection refused',
      },
    ]);
    expect([clock.now() - lostAt, clock.pending]).toEqual([60_000, 0]);
  });

  test('when the server asks for more patience than clients have, and waits as long as it asks otherwise', () => {
    const { server, clock, ends, made } = agreedWorld();
    server().die({ code: 'upstream_unreachable', retryAfterMs: 20_000 });
    clock.advance(19_999);
    expect(made).toHaveLength(1);
    clock.advance(1);
    expect(made).toHaveLength(2);
    server().die({ code: 'upstream_refused', retryAfterMs: 40_000 });
    expect(ends).toHaveLength(1);
  });
});

describe('closing', () => {
  test('a living connection ends it, and tells its end once', async () => {
    const { upstream, server, ends, clock, made } = agreedWorld();
    const done = upstream.close();
    expect(upstream.send(request(1))).toBe(false);
    await Promise.all([done, upstream.close()]);
    await upstream.close();
    expect(ends).toMatchObject([{ signal: 'SIGTERM' }]);
    expect([server().closeCalls, made.length, clock.pending]).toEqual([1, 1, 0]);
  });

  test('during the wait for the next one makes no more, and waits for what the old one has left', async () => {
    const { upstream, server, ends, clock, made } = agreedWorld();
    const open = server().holdEnd();
    server().die({ exitCode: 3 });
    let done = false;
    const closing = upstream.close().then(() => (done = true));
    expect(clock.pending).toBe(0);
    clock.advance(60_000);
    await new Promise(setImmediate);
    expect([done, ends.length, made.length]).toEqual([false, 0, 1]);
    open();
    await closing;
    expect(ends).toMatchObject([{ exitCode: 3 }]);
  });

  test('during the replay ends the new one', async () => {
    const { upstream, server, ends, clock, made, messages, restarts } = agreedWorld();
    server().die();
    clock.advance(0);
    server().onSent = () => {};
    const id = sentTo(server())[0]?.id ?? 0;
    const closing = upstream.close();
    server().say(response(id, { protocolVersion: '2025-11-25' }));
    await closing;
    expect([made.map(({ closeCalls }) => closeCalls), ends.length, clock.pending]).toEqual([[1, 1], 1, 0]);
    expect([messages, restarts()]).toEqual([[], 0]);
  });

  test('from within the news of the loss makes no more', async () => {
    const { opened, open } = gate();
    const clocked = supervisedWorld({
      onWarning: () => void clocked.upstream.close().then(open),
    });
    clocked.agree();
    clocked.server().die();
    await opened;
    clocked.clock.advance(60_000);
    expect([clocked.made.length, clocked.ends.length, clocked.clock.pending]).toEqual([1, 1, 0]);
  });

  test('before the beginning leaves nothing to begin', async () => {
    const { upstream, made, ends } = supervisedWorld({ starts: false });
    await upstream.close();
    upstream.start({ onMessage() {}, onClose: (end) => ends.push(end) });
    expect([made, ends, upstream.send(initialize)]).toEqual([[], [], false]);
  });

  test('after the last end tells nothing more', async () => {
    const { upstream, server, ends } = supervisedWorld();
    server().die();
    await upstream.close();
    expect(ends).toHaveLength(1);
  });

  test('lets everybody go on who waits for room', async () => {
    const { upstream, server } = supervisedWorld();
    upstream.send(initialize);
    server().say(agreement());
    server().die();
    upstream.send(request(1, 'tools/call', { x: 'x'.repeat(1024 * 1024) }));
    const { opened, open } = gate();
    upstream.whenWritable(open);
    await upstream.close();
    await within(5000, 'the one who waits', opened);
    expect(upstream.isWritable()).toBe(true);
  });
});
