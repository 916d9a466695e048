import { describe, expect, test } from 'vitest';
import type { UpstreamEnd, UpstreamEvents } from '../../../src/bridge/upstream/upstream.ts';
import { agreement, failedResponse, initialize, notification, request, response } from '../messages.ts';
import {
  agreed,
  agreedWorld,
  methodsSentTo,
  sentTo,
  startTimeoutMs,
  supervisedWorld,
  type SupervisedWorld,
} from './restarting-world.ts';

const killed: Partial<UpstreamEnd> = { reason: 'the server was ended by SIGKILL', signal: 'SIGKILL', stderr: 'oops' };

function textsOf({ messages }: SupervisedWorld): unknown[] {
  return messages.map((message) => (message.kind === 'response' ? message.id : message.method));
}

describe('while a connection lives', () => {
  test('messages pass untouched, both ways, with their origin', () => {
    const { upstream, server, messages, origins } = supervisedWorld();
    expect(upstream.send(initialize)).toBe(true);
    expect(server().sent).toEqual([initialize.bytes.toString()]);
    const said = [agreement(), request('ask', 'roots/list')];
    for (const message of said) server().say(message, 7);
    expect([messages[0] === said[0], messages[1] === said[1], origins]).toEqual([true, true, [7, 7]]);
  });

  test('a full one takes nothing, and back-pressure is its own', () => {
    const { upstream, server } = agreedWorld();
    server().fill();
    server().accepting = false;
    expect([upstream.isWritable(), upstream.send(request(1))]).toEqual([false, false]);
    let calls = 0;
    upstream.whenWritable(() => void calls++);
    expect(calls).toBe(0);
    server().drain();
    expect([calls, upstream.isWritable()]).toEqual([1, true]);
  });

  test('a full one has not taken what could have been replayed', () => {
    const { upstream, server, restart } = agreedWorld();
    server().fill();
    server().accepting = false;
    expect(upstream.send(request(1, 'resources/subscribe', { uri: 'a:1' }))).toBe(false);
    server().drain();
    server().accepting = true;
    upstream.send(request(1));
    server().say(response(1));
    restart();
    expect(methodsSentTo(server())).toEqual(['initialize', 'notifications/initialized']);
  });

  test('one that takes nothing before both have agreed is given up by nobody', () => {
    const { upstream, server, clock } = supervisedWorld();
    server().accepting = false;
    expect([upstream.send(initialize), clock.pending]).toEqual([false, 0]);
  });

  test('pausing and resuming reach it', () => {
    const { upstream, server } = agreedWorld();
    upstream.pause();
    expect(server().paused).toBe(true);
    upstream.resume();
    expect(server().paused).toBe(false);
  });
});

describe('an end before client and server have agreed', () => {
  test.each([
    ['before initialize', () => {}],
    ['before its answer', ({ upstream }: SupervisedWorld) => void upstream.send(initialize)],
    [
      'after a refusal',
      ({ upstream, server }: SupervisedWorld) => {
        upstream.send(initialize);
        server().say(failedResponse(0));
      },
    ],
  ])('%s is passed on, and nothing is started', (_when, before) => {
    const world = supervisedWorld();
    before(world);
    world.server().die({ exitCode: 7, stderr: 'no disk' });
    expect(world.ends).toMatchObject([{ exitCode: 7, stderr: 'no disk', reason: 'the server exited with code 1' }]);
    expect([world.made.length, world.lost, world.clock.pending]).toEqual([1, [], 0]);
    expect(world.upstream.send(request(1))).toBe(false);
  });
});

