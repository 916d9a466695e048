import { describe, expect, test } from 'vitest';
import { failureOf } from '../../../src/bridge/session/call-failures.ts';
import type { RequestId } from '../../../src/mcp/json-rpc.ts';
import { world } from './channel-world.ts';
import { createFakeCall, methodsOf } from './fake-sink.ts';
import { failedResponse, notification, request, response, watchedRequest } from '../messages.ts';

const progress = (progressToken: RequestId, value: number) =>
  notification('notifications/progress', { progressToken, progress: value });
const log = notification('notifications/message', { level: 'info', data: 'x' });

describe('responses', () => {
  test('reach the call whose id they carry, in whatever order', () => {
    const { upstream, call } = world();
    const first = call(1);
    const second = call(2);
    upstream.say(response(2, { of: 'second' }));
    upstream.say(failedResponse(1));
    expect(second.responses).toMatchObject([{ id: 2, failed: false }]);
    expect(first.responses).toMatchObject([{ id: 1, failed: true }]);
  });

  test('keep 1 and "1" apart', () => {
    const { upstream, call } = world();
    const number = call(1);
    const text = call('1');
    upstream.say(response('1'));
    expect([number.responses.length, text.responses.length]).toEqual([0, 1]);
  });

  test('are handed on as the very message that came, and requests as the very bytes', () => {
    const { upstream, channel } = world();
    const call = createFakeCall();
    const sent = request('a', 'tools/call', { big: 'x', _meta: { 'x-unknown': 1 } });
    channel.request(sent, call);
    const answer = response('a', { content: [] });
    upstream.say(answer);
    expect(upstream.sent).toEqual([sent.bytes.toString()]);
    expect(call.responses[0]).toBe(answer);
  });

  test('that nobody waits for are dropped', () => {
    const { upstream, standalone, call } = world();
    const pending = call(1);
    upstream.say(response(99));
    upstream.say(response(1));
    upstream.say(response(1, { twice: true }));
    expect(pending.responses).toHaveLength(1);
    expect(standalone.got).toEqual([]);
  });

  test('settle their call: it is no longer in flight, and its id is free', () => {
    const { upstream, channel, call } = world();
    call(1);
    expect(channel.isBusy()).toBe(true);
    upstream.say(response(1));
    expect(channel.isBusy()).toBe(false);
    const again = call(1);
    upstream.say(response(1));
    expect(again.responses).toHaveLength(1);
  });
});

describe('a request is refused, without harm to others,', () => {
  test('when its id is in flight', () => {
    const { upstream, channel, call } = world();
    const first = call(1);
    const second = createFakeCall();
    expect(channel.request(request(1), second)).toEqual({
      code: -32600,
      reason: 'the id 1 is in use by a request that is still in flight',
    });
    expect(upstream.sent).toHaveLength(1);
    upstream.say(response(1));
    expect([first.responses.length, second.responses.length]).toEqual([1, 0]);
  });

  test('when its progress token is in flight', () => {
    const { upstream, channel, call } = world();
    const first = call(1, 'token');
    const second = createFakeCall();
    expect(channel.request(watchedRequest(2, 'token'), second)).toEqual({
      code: -32600,
      reason: 'the progress token is in use by a request that is still in flight',
    });
    expect([upstream.sent.length, channel.isBusy()]).toEqual([1, true]);
    upstream.say(progress('token', 1));
    expect([first.got.length, second.got.length]).toEqual([1, 0]);
  });
});

test('of more than a thousand requests in flight each fails, until one is answered', () => {
  const { upstream, call } = world();
  for (let id = 0; id < 1000; id++) expect(call(id).failures).toEqual([]);
  const message = '1000 requests are in flight, the most that a client may have';
  expect(call(1000, 't').failures).toEqual([{ code: -32603, message, data: { reason: 'too_many_calls' } }]);
  expect(upstream.sent).toHaveLength(1000);
  upstream.say(response(5));
  expect([call(1000, 't').failures.length, upstream.sent.length]).toEqual([0, 1001]);
});

describe('progress', () => {
  test('goes to the call of its token only, and interleaves', () => {
    const { upstream, standalone, call } = world();
    const a = call(1, 'a');
    const b = call(2, 'b');
    for (const [token, value] of [
      ['a', 1],
      ['b', 1],
      ['b', 2],
      ['a', 2],
    ] as const)
      upstream.say(progress(token, value));
    expect(a.got.map(({ json }) => json['params'])).toEqual(
      [1, 2].map((value) => ({ progressToken: 'a', progress: value })),
    );
    expect(b.got.map(({ json }) => json['params'])).toEqual(
      [1, 2].map((value) => ({ progressToken: 'b', progress: value })),
    );
    expect(standalone.got).toEqual([]);
  });

  test('keeps the tokens 1 and "1" apart', () => {
    const { upstream, call } = world();
    const number = call(1, 1);
    const text = call(2, '1');
    upstream.say(progress('1', 1));
    expect([number.got.length, text.got.length]).toEqual([0, 1]);
  });

  test('is dropped after the response, and its token is free again', () => {
    const { upstream, standalone, call } = world();
    const first = call(1, 't');
    upstream.say(response(1));
    upstream.say(progress('t', 1));
    expect([first.got, standalone.got]).toEqual([[], []]);
    const second = call(2, 't');
    upstream.say(progress('t', 2));
    expect([first.got.length, second.got.length]).toEqual([0, 1]);
  });

  test('is dropped when nobody asked for it, when it has no token and when its client has gone', () => {
    const { upstream, standalone, call } = world();
    const plain = call(1);
    const gone = call(2, 't');
    gone.open = false;
    upstream.say(progress('other', 1));
    upstream.say(progress('t', 1));
    upstream.say(notification('notifications/progress', { progress: 1 }));
    expect([plain.got, gone.got, standalone.got]).toEqual([[], [], []]);
  });
});

