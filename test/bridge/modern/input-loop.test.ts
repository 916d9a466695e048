// A modern server asks in its results: the client gets server requests, and the server the same call again.
import { describe, expect, test } from 'vitest';
import { parseMessage, type RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { failedResponse, notification, request, response } from '../messages.ts';
import { methodsOf } from '../session/fake-sink.ts';
import { openWorld, outcomeOf, type Sent } from './legacy-world.ts';

const form = { method: 'elicitation/create', params: { message: 'm', requestedSchema: {} } };
const roots = { method: 'roots/list' };
const sampling = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } };

function asks(inputRequests: object, requestState?: string): object {
  return { resultType: 'input_required', inputRequests, ...(requestState === undefined ? {} : { requestState }) };
}

function read(text: string): RpcMessage {
  const parsed = parseMessage(Buffer.from(text));
  if (parsed.kind === 'fault') throw new Error(parsed.reason);
  return parsed;
}

/** So many things to ask for. */
const many = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, form]));

const failed = (text: unknown): object => ({ content: [{ type: 'text', text }], isError: true });

describe('one round', () => {
  test('all that is asked goes to the client at once, on the stream of the call, and comes back together', async () => {
    const world = await openWorld();
    const [call, newer] = [world.call('c', 'prompts/get', { name: 'p', n: 1 }), world.call('d')];
    world.toServer();
    world.say(response('c', asks({ a: form, b: roots, __proto__x: sampling }, 'state')));
    expect(methodsOf(newer)).toEqual([]);
    expect(call.got.map(({ json }) => json)).toEqual([
      { jsonrpc: '2.0', id: 1, method: 'elicitation/create', params: form.params },
      { jsonrpc: '2.0', id: 2, method: 'roots/list' },
      { jsonrpc: '2.0', id: 3, method: 'sampling/createMessage', params: sampling.params },
    ]);
    world.forward(response(2, { roots: [] }));
    world.forward(response(3, { role: 'assistant' }));
    expect(world.toServer()).toEqual([]);
    world.forward(response(1, { action: 'accept', content: { x: 1 } }));
    const [again] = world.toServer();
    expect(again).toMatchObject({
      method: 'prompts/get',
      params: {
        name: 'p',
        n: 1,
        inputResponses: {
          a: { action: 'accept', content: { x: 1 } },
          b: { roots: [] },
          __proto__x: { role: 'assistant' },
        },
        requestState: 'state',
        _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' },
      },
    });
    expect(again?.id).not.toBe('c');
    world.answer(again ?? {}, { resultType: 'complete', messages: [] });
    expect(call.responses.map(({ json }) => json)).toEqual([{ jsonrpc: '2.0', id: 'c', result: { messages: [] } }]);
  });

  test('state, answers and arguments stay as they are written', async () => {
    const world = await openWorld();
    const call = world.channel;
    const sink = world.call('first');
    world.toServer();
    world.say(response('first', asks({ a: form })));
    world.forward(response(1, { action: 'cancel' }));
    world.toServer();
    expect(sink.responses).toEqual([]);
    const exact = read(
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","arguments":{"n":1.0,"big":1e999}}}',
    );
    if (exact.kind !== 'request') throw new Error('no request');
    call.request(exact, sink);
    world.say(
      read(
        String.raw`{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","requestState":"\u0061\/","inputRequests":{"k":{"method":"elicitation/create","params":{"message":"m","n":2.50}}}}}`,
      ),
    );
    expect(sink.got.at(-1)?.bytes.toString()).toBe(
      '{"jsonrpc":"2.0","id":2,"method":"elicitation/create","params":{"message":"m","n":2.50}}',
    );
    world.server.sent.splice(0);
    world.forward(
      readResponse('{"jsonrpc":"2.0","id":2,"result":{"action":"accept","content":{"n":12345678901234567890}}}'),
    );
    expect(world.server.sent.join('')).toContain(
      String.raw`"params":{"name":"t","arguments":{"n":1.0,"big":1e999},"inputResponses":{"k":{"action":"accept","content":{"n":12345678901234567890}}},"requestState":"\u0061\/"`,
    );
  });

  test('an address gets an id, which the legacy era requires', async () => {
    const world = await openWorld();
    const call = world.call(1);
    world.say(
      response(
        1,
        asks({ a: { method: 'elicitation/create', params: { mode: 'url', url: 'https://x', message: 'm' } } }),
      ),
    );
    expect(call.got[0]?.json['params']).toEqual({
      mode: 'url',
      url: 'https://x',
      message: 'm',
      elicitationId: expect.stringMatching(/^[\da-f-]{36}$/),
    });
  });

  test('with nothing but a state, the call is sent again after a pause', async () => {
    const world = await openWorld();
    const call = world.call(1);
    world.toServer();
    world.say(response(1, { resultType: 'input_required', requestState: 's' }));
    world.clock.advance(249);
    expect(world.toServer()).toEqual([]);
    world.clock.advance(1);
    const [again] = world.toServer();
    expect(again?.params).toMatchObject({ requestState: 's' });
    expect(again?.params).not.toHaveProperty('inputResponses');
    world.answer(again ?? {}, { content: [] });
    expect(outcomeOf(call)).toEqual([{ content: [] }]);
  });
});

