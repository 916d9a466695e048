// Requests of the server to the client: src/bridge/channel.ts.
import { describe, expect, test } from 'vitest';
import { undeliverable } from '../../src/bridge/channel.ts';
import type { RequestId } from '../../src/mcp/json-rpc.ts';
import { world } from './channel-world.ts';
import { methodsOf, type FakeCall } from './fake-outlet.ts';
import { failedResponse, notification, request, response } from './messages.ts';

const ask = (id: RequestId) => request(id, 'sampling/createMessage');

function away(call: FakeCall, absence: 'short' | 'long'): void {
  call.open = false;
  call.absent = absence;
}

describe('asks', () => {
  test('go to the newest open call', () => {
    const { upstream, general, call } = world();
    const [old, newest, gone] = [call(1), call(2), call(3)];
    gone.open = false;
    upstream.say(ask('ask'));
    expect([old.got.length, newest.got.length, gone.got.length, general.got.length]).toEqual([0, 1, 0, 0]);
  });

  test('go to the call that they came with, where the transport tells', () => {
    const { upstream, general, call } = world();
    const [older, newer] = [call(1), call(2)];
    upstream.say(ask('ask'), 1);
    upstream.say(notification('notifications/message', { data: 'x' }), 1);
    expect([older.got.length, newer.got.length, general.got.length]).toEqual([2, 0, 0]);
    older.open = false;
    upstream.say(ask('again'), 1);
    expect(newer.got).toHaveLength(1);
  });

  test('are withdrawn when the server has forgotten them, and their answers go nowhere', () => {
    const { upstream, channel, general } = world();
    upstream.say(ask('ask'));
    upstream.lose();
    expect(general.got.map(({ json }) => json['params'])).toEqual([
      {},
      { requestId: 'ask', reason: 'the server exited with code 1' },
    ]);
    channel.forward(response('ask'));
    expect(upstream.sent).toEqual([]);
  });

  test('go to the general stream without an open call', () => {
    const { upstream, general, call } = world();
    call(1).open = false;
    upstream.say(ask('ask'));
    expect(methodsOf(general)).toEqual(['sampling/createMessage']);
  });

  test('get their answer to the server, once', () => {
    const { upstream, channel, call } = world();
    call(1);
    upstream.say(ask(7));
    const answer = response(7, { role: 'assistant' });
    expect(channel.forward(answer)).toBeUndefined();
    expect(channel.forward(answer)).toBeUndefined();
    expect(upstream.sent.slice(1)).toEqual([answer.bytes.toString()]);
  });

  test('keep 7 and "7" apart; an answer to an ask that was never made is not forwarded', () => {
    const { upstream, channel } = world();
    upstream.say(ask(7));
    expect(channel.forward(response('7'))).toBeUndefined();
    expect(channel.forward(failedResponse(8))).toBeUndefined();
    expect(upstream.sent).toEqual([]);
    channel.forward(failedResponse(7));
    expect(upstream.sent).toHaveLength(1);
  });

  test('may have the id of a call in flight', () => {
    const { upstream, channel, call } = world();
    const pending = call(1);
    upstream.say(ask(1));
    channel.forward(response(1, { from: 'client' }));
    upstream.say(response(1, { from: 'server' }));
    expect(upstream.sent).toHaveLength(2);
    expect(pending.responses).toMatchObject([{ json: { result: { from: 'server' } } }]);
  });

  test('that the server withdraws are followed by the withdrawal, and take no answer any more', () => {
    const { upstream, channel, general, call } = world();
    const older = call(1);
    upstream.say(ask('ask'));
    const newer = call(2);
    upstream.say(notification('notifications/cancelled', { requestId: 'ask' }));
    expect(methodsOf(older)).toEqual(['sampling/createMessage', 'notifications/cancelled']);
    expect([newer.got, general.got]).toEqual([[], []]);
    channel.forward(response('ask'));
    expect(upstream.sent).toHaveLength(2);
  });

  test('whose call has gone are withdrawn on the general stream', () => {
    const { upstream, general, call } = world();
    const first = call(1);
    upstream.say(ask('ask'));
    first.open = false;
    upstream.say(notification('notifications/cancelled', { requestId: 'ask' }));
    expect(methodsOf(general)).toEqual(['notifications/cancelled']);
  });

  test('are remembered up to a thousand; the answer to the oldest beyond that is ignored', () => {
    const { upstream, channel } = world();
    for (let id = 0; id <= 1000; id++) upstream.say(ask(id));
    channel.forward(response(0));
    expect(upstream.sent).toEqual([]);
    channel.forward(response(1));
    channel.forward(response(1000));
    expect(upstream.sent).toHaveLength(2);
  });

  test('that could not be delivered have an answer of ours', () => {
    expect(undeliverable(ask('x')).json).toEqual({
      jsonrpc: '2.0',
      id: 'x',
      error: { code: -32603, message: 'the client is not listening' },
    });
  });

  describe('to a client that has gone and may come back', () => {
    test('stay where they are as long as there is no other way', () => {
      const { upstream, general, call } = world();
      const first = call(1);
      upstream.say(ask('ask'));
      away(first, 'long');
      general.open = false;
      first.leave();
      expect([first.recalled, general.got]).toEqual([[], []]);
    });

    test.each(['a call', 'the general stream'])('go to %s when it is not expected back, and are taken back', (way) => {
      const { upstream, general, call } = world();
      const first = call(1);
      upstream.say(ask('ask'));
      const other = way === 'a call' ? call(2) : general;
      away(first, 'long');
      first.leave();
      expect([first.recalled.map(({ id }) => id), methodsOf(other)]).toEqual([['ask'], ['sampling/createMessage']]);
    });

    test('go nowhere else when it has got them', () => {
      const { upstream, general, call } = world();
      const first = call(1);
      upstream.say(ask('ask'));
      first.hasGot = true;
      away(first, 'long');
      first.leave();
      expect(general.got).toEqual([]);
    });

    test('go to a general stream that opens later, unless it is expected at any moment', () => {
      const { upstream, channel, general, call } = world();
      const [expected, lost, here] = [call(1), call(2), call(3)];
      for (const id of [1, 2, 3]) upstream.say(ask(id), id);
      general.open = false;
      away(expected, 'short');
      away(lost, 'long');
      here.open = false;
      lost.leave();
      expect(general.got).toEqual([]);
      general.open = true;
      channel.recover();
      channel.recover();
      expect(general.got).toMatchObject([{ id: 2 }]);
      expect([expected, lost, here].map(({ recalled }) => recalled.length)).toEqual([0, 1, 0]);
    });

    test('go to it, when nobody else is there; to whoever is there, otherwise', () => {
      const { upstream, general, call } = world();
      const first = call(1);
      away(first, 'long');
      upstream.say(ask('a'));
      general.open = false;
      upstream.say(ask('b'));
      upstream.say(notification('notifications/message', { data: 'x' }));
      const second = call(2);
      upstream.say(ask('c'), 1);
      expect([general.got, first.got, second.got].map((got) => got.length)).toEqual([1, 2, 1]);
    });

    test('are followed by their withdrawal', () => {
      const { upstream, general, call } = world();
      const first = call(1);
      upstream.say(ask('ask'));
      away(first, 'long');
      upstream.say(notification('notifications/cancelled', { requestId: 'ask' }));
      expect([methodsOf(first), general.got]).toEqual([['sampling/createMessage', 'notifications/cancelled'], []]);
    });
  });
});

test('a call whose client may come back gets its progress and its response, and keeps the session busy for a while', () => {
  const { upstream, channel, call } = world();
  const first = call(1, 'token');
  first.open = false;
  upstream.say(notification('notifications/progress', { progressToken: 'token', progress: 1 }));
  expect([first.got.length, channel.isBusy()]).toEqual([0, false]);
  first.absent = 'short';
  upstream.say(notification('notifications/progress', { progressToken: 'token', progress: 2 }));
  expect([first.got.length, channel.isBusy()]).toEqual([1, true]);
  first.absent = 'long';
  upstream.say(notification('notifications/progress', { progressToken: 'token', progress: 3 }));
  expect([first.got.length, channel.isBusy()]).toEqual([2, false]);
  upstream.say(response(1));
  expect(first.responses).toHaveLength(1);
});
