// What src/bridge/supervised.ts keeps while a server is away or takes nothing.
import { describe, expect, test } from 'vitest';
import { initialize, notification, request, response } from '../messages.ts';
import {
  agreed,
  agreedWorld,
  methodsSentTo,
  sentTo,
  supervisedWorld,
  type SupervisedWorld,
} from './restarting-world.ts';

const cancel = (requestId: unknown) => notification('notifications/cancelled', { requestId });

/** A world whose server has died and is not there again yet. */
function away(): SupervisedWorld {
  const world = agreedWorld();
  world.server().die();
  return world;
}

describe('while there is no connection', () => {
  test('a cancelled request is not sent at all', () => {
    const { upstream, clock, server, welcome } = away();
    upstream.send(request(5));
    upstream.send(request(6));
    expect(upstream.send(cancel(5))).toBe(true);
    clock.advance(0);
    welcome();
    expect(sentTo(server()).slice(2)).toMatchObject([{ id: 6 }]);
  });

  test('what answers or names something of the dead server is dropped', () => {
    const { upstream, clock, server, welcome } = away();
    for (const message of [response('ask'), cancel(1), notification('notifications/progress', { progressToken: 1 })]) {
      expect(upstream.send(message)).toBe(true);
    }
    upstream.send(notification('notifications/roots/list_changed'));
    clock.advance(0);
    welcome();
    expect(methodsSentTo(server()).slice(2)).toEqual(['notifications/roots/list_changed']);
  });

  test('a thousand messages wait and no more, and beyond a megabyte the client should', () => {
    const { upstream, clock, server, welcome } = away();
    let released = 0;
    upstream.send(request('big', 'tools/call', { x: 'x'.repeat(1024 * 1024) }));
    expect(upstream.isWritable()).toBe(false);
    upstream.whenWritable(() => void released++);
    for (let id = 1; id < 1000; id++) expect(upstream.send(request(id))).toBe(true);
    expect(upstream.send(request(1000))).toBe(false);
    clock.advance(0);
    expect(released).toBe(0);
    welcome();
    expect([released, upstream.isWritable(), server().sent.length]).toEqual([1, true, 1002]);
  });

  test('what waits is sent as fast as it is read, and what comes later stays behind it', () => {
    const { upstream, clock, server, welcome } = away();
    upstream.send(request(1));
    clock.advance(0);
    server().fill();
    welcome();
    expect(upstream.send(request(2))).toBe(true);
    expect(methodsSentTo(server())).toEqual(['initialize', 'notifications/initialized']);
    server().drain();
    expect(sentTo(server()).slice(2)).toMatchObject([{ id: 1 }, { id: 2 }]);
  });

  test('what still waits when the next one dies, too, waits for the one after', () => {
    const { upstream, clock, server, welcome, lost } = away();
    upstream.send(request(1));
    clock.advance(0);
    server().die();
    clock.advance(500);
    welcome();
    expect([sentTo(server())[2]?.id, lost.length]).toEqual([1, 1]);
  });
});

describe('a connection that takes nothing although it is not full', () => {
  test('is gone: the message waits for the next one', () => {
    const { upstream, server, clock, welcome, lost } = agreedWorld();
    server().accepting = false;
    expect(upstream.send(request(1))).toBe(true);
    expect(upstream.send(response('ask'))).toBe(true);
    server().die();
    expect(lost[0]?.untaken).toMatchObject([{ id: 1 }]);
    clock.advance(0);
    welcome();
    expect(sentTo(server()).slice(2)).toMatchObject([{ id: 1 }]);
    expect(clock.pending).toBe(0);
  });

  test('is ended when it does not end by itself', async () => {
    const { upstream, server, clock, made } = agreedWorld();
    server().accepting = false;
    upstream.send(request(1));
    clock.advance(999);
    expect(server().closeCalls).toBe(0);
    clock.advance(1);
    await new Promise(setImmediate);
    clock.advance(0);
    expect([made[0]?.closeCalls, made.length]).toEqual([2, 2]);
  });

  test('also when that shows only while it is sent what has waited', () => {
    const { upstream, server, clock, welcome } = agreedWorld();
    server().die();
    upstream.send(request(1));
    clock.advance(0);
    server().onSent = (line) => {
      if (line.includes('notifications/initialized')) server().accepting = false;
    };
    welcome();
    expect([sentTo(server()).length, clock.pending]).toEqual([2, 1]);
    server().die();
    clock.advance(500);
    welcome();
    expect([sentTo(server())[2]?.id, clock.pending]).toEqual([1, 0]);
  });
});

/** Every attempt waits until the test lets it go. */
function gatedWorld() {
  const attempts: (() => void)[] = [];
  let calledOff = 0;
  const given = supervisedWorld({
    whenClear(connect) {
      attempts.push(connect);
      return () => void calledOff++;
    },
  });
  return { ...given, attempts, calledOff: () => calledOff };
}

describe('where a connection has to wait until it may be made', () => {
  test('what is sent meanwhile goes to it when it is there', () => {
    const { upstream, made, attempts, messages, server } = gatedWorld();
    expect([upstream.send(initialize), upstream.isWritable(), made.length]).toEqual([true, true, 0]);
    attempts[0]?.();
    expect(methodsSentTo(server())).toEqual(['initialize']);
    server().say(response(0, agreed));
    expect(messages).toHaveLength(1);
  });

  test('one that is made anew waits, too', () => {
    const { upstream, made, attempts, server, clock, agree, welcome } = gatedWorld();
    attempts[0]?.();
    agree();
    server().die();
    clock.advance(10_000);
    upstream.send(request(1));
    expect([made.length, attempts.length]).toEqual([1, 2]);
    attempts[1]?.();
    welcome();
    expect(methodsSentTo(server())).toEqual(['initialize', 'notifications/initialized', 'tools/call']);
  });

  test('none is made once it was closed', async () => {
    const { upstream, ends, made, calledOff } = gatedWorld();
    await upstream.close();
    expect([calledOff() > 0, made.length, ends.length]).toEqual([true, 0, 1]);
  });
});

describe('a server that was started ahead and ends before it has said anything', () => {
  const unused = { isUnused: true, untaken: [initialize] } as const;

  test.each(['on-exit', 'never'] as const)('gives way to another one, with --restart %s', (restart) => {
    const { upstream, made, server, messages, ends, lost, warnings, restarts } = supervisedWorld({ restart });
    upstream.send(initialize);
    made[0]?.die(unused);
    expect([made.length, methodsSentTo(server())]).toEqual([2, ['initialize']]);
    server().say(response(0, agreed));
    expect([messages.length, ends, lost, warnings, restarts()]).toEqual([1, [], [], [], 0]);
  });

  test('in place of one that had crashed is replaced, and told what the client had told that', () => {
    const { made, server, clock, welcome, ends } = agreedWorld();
    server().die();
    clock.advance(10_000);
    made[1]?.die({ isUnused: true, untaken: [] });
    expect(made).toHaveLength(3);
    welcome();
    expect([methodsSentTo(server()), ends]).toEqual([['initialize', 'notifications/initialized'], []]);
  });
});