test('each round has its own answers, and there are ten', async () => {
  const world = await openWorld();
  const call = world.call(1);
  let [current]: Sent[] = world.toServer();
  for (let round = 1; round <= 10; round++) {
    world.answer(current ?? {}, asks({ [`k${round}`]: form }, `s${round}`));
    world.forward(response(round, { action: 'accept' }));
    [current] = world.toServer();
    expect(current?.params).toMatchObject({ requestState: `s${round}` });
    expect(current?.params?.['inputResponses']).toEqual({ [`k${round}`]: { action: 'accept' } });
  }
  world.answer(current ?? {}, asks({ more: form }));
  expect(outcomeOf(call)).toEqual([
    { content: [{ type: 'text', text: 'the server has asked for input more than 10 times' }], isError: true },
  ]);
});

describe('a call ends without a result', () => {
  test('when the client refuses: what else was asked is withdrawn', async () => {
    const world = await openWorld();
    const [call, prompt] = [world.call(1), world.call(2, 'prompts/get')];
    world.say(response(1, asks({ a: form, b: roots })), 1);
    world.say(response(2, asks({ a: roots })), 2);
    world.toServer();
    world.forward(failedResponse(1, { code: -1, message: 'never' }));
    world.forward(failedResponse(3, { code: -1 }));
    world.forward(response(2, { roots: [] }));
    expect(outcomeOf(call)).toEqual([failed('the client has refused what the server asks for: never')]);
    expect(outcomeOf(prompt)).toEqual([
      {
        code: -32603,
        message: 'the client has refused what the server asks for: no reason given',
        data: { reason: 'input_not_given' },
      },
    ]);
    expect(call.got.at(-1)?.json).toMatchObject({ method: 'notifications/cancelled', params: { requestId: 2 } });
    expect(world.toServer()).toEqual([]);
    expect(world.clock.pending).toBe(0);
  });

  test('when the server asks for more than a hundred things at once', async () => {
    const world = await openWorld();
    const [most, call] = [world.call(1), world.call(2)];
    world.say(response(1, asks(many(100))));
    expect(methodsOf(most)).toHaveLength(100);
    world.say(response(2, asks(many(101))));
    expect(methodsOf(call)).toEqual([]);
    expect(outcomeOf(call)).toEqual([failed('the server asks for 101 things at once, and 100 are the most')]);
  });

  test('when the answers of a round are too large together: what else was asked is withdrawn', async () => {
    const world = await openWorld();
    const call = world.call(1);
    world.say(response(1, asks({ a: form, b: form, c: form, d: form })));
    world.toServer();
    const large = response(1, { action: 'accept', content: { text: 'x'.repeat(33 * 1024 * 1024) } });
    world.forward(large);
    world.forward({ ...large, id: 2 });
    expect(outcomeOf(call)).toEqual([
      failed('the answers to what the server asks are larger than 67108864 bytes together'),
    ]);
    expect(methodsOf(call).slice(4)).toEqual(['notifications/cancelled', 'notifications/cancelled']);
    expect(world.toServer()).toEqual([]);
  });

  test('when the client does not answer', async () => {
    const world = await openWorld();
    const call = world.call(1);
    world.say(response(1, asks({ a: form })));
    world.clock.advance(10 * 60 * 1000 - 1);
    expect(outcomeOf(call)).toEqual([]);
    world.clock.advance(1);
    expect(outcomeOf(call)).toEqual([failed('the client has not answered within 10 minutes')]);
    expect(methodsOf(call)).toEqual(['elicitation/create', 'notifications/cancelled']);
  });

  test('when the client cannot do it', async () => {
    const world = await openWorld({}, { elicitation: {} });
    const [call, url] = [world.call(1), world.call(2)];
    world.say(response(1, asks({ a: form, b: sampling })));
    world.say(response(2, asks({ a: { method: 'elicitation/create', params: { mode: 'url' } } })));
    expect(outcomeOf(call)).toEqual([
      failed('the server asks for sampling/createMessage, of which the client is not capable'),
    ]);
    expect(outcomeOf(url)).toEqual([
      failed('the server asks for elicitation/create, of which the client is not capable'),
    ]);
    expect(methodsOf(call)).toEqual([]);
  });

  test.each([
    ['asks for nothing', { resultType: 'input_required' }, 'the server asks for input, but does not say for which'],
    ['asks in another form', asks({ a: 7 }), 'the server asks for input, but does not say for which'],
    [
      'asks for what nobody knows',
      asks({ a: { method: 'ping' } }),
      'the server asks for "ping", which no client knows',
    ],
  ])('when the server %s', async (_what, result, message) => {
    const world = await openWorld();
    const call = world.call(1);
    world.say(response(1, result));
    expect(outcomeOf(call)).toEqual([{ code: -32603, message, data: { reason: 'message_unreadable' } }]);
  });

  test('when a method that may not ask does', async () => {
    const world = await openWorld();
    const call = world.call(1, 'tools/list', {});
    world.say(response(1, asks({ a: form })));
    expect(outcomeOf(call)).toMatchObject([{ data: { reason: 'unknown_result_type' } }]);
  });

  test('when the server does not take it again', async () => {
    const world = await openWorld();
    const call = world.call(1);
    world.say(response(1, asks({ a: form })));
    world.server.accepting = false;
    world.forward(response(1, { action: 'accept' }));
    expect(outcomeOf(call)).toMatchObject([{ code: -32603 }]);
  });

  test('when the client cancels it: what was asked is withdrawn, and the server hears of nothing that it does not know', async () => {
    const world = await openWorld();
    const call = world.call(1);
    world.say(response(1, asks({ a: form, b: roots })));
    world.toServer();
    world.forward(notification('notifications/cancelled', { requestId: 1 }));
    expect(world.toServer()).toEqual([]);
    const withdrawn = [...call.got, ...world.standalone.got].filter(
      ({ method }) => method === 'notifications/cancelled',
    );
    expect(withdrawn.map(({ json }) => json['params'])).toMatchObject([{ requestId: 1 }, { requestId: 2 }]);
    world.forward(response(1, { action: 'accept' }));
    world.forward(response(2, { roots: [] }));
    expect(world.toServer()).toEqual([]);
    expect(world.clock.pending).toBe(0);
  });

  test('when the client cancels it after it was sent again: under the id that the server knows', async () => {
    const world = await openWorld();
    world.call(1);
    world.say(response(1, asks({ a: form })));
    world.forward(response(1, { action: 'accept' }));
    const again = world.toServer().at(-1);
    world.forward(notification('notifications/cancelled', { requestId: 1, reason: 'r' }));
    expect(world.toServer()).toMatchObject([
      { method: 'notifications/cancelled', params: { requestId: again?.id, reason: 'r' } },
    ]);
    world.answer(again ?? {}, { content: [] });
    expect(world.toServer()).toEqual([]);
  });

  test('when the server is lost: nobody waits for answers any more', async () => {
    const world = await openWorld();
    const [asking, again] = [world.call(1), world.call(2)];
    world.say(response(1, asks({ a: form })));
    world.say(response(2, asks({ a: roots })));
    world.forward(response(2, { roots: [] }));
    const sent = world.toServer().at(-1);
    world.server.lose({ untaken: [request(sent?.id ?? '')] });
    expect(outcomeOf(asking)).toMatchObject([{ data: { reason: 'upstream_exited' } }]);
    expect(methodsOf(world.standalone)).toEqual(['notifications/cancelled']);
    // It comes to the server that comes back.
    world.answer(sent ?? {}, { content: [] });
    expect(outcomeOf(again)).toEqual([{ content: [] }]);
    world.forward(response(1, { action: 'accept' }));
    expect(world.toServer()).toEqual([]);
  });

  test('when the client has gone for good', async () => {
    const world = await openWorld();
    world.standalone.open = false;
    const call = Object.assign(world.call(1), { isResponseOnly: true });
    world.say(response(1, asks({ a: form, b: roots })));
    expect(outcomeOf(call)).toMatchObject([{ isError: true }]);
    expect(world.clock.pending).toBe(0);
  });
});

function readResponse(text: string) {
  const message = read(text);
  if (message.kind !== 'response') throw new Error('no response');
  return message;
}