describe('after the end of a connection', () => {
  test('the client hears of it at once, and the next one is made in the next turn', () => {
    const { server, lost, ends, made, clock, warnings } = agreedWorld();
    server().die(killed);
    expect(lost).toEqual([{ ...killed, code: 'upstream_exited', exitCode: 1, untaken: [] }]);
    expect([made.length, ends]).toEqual([1, []]);
    expect(warnings).toEqual(['the server was ended by SIGKILL; it is started again']);
    clock.advance(0);
    expect([made.length, made[0]?.closeCalls]).toEqual([2, 1]);
  });

  test('the next one is asked to initialize as the client did, and nothing else before it has answered', () => {
    const { server, clock, upstream, made, restarts } = agreedWorld();
    server().die();
    upstream.send(request(5));
    clock.advance(0);
    const [first, ...others] = sentTo(server());
    expect(others).toEqual([]);
    expect([first?.method, first?.params]).toEqual(['initialize', initialize.json['params']]);
    expect(first?.id).toMatch(/^mcp-expose-[\w-]{22}-1$/);
    expect([made.length, restarts()]).toEqual([2, 0]);
  });

  test('the client is told to look again at what may have changed, and its messages go on in order', () => {
    const world = agreedWorld();
    world.server().die();
    expect(world.upstream.send(request(5))).toBe(true);
    world.clock.advance(0);
    expect(world.upstream.send(request(6))).toBe(true);
    world.welcome({
      ...agreed,
      capabilities: { tools: { listChanged: true }, prompts: { listChanged: false }, resources: { listChanged: true } },
    });
    expect(textsOf(world)).toEqual(['notifications/tools/list_changed', 'notifications/resources/list_changed']);
    expect(methodsSentTo(world.server())).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/call',
      'tools/call',
    ]);
    world.server().say(response(6));
    world.server().say(response(5));
    expect([textsOf(world).slice(2), world.restarts()]).toEqual([[6, 5], 1]);
    expect([world.clock.pending, world.lost.length, world.ends]).toEqual([0, 1, []]);
  });

  test('a late word of the old one reaches nobody, before the next one and after', () => {
    const heard: UpstreamEvents[] = [];
    const { agree, upstream, server, messages, ends, clock, welcome, made } = supervisedWorld({
      wrap: (fake) => ({
        ...fake,
        start(events) {
          heard.push(events);
          fake.start(events);
        },
      }),
    });
    agree();
    upstream.send(request(1));
    server().die();
    const late = (): void => {
      heard[0]?.onMessage(response(1));
      heard[0]?.onMessage(request('ask'));
      heard[0]?.onClose({ reason: 'twice', code: 'upstream_exited', stderr: '' });
    };
    late();
    clock.advance(0);
    late();
    welcome();
    late();
    expect([messages, ends, made.length]).toEqual([[], [], 2]);
  });

  test('what the new one says before it has answered is held back, and a ping is answered', () => {
    const world = agreedWorld();
    world.server().die();
    world.clock.advance(0);
    world.server().say(notification('notifications/message', { data: 'starting' }));
    world.server().say(request('p', 'ping'));
    world.server().say(response('unknown'));
    expect([world.messages, methodsSentTo(world.server())]).toEqual([[], ['initialize', 'p']]);
    world.welcome({ ...agreed, capabilities: { tools: { listChanged: true } } });
    expect(textsOf(world)).toEqual(['notifications/tools/list_changed', 'notifications/message']);
  });

  test('only so much of that is held back', () => {
    const world = agreedWorld();
    world.server().die();
    world.clock.advance(0);
    for (let i = 0; i < 101; i++) world.server().say(notification('notifications/message', { data: i }));
    world.welcome();
    expect([world.messages.length, world.messages.at(-1)?.json['params']]).toEqual([100, { data: 99 }]);
    world.restart();
    world.server().die();
    world.clock.advance(1000);
    world.messages.length = 0;
    world.server().say(notification('notifications/message', { data: 'x'.repeat(1024 * 1024) }));
    world.server().say(notification('notifications/message', { data: 'small' }));
    world.welcome();
    expect(world.messages).toMatchObject([{ json: { params: { data: 'small' } } }]);
  });

  test('asks that follow the replay reach the client, and its answers the server', () => {
    const world = agreedWorld();
    world.restart();
    world.server().say(request('roots', 'roots/list'));
    // The old server may have asked under the same id: that answer is not for this one.
    world.upstream.send(response('roots'));
    expect(methodsSentTo(world.server()).at(-1)).toBe('notifications/initialized');
    const [ask] = world.messages;
    world.upstream.send(response(ask?.kind === 'request' ? ask.id : ''));
    expect([textsOf(world), methodsSentTo(world.server()).at(-1)]).toEqual([['roots/list'], 'roots']);
  });

  test('an id of a lost request is free, and its answer is that of the new request', () => {
    const { upstream, server, restart, messages } = agreedWorld();
    upstream.send(request(9, 'resources/subscribe', { uri: 'a:1' }));
    restart();
    upstream.send(request(9));
    server().say(response(9));
    expect(messages).toMatchObject([{ id: 9 }]);
    restart();
    expect(methodsSentTo(server())).toEqual(['initialize', 'notifications/initialized']);
  });

  test('one that dies while the client is told of it has nothing more to tell', () => {
    const { upstream, server, clock, welcome } = supervisedWorld({ starts: false });
    const seen: unknown[] = [];
    upstream.start({
      onMessage(message) {
        seen.push(message.kind === 'response' ? message.id : message.method);
        if (seen.at(-1) === 'notifications/tools/list_changed') server().die();
      },
      onLost: () => seen.push('lost'),
      onClose() {},
    });
    upstream.send(initialize);
    server().say(agreement());
    upstream.send(notification('notifications/initialized'));
    server().die();
    clock.advance(0);
    server().say(notification('notifications/message'));
    upstream.send(request(1));
    const { sent } = server();
    welcome({ ...agreed, capabilities: { tools: { listChanged: true }, prompts: { listChanged: true } } });
    expect([seen, sent.length]).toEqual([[0, 'lost', 'notifications/tools/list_changed', 'lost'], 2]);
  });

  test('a pause carries over, once the server has been heard', () => {
    const { upstream, server, clock, welcome } = agreedWorld();
    upstream.pause();
    server().die();
    clock.advance(0);
    expect(server().paused).toBe(false);
    welcome();
    expect(server().paused).toBe(true);
    upstream.resume();
    expect(server().paused).toBe(false);
  });

  test('a client that was not ready yet is not declared ready, nor told of changes', () => {
    const world = supervisedWorld();
    world.upstream.send(initialize);
    world.server().say(agreement());
    world.messages.length = 0;
    world.server().die();
    world.clock.advance(0);
    world.welcome({ ...agreed, capabilities: { tools: { listChanged: true } } });
    expect([methodsSentTo(world.server()), world.messages]).toEqual([['initialize'], []]);
    world.upstream.send(notification('notifications/initialized'));
    expect(methodsSentTo(world.server())).toEqual(['initialize', 'notifications/initialized']);
  });

  test('a client that becomes ready meanwhile is declared ready once', () => {
    const { upstream, server, clock, welcome } = supervisedWorld();
    upstream.send(initialize);
    server().say(agreement());
    server().die();
    upstream.send(notification('notifications/initialized'));
    clock.advance(0);
    welcome();
    expect(methodsSentTo(server())).toEqual(['initialize', 'notifications/initialized']);
  });

  test('what the server refuses of the replay is a warning, once, and harmless', () => {
    const { upstream, server, warnings, messages, restart } = agreedWorld();
    for (const uri of ['a:1', 'a:2']) {
      upstream.send(request(uri, 'resources/subscribe', { uri }));
      server().say(response(uri));
    }
    restart();
    messages.length = 0;
    for (const { id = 0 } of sentTo(server()).slice(2)) server().say(failedResponse(id));
    expect(warnings.slice(1)).toEqual(['the server that was started again refused resources/subscribe: no']);
    expect(messages).toEqual([]);
  });
});

test('silence, a refusal and another revision are attempts that failed', () => {
  const { server, clock, welcome, made, ends } = agreedWorld();
  server().die();
  clock.advance(0);
  server().say(failedResponse(sentTo(server())[0]?.id ?? 0, { code: 1, message: 'not again' }));
  clock.advance(500);
  welcome({ ...agreed, protocolVersion: '2024-11-05' });
  clock.advance(1000);
  expect([made.length, made.map(({ closeCalls }) => closeCalls), ends]).toEqual([4, [1, 1, 1, 0], []]);
  clock.advance(startTimeoutMs);
  expect(ends).toMatchObject([
    {
      code: 'upstream_refused',
      reason:
        'the server did not come back, it was tried for 62 s, the last time: the server was started again, but it did not answer initialize within 60 s',
    },
  ]);
  expect(clock.pending).toBe(0);
});
