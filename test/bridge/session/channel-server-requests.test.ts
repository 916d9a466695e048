// Requests of the server to the client: src/bridge/channel.ts.
import { describe, expect, test } from 'vitest';
import type { RequestId } from '../../../src/mcp/json-rpc.ts';
import { world } from './channel-world.ts';
import { methodsOf, type FakeCall } from './fake-sink.ts';
import { failedResponse, notification, request, response } from '../messages.ts';

const serverRequest = (id: RequestId) => request(id, 'sampling/createMessage');

function away(call: FakeCall, absence: 'short' | 'long'): void {
  call.open = false;
  call.absent = absence;
}

describe('asks', () => {
  test('go to the newest open call', () => {
    const { upstream, standalone, call } = world();
    const [old, newest, gone] = [call(1), call(2), call(3)];
    gone.open = false;
    upstream.say(serverRequest('ask'));
    expect([old.got.length, newest.got.length, gone.got.length, standalone.got.length]).toEqual([0, 1, 0, 0]);
  });

  test('go to the call that they came with, where the transport tells', () => {
    const { upstream, standalone, call } = world();
    const [older, newer] = [call(1), call(2)];
    upstream.say(serverRequest('ask'), 1);
    upstream.say(notification('notifications/message', { data: 'x' }), 1);
    expect([older.got.length, newer.got.length, standalone.got.length]).toEqual([2, 0, 0]);
    older.open = false;
    upstream.say(serverRequest('again'), 1);
    expect(newer.got).toHaveLength(1);
  });

  test('are withdrawn when the server has forgotten them, and their answers go nowhere', () => {
    const { upstream, channel, standalone } = world();
    upstream.say(serverRequest('ask'));
    upstream.lose();
    expect(standalone.got.map(({ json }) => json['params'])).toEqual([
      {},
      { requestId: 'ask', reason: 'the server exited with code 1' },
    ]);
    channel.forward(response('ask'));
    expect(upstream.sent).toEqual([]);
  });

  test('go to the general stream without an open call', () => {
    const { upstream, standalone, call } = world();
    call(1).open = false;
    upstream.say(serverRequest('ask'));
    expect(methodsOf(standalone)).toEqual(['sampling/createMessage']);
  });

  test('get their answer to the server, once', () => {
    const { upstream, channel, call } = world();
    call(1);
    upstream.say(serverRequest(7));
    const answer = response(7, { role: 'assistant' });
    expect(channel.forward(answer)).toBeUndefined();
    expect(channel.forward(answer)).toBeUndefined();
    expect(upstream.sent.slice(1)).toEqual([answer.bytes.toString()]);
  });

  test('keep 7 and "7" apart; an answer to an ask that was never made is not forwarded', () => {
    const { upstream, channel } = world();
    upstream.say(serverRequest(7));
    expect(channel.forward(response('7'))).toBeUndefined();
    expect(channel.forward(failedResponse(8))).toBeUndefined();
    expect(upstream.sent).toEqual([]);
    channel.forward(failedResponse(7));
    expect(upstream.sent).toHaveLength(1);
  });

  test('may have the id of a call in flight', () => {
    const { upstream, channel, call } = world();
    const pending = call(1);
    upstream.say(serverRequest(1));
    channel.forward(response(1, { from: 'client' }));
    upstream.say(response(1, { from: 'server' }));
    expect(upstream.sent).toHaveLength(2);
    expect(pending.responses).toMatchObject([{ json: { result: { from: 'server' } } }]);
  });

  test('that the server withdraws are followed by the withdrawal, and take no answer any more', () => {
    const { upstream, channel, standalone, call } = world();
    const older = call(1);
    upstream.say(serverRequest('ask'));
    const newer = call(2);
    upstream.say(notification('notifications/cancelled', { requestId: 'ask' }));
    expect(methodsOf(older)).toEqual(['sampling/createMessage', 'notifications/cancelled']);
    expect([newer.got, standalone.got]).toEqual([[], []]);
    channel.forward(response('ask'));
    expect(upstream.sent).toHaveLength(2);
  });

  test('whose call has gone are withdrawn on the general stream', () => {
    const { upstream, standalone, call } = world();
    const first = call(1);
    upstream.say(serverRequest('ask'));
    first.open = false;
    upstream.say(notification('notifications/cancelled', { requestId: 'ask' }));
    expect(methodsOf(standalone)).toEqual(['notifications/cancelled']);
  });

  test('get their answer once more when the server has not taken it', () => {
    const { upstream, channel } = world();
    upstream.say(serverRequest(7));
    upstream.accepting = false;
    expect(channel.forward(response(7))).toEqual({ code: -32603, reason: 'the server does not read its input' });
    upstream.accepting = true;
    for (let times = 0; times < 2; times++) expect(channel.forward(response(7))).toBeUndefined();
    expect(upstream.sent).toEqual([response(7).bytes.toString()]);
  });

  test('may have the id of one that is just being answered', () => {
    const { upstream, channel } = world();
    upstream.say(serverRequest(7));
    upstream.onSent = () => {
      upstream.onSent = () => {};
      upstream.say(serverRequest(7));
    };
    for (let times = 0; times < 3; times++) channel.forward(response(7));
    expect(upstream.sent).toHaveLength(2);
  });

  test('are open up to a thousand; of more, the oldest is refused', () => {
    const { upstream, channel } = world();
    for (let id = 0; id < 1000; id++) upstream.say(serverRequest(id));
    expect(upstream.sent).toEqual([]);
    upstream.say(serverRequest(1000));
    expect(upstream.sent.splice(0)).toEqual([
      '{"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"too many requests of the server are unanswered","data":{"reason":"too_many_asks"}}}',
    ]);
    for (const id of [0, 1, 1000]) channel.forward(response(id));
    expect(upstream.sent).toEqual([1, 1000].map((id) => response(id).bytes.toString()));
  });

  describe('that are given up', () => {
    test('are answered by us, and by nobody after that', () => {
      const { upstream, channel } = world();
      const lost = serverRequest('x');
      upstream.say(lost);
      for (let times = 0; times < 2; times++) channel.giveUp(lost);
      channel.forward(response('x'));
      expect(upstream.sent).toEqual([
        '{"jsonrpc":"2.0","id":"x","error":{"code":-32603,"message":"the client is not listening","data":{"reason":"client_not_listening"}}}',
      ]);
    });

    test('are not answered twice, nor after their withdrawal', () => {
      const { upstream, channel } = world();
      const [answered, withdrawn] = [serverRequest('a'), serverRequest('w')];
      for (const each of [answered, withdrawn]) upstream.say(each);
      channel.forward(response('a'));
      upstream.say(notification('notifications/cancelled', { requestId: 'w' }));
      for (const each of [answered, withdrawn]) channel.giveUp(each);
      expect(upstream.sent).toEqual([response('a').bytes.toString()]);
    });

    test('leave a later one of the same id alone', () => {
      const { upstream, channel } = world();
      const [earlier, later] = [serverRequest('x'), serverRequest('x')];
      for (const each of [earlier, later]) upstream.say(each);
      channel.giveUp(earlier);
      expect(upstream.sent).toEqual([]);
      channel.forward(response('x'));
      expect(upstream.sent).toHaveLength(1);
    });
  });

  describe('to a client that has gone and may come back', () => {
    test('stay where they are as long as there is no other way', () => {
      const { upstream, standalone, call } = world();
      const first = call(1);
      upstream.say(serverRequest('ask'));
      away(first, 'long');
      standalone.open = false;
      first.leave();
      expect([first.recalled, standalone.got]).toEqual([[], []]);
    });

    test.each(['a call', 'the general stream'])('go to %s when it is not expected back, and are taken back', (way) => {
      const { upstream, standalone, call } = world();
      const first = call(1);
      upstream.say(serverRequest('ask'));
      const other = way === 'a call' ? call(2) : standalone;
      away(first, 'long');
      first.leave();
      expect([first.recalled.map(({ id }) => id), methodsOf(other)]).toEqual([['ask'], ['sampling/createMessage']]);
    });

    test('go nowhere else when it has got them', () => {
      const { upstream, standalone, call } = world();
      const first = call(1);
      upstream.say(serverRequest('ask'));
      first.hasGot = true;
      away(first, 'long');
      first.leave();
      expect(standalone.got).toEqual([]);
    });

    test('go to a general stream that opens later, unless it is expected at any moment', () => {
      const { upstream, channel, standalone, call } = world();
      const [expected, lost, here] = [call(1), call(2), call(3)];
      for (const id of [1, 2, 3]) upstream.say(serverRequest(id), id);
      standalone.open = false;
      away(expected, 'short');
      away(lost, 'long');
      here.open = false;
      lost.leave();
      expect(standalone.got).toEqual([]);
      standalone.open = true;
      channel.recover();
      channel.recover();
      expect(standalone.got).toMatchObject([{ id: 2 }]);
      expect([expected, lost, here].map(({ recalled }) => recalled.length)).toEqual([0, 1, 0]);
    });

    test('go to it, when nobody else is there; to whoever is there, otherwise', () => {
      const { upstream, standalone, call } = world();
      const first = call(1);
      away(first, 'long');
      upstream.say(serverRequest('a'));
      standalone.open = false;
      upstream.say(serverRequest('b'));
      upstream.say(notification('notifications/message', { data: 'x' }));
      const second = call(2);
      upstream.say(serverRequest('c'), 1);
      expect([standalone.got, first.got, second.got].map((got) => got.length)).toEqual([1, 2, 1]);
    });

    test('are followed by their withdrawal', () => {
      const { upstream, standalone, call } = world();
      const first = call(1);
      upstream.say(serverRequest('ask'));
      away(first, 'long');
      upstream.say(notification('notifications/cancelled', { requestId: 'ask' }));
      expect([methodsOf(first), standalone.got]).toEqual([['sampling/createMessage', 'notifications/cancelled'], []]);
    });
  });
});