const cancel = (requestId: unknown) => notification('notifications/cancelled', { requestId, reason: 'enough' });

describe('cancellation by the client', () => {
  test('reaches the server, ends the call, and a late response is dropped', () => {
    const { upstream, channel, standalone, call } = world();
    const cancelled = call(1, 't');
    const other = call(2);
    expect(channel.forward(cancel(1))).toBeUndefined();
    expect(upstream.sent.at(-1)).toBe(cancel(1).bytes.toString());
    expect([cancelled.ends, channel.isBusy()]).toEqual([1, true]);
    upstream.say(progress('t', 1));
    upstream.say(response(1));
    expect([cancelled.got, cancelled.responses, standalone.got]).toEqual([[], [], []]);
    upstream.say(response(2));
    expect(other.responses).toHaveLength(1);
  });

  test('keeps its id from another call until the server has answered all the same', () => {
    const { upstream, channel, call } = world();
    call(1);
    channel.forward(cancel(1));
    expect(channel.request(request(1), createFakeCall())?.reason).toContain('cancelled');
    upstream.say(response(1));
    const again = call(1);
    upstream.say(response(1));
    expect(again.responses).toHaveLength(1);
  });

  test.each([[99], ['1'], [null], [{}], [undefined]])('of %j, which is not in flight, only travels on', (requestId) => {
    const { upstream, channel, call } = world();
    const pending = call(1);
    expect(channel.forward(cancel(requestId))).toBeUndefined();
    expect([upstream.sent.length, pending.ends]).toEqual([2, 0]);
  });
});

describe('other notifications', () => {
  test.each([
    'notifications/tools/list_changed',
    'notifications/resources/list_changed',
    'notifications/prompts/list_changed',
    'notifications/resources/updated',
    'notifications/elicitation/complete',
  ])('%s prefers the general stream', (method) => {
    const { upstream, standalone, call } = world();
    const pending = call(1);
    upstream.say(notification(method));
    expect([methodsOf(standalone), methodsOf(pending)]).toEqual([[method], []]);
    standalone.open = false;
    upstream.say(notification(method));
    expect(methodsOf(pending)).toEqual([method]);
  });

  test('log messages prefer the newest open call', () => {
    const { upstream, standalone, call } = world();
    const pending = call(1);
    upstream.say(log);
    upstream.say(response(1));
    upstream.say(log);
    expect([pending.got.length, standalone.got.length]).toEqual([1, 1]);
  });

  test('log messages prefer the newest of those calls that go on', () => {
    const { upstream, standalone, call } = world();
    const [oldest, newer, newest] = [call(1), call(2), call(3)];
    upstream.say(response(3));
    upstream.say(log);
    newer.open = false;
    upstream.say(log);
    expect([oldest, newer, newest, standalone].map(({ got }) => got.length)).toEqual([1, 1, 0, 0]);
  });

  test('of the client reach the server as they came', () => {
    const { upstream, channel } = world();
    const sent = notification('notifications/initialized', { 'x-unknown': [1] });
    expect(channel.forward(sent)).toBeUndefined();
    expect(upstream.sent).toEqual([sent.bytes.toString()]);
  });
});

describe('the end of the upstream', () => {
  test('fails every call once, with the reason and the last words, and is told on', () => {
    const { upstream, channel, ends, call } = world();
    const calls = [call(1), call('two', 't')];
    upstream.die({ reason: 'the server exited with code 3', exitCode: 3, stderr: 'disk full\nbye' });
    const failure = {
      code: -32603,
      message: 'the server exited with code 3; its last stderr output: disk full\nbye',
      data: { reason: 'upstream_exited', exitCode: 3, stderr: 'disk full\nbye' },
    };
    for (const { failures } of calls) expect(failures).toEqual([failure]);
    expect(ends).toMatchObject([{ exitCode: 3 }]);
    expect(channel.isBusy()).toBe(false);
  });

  test('without last words is told without them', () => {
    expect(
      failureOf({ reason: 'the server was ended by SIGKILL', code: 'upstream_exited', signal: 'SIGKILL', stderr: '' }),
    ).toEqual({
      code: -32603,
      message: 'the server was ended by SIGKILL',
      data: { reason: 'upstream_exited', signal: 'SIGKILL', stderr: '' },
    });
  });

  test('closing fails the calls in flight once and ends the upstream', async () => {
    const { upstream, channel, ends, call } = world();
    const pending = call(1);
    await channel.close();
    expect(pending.failures).toEqual([
      { code: -32603, message: 'the session was ended', data: { reason: 'session_ended' } },
    ]);
    expect([upstream.closeCalls, ends.length]).toEqual([1, 1]);
  });
});

test('the loss of the connection fails the calls in flight, frees every id, and the channel goes on', () => {
  const { upstream, ends, channel, call } = world();
  const [first, second] = [call(1), call(2)];
  call(3);
  channel.forward(notification('notifications/cancelled', { requestId: 3 }));
  upstream.lose({ reason: 'the server was ended by SIGKILL', signal: 'SIGKILL', stderr: 'oops' });
  const reason = 'the server was ended by SIGKILL; its last stderr output: oops';
  expect([first, second].map(({ failures }) => failures.map(({ message }) => message))).toEqual([[reason], [reason]]);
  const next = [call(1), call(3)];
  upstream.say(response(1));
  upstream.say(response(3));
  expect([next.map(({ responses }) => responses.length), ends]).toEqual([[1, 1], []]);
});

test('a call whose request will be sent again outlives the loss of the connection, with its progress', () => {
  const { upstream, call } = world();
  const [surviving, lost] = [call(1, 't'), call('1')];
  upstream.lose({ untaken: [notification('notifications/cancelled', { requestId: '1' }), request(1)] });
  expect([surviving.failures.length, lost.failures.length]).toEqual([0, 1]);
  upstream.say(progress('t', 1));
  upstream.say(response(1));
  expect([surviving.got.length, surviving.responses.length]).toEqual([1, 1]);
});

describe('an upstream that takes nothing', () => {
  test('fails the request, whose id and token are free again', () => {
    const { upstream, channel, call } = world();
    upstream.accepting = false;
    const refused = call(1, 't');
    const failure = {
      code: -32603,
      message: 'the server does not read its input',
      data: { reason: 'upstream_not_reading' },
    };
    expect(refused.failures).toEqual([failure]);
    expect(channel.isBusy()).toBe(false);
    upstream.accepting = true;
    expect(call(1, 't').failures).toEqual([]);
  });

  test('refuses the notification', () => {
    const { upstream, channel } = world();
    upstream.accepting = false;
    expect(channel.forward(log)).toEqual({ code: -32603, reason: 'the server does not read its input' });
  });
});

describe('back-pressure', () => {
  test('a client that does not read pauses the upstream until it does', () => {
    const { upstream, call } = world();
    const slow = call(1, 't');
    slow.fast = false;
    upstream.say(progress('t', 1));
    expect(upstream.paused).toBe(true);
    slow.drain();
    expect(upstream.paused).toBe(false);
  });

  test('the upstream waits for the last of several slow clients, and is paused once', () => {
    const { upstream, standalone, call } = world();
    const a = call(1, 'a');
    standalone.fast = false;
    a.fast = false;
    upstream.say(progress('a', 1));
    upstream.say(progress('a', 2));
    upstream.say(notification('notifications/tools/list_changed'));
    a.drain();
    expect([upstream.paused, upstream.pauses]).toEqual([true, 1]);
    standalone.drain();
    expect(upstream.paused).toBe(false);
    upstream.say(progress('a', 3));
    expect([upstream.paused, upstream.pauses]).toEqual([true, 2]);
  });

  test('a large response counts as well', () => {
    const { upstream, call } = world();
    const slow = call(1);
    slow.fast = false;
    upstream.say(response(1));
    expect(upstream.paused).toBe(true);
    slow.drain();
    expect(upstream.paused).toBe(false);
  });

  test('a client that reads pauses nothing', () => {
    const { upstream, call } = world();
    call(1, 't');
    upstream.say(progress('t', 1));
    upstream.say(response(1));
    expect(upstream.pauses).toBe(0);
  });
});

describe('an ask whose client goes before it has answered', () => {
  test('is put again on another way, once, and its answer is taken', () => {
    const { upstream, channel, standalone, call } = world();
    const gone = call(1);
    upstream.say(request('ask', 'elicitation/create'));
    gone.leave();
    expect([methodsOf(gone), methodsOf(standalone)]).toEqual([['elicitation/create'], ['elicitation/create']]);
    channel.forward(response('ask'));
    expect(upstream.sent.at(-1)).toContain('"ask"');
  });

  test('but not when the client has answered', () => {
    const { upstream, channel, standalone, call } = world();
    const gone = call(1);
    upstream.say(request('ask', 'elicitation/create'));
    channel.forward(response('ask'));
    gone.leave();
    expect(standalone.got).toEqual([]);
  });
});

const unwatched = (id: number) => request(id, 'tools/call', { _meta: { progressToken: null } });

test('a progress token of null is no token: two calls may have it', () => {
  const { channel } = world();
  expect(channel.request(unwatched(1), createFakeCall())).toBeUndefined();
  expect(channel.request(unwatched(2), createFakeCall())).toBeUndefined();
});