describe('a ping of the server', () => {
  test('is answered by us while no client is there', () => {
    const { upstream, channel, standalone, call } = world();
    standalone.open = false;
    const [gone, expected] = [call(1), call(2)];
    gone.open = false;
    away(expected, 'short');
    upstream.sent.length = 0;
    upstream.say(request('p', 'ping'));
    expect(upstream.sent).toEqual(['{"jsonrpc":"2.0","id":"p","result":{}}']);
    channel.forward(response('p'));
    expect([upstream.sent.length, standalone.got, gone.got, expected.got]).toEqual([1, [], [], []]);
  });

  test.each(['a call', 'the general stream'])('goes to a client that is there, on %s', (way) => {
    const { upstream, channel, standalone, call } = world();
    const there = way === 'a call' ? call(1) : standalone;
    standalone.open = there === standalone;
    upstream.sent.length = 0;
    upstream.say(request('p', 'ping'));
    expect([methodsOf(there), upstream.sent]).toEqual([['ping'], []]);
    channel.forward(response('p'));
    expect(upstream.sent).toHaveLength(1);
  });
});

describe('a ping that was handed to a client which vanishes', () => {
  const pong = '{"jsonrpc":"2.0","id":"p","result":{}}';

  test('is answered by us when its call goes', () => {
    const { upstream, standalone, call } = world();
    standalone.open = false;
    const gone = call(1);
    upstream.say(request('p', 'ping'));
    upstream.sent.length = 0;
    gone.leave();
    expect([methodsOf(gone), upstream.sent]).toEqual([['ping'], [pong]]);
  });

  test('is answered by us when its stream goes, and so is none that was answered', () => {
    const { upstream, channel, standalone } = world();
    for (const id of ['p', 'q']) upstream.say(request(id, 'ping'));
    upstream.say(request('s', 'sampling/createMessage'));
    channel.forward(response('q'));
    upstream.sent.length = 0;
    standalone.open = false;
    channel.lostListener();
    channel.lostListener();
    expect(upstream.sent).toEqual([pong]);
  });

  test('is put again to one that is there', () => {
    const { upstream, channel, standalone, call } = world();
    upstream.say(request('p', 'ping'));
    standalone.open = true;
    const there = call(1);
    standalone.open = false;
    upstream.sent.length = 0;
    channel.lostListener();
    expect([methodsOf(there), upstream.sent]).toEqual([['ping'], []]);
  });

  test('is answered where it would only wait for a client', () => {
    const { upstream, channel, standalone } = world();
    upstream.say(request('p', 'ping'));
    upstream.sent.length = 0;
    const [ping] = standalone.got;
    if (ping?.kind === 'request') channel.giveUp(ping);
    expect(upstream.sent).toEqual([pong]);
  });
});

test('a call whose client may come back gets its progress and its response, and keeps the session busy for a while', () => {
  const { upstream, channel, call } = world();
  const first = call(1, 'token');
  const progress = (value: number) =>
    upstream.say(notification('notifications/progress', { progressToken: 'token', progress: value }));
  const state = () => [first.got.length, channel.isBusy(), channel.isAwaited()];
  expect(state()).toEqual([0, true, false]);
  first.open = false;
  progress(1);
  expect(state()).toEqual([0, false, false]);
  first.absent = 'short';
  progress(2);
  expect(state()).toEqual([1, true, true]);
  first.absent = 'long';
  progress(3);
  expect(state()).toEqual([2, false, true]);
  upstream.say(response(1));
  expect([first.responses.length, channel.isAwaited()]).toEqual([1, false]);
});
