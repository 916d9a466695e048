import { describe, expect, test } from 'vitest';
import type { FakeCall } from '../session/fake-sink.ts';
import {
  asking,
  askedIn,
  exchangeWorld,
  objectIn,
  resultOf,
  type CallOptions,
  type ExchangeWorld,
  type Json,
} from './world.ts';

const form = { message: 'who?', requestedSchema: { type: 'object' } };
const elicitation = { method: 'elicitation/create', params: form };
const accepted = { action: 'accept', content: { name: 'x' } };
const params = { name: 'tool', arguments: { a: 1, b: 'c' } };

interface Parked {
  readonly world: ExchangeWorld;
  /** Of the call at the server. */
  readonly id: number;
  readonly keys: string[];
  readonly requestState: string;
  retry(members: Json, options?: CallOptions): FakeCall;
}

/** A call in which the server has asked something, with the id 7. */
function parked(world = exchangeWorld(), options: CallOptions = {}): Parked {
  const { call, id } = world.begun(params, options);
  world.say({ id: 7, ...elicitation });
  world.clock.advance(20);
  const { keys, requestState } = askedIn(call);
  return {
    world,
    id,
    keys,
    requestState,
    retry: (members, retryOptions = options) => world.call('tools/call', { ...params, ...members }, retryOptions),
  };
}

function reasonOf({ failures }: FakeCall): unknown {
  return failures[0]?.data?.['reason'];
}

describe('a request of the server during a call', () => {
  test('is put to the client in the result, and the retry goes on with the call', () => {
    const world = exchangeWorld();
    const { call, id } = world.begun(params);
    const related = { progressToken: 'x', 'io.modelcontextprotocol/related-task': { taskId: 't' }, keep: 1 };
    world.say({ id: 7, method: 'elicitation/create', params: { ...form, _meta: related, task: {} } });
    expect(call.responses).toEqual([]);
    world.clock.advance(20);
    const { keys, inputRequests, requestState } = askedIn(call);
    expect(inputRequests).toEqual({
      [String(keys[0])]: { method: 'elicitation/create', params: { ...form, _meta: { keep: 1 } } },
    });
    expect(requestState).toMatch(/^mx1\.[\w-]+\.[\w-]+$/);
    expect(resultOf(call)['_meta']).toMatchObject({ 'io.modelcontextprotocol/serverInfo': { name: 'fake' } });
    expect(world.exchanges.report().parked).toBe(1);
    // That the client's request is over does not mean that it has cancelled.
    call.leave();
    expect(world.sent()).toEqual([]);

    const retry = world.call('tools/call', {
      ...params,
      requestState,
      inputResponses: { [String(keys[0])]: accepted },
    });
    expect(world.sent()).toEqual([{ jsonrpc: '2.0', id: 7, result: accepted }]);
    expect(world.exchanges.report().parked).toBe(0);
    world.say({ id, result: { content: ['done'] } });
    expect(resultOf(retry)).toMatchObject({ resultType: 'complete', content: ['done'] });
    expect(world.exchanges.report().children).toBe(1);
  });

  test('may be several at once, and further ones after the answers', () => {
    const world = exchangeWorld();
    const { call, id } = world.begun(params);
    world.say({ id: 'a', ...elicitation });
    world.clock.advance(10);
    world.say({ id: 'b', method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } });
    world.say({ id: 'c', method: 'roots/list' });
    world.clock.advance(10);
    const first = askedIn(call);
    expect(Object.values(first.inputRequests).map((asked) => objectIn(asked)['method'])).toEqual([
      'elicitation/create',
      'sampling/createMessage',
      'roots/list',
    ]);
    const answers = [accepted, { role: 'assistant', content: { type: 'text', text: 'x' }, model: 'm' }, { roots: [] }];
    const inputResponses = Object.fromEntries(first.keys.map((key, index) => [key, answers[index]]));
    const second = world.call('tools/call', { ...params, inputResponses, requestState: first.requestState });
    expect(world.sent()).toEqual(
      ['a', 'b', 'c'].map((asked, index) => ({ jsonrpc: '2.0', id: asked, result: answers[index] })),
    );
    world.say({ id: 'd', ...elicitation });
    world.clock.advance(20);
    const next = askedIn(second);
    expect(first.keys).not.toContain(next.keys[0]);
    const third = world.call('tools/call', {
      ...params,
      inputResponses: { [String(next.keys[0])]: { action: 'decline' } },
      requestState: next.requestState,
    });
    world.say({ id, result: {} });
    expect(resultOf(third)['resultType']).toBe('complete');
  });

  test('keeps numbers and whatever else is in an answer as they were written', () => {
    const { world, keys, requestState } = parked();
    const answer = '{"action":"accept", "content":{"n":12345678901234567890,"x":1.0}}';
    const raw = { ...params, requestState, inputResponses: { [String(keys[0])]: '@' } };
    const before = world.server().sent.length;
    world.raw('tools/call', JSON.stringify(raw).replace('"@"', answer));
    expect(world.server().sent.slice(before)).toEqual([`{"jsonrpc":"2.0","id":7,"result":${answer}}`]);
  });

  test.each([
    ['elicitation/create', {}],
    ['elicitation/create', { action: 'maybe' }],
    ['sampling/createMessage', { role: 'assistant', content: {} }],
    ['roots/list', { roots: {} }],
    ['roots/list', null],
  ])('%s is asked again after an answer that cannot be one: %j', (method, answer) => {
    const world = exchangeWorld();
    const { call } = world.begun(params);
    world.say({ id: 7, method, params: {} });
    world.clock.advance(20);
    const { keys, requestState } = askedIn(call);
    const retry = world.call('tools/call', { ...params, requestState, inputResponses: { [String(keys[0])]: answer } });
    expect(askedIn(retry).keys).toEqual(keys);
    expect(world.sent()).toEqual([]);
  });

  test('is asked again after a retry without its answer; what is answered reaches the server', () => {
    const world = exchangeWorld();
    const { call, id } = world.begun(params);
    world.say({ id: 'a', ...elicitation });
    world.say({ id: 'b', ...elicitation });
    world.clock.advance(20);
    const {
      keys: [a = '', b = ''],
      requestState,
    } = askedIn(call);
    const inputResponses = { [a]: accepted, other: accepted };
    const retry = world.call('tools/call', { ...params, inputResponses, requestState });
    expect(world.sent()).toEqual([{ jsonrpc: '2.0', id: 'a', result: accepted }]);
    const again = askedIn(retry);
    expect(again.keys).toEqual([b]);
    expect(again.requestState).not.toBe(requestState);
    const last = world.call('tools/call', {
      ...params,
      inputResponses: { [b]: accepted },
      requestState: again.requestState,
    });
    world.say({ id, result: {} });
    expect(resultOf(last)['resultType']).toBe('complete');
  });

  test('fails the call after three retries without any answer', () => {
    const { world, id, requestState, retry } = parked();
    let state = requestState;
    for (let round = 0; round < 2; round++) state = askedIn(retry({ requestState: state })).requestState;
    const last = retry({ requestState: state, inputResponses: 'nonsense' });
    expect(last.failures).toMatchObject([{ code: -32602, data: { reason: 'not_answered' } }]);
    expect(world.sent()).toMatchObject([
      { method: 'notifications/cancelled', params: { requestId: id } },
      { id: 7, error: { code: -32603 } },
    ]);
    expect(world.exchanges.report().parked).toBe(0);
  });

  test('that the server withdraws is no longer asked, and its late answer is dropped', () => {
    const { world, id, keys, requestState, retry } = parked();
    world.say({ method: 'notifications/cancelled', params: { requestId: 7 } });
    const late = retry({ requestState, inputResponses: { [String(keys[0])]: accepted } });
    expect(world.sent()).toEqual([]);
    world.say({ id, error: { code: -32000, message: 'too late' } });
    expect(late.responses.map(({ json }) => json['error'])).toEqual([{ code: -32000, message: 'too late' }]);
  });
});

describe('a parked call', () => {
  test('that the server ends keeps its result for the retry', () => {
    const { world, id, requestState, retry } = parked();
    world.say({ id, result: { content: ['gave up'] } });
    expect(resultOf(retry({ requestState }))).toMatchObject({ resultType: 'complete', content: ['gave up'] });
    expect(world.exchanges.report().parked).toBe(0);
  });

  test('tells of its last progress when it goes on', () => {
    const meta = { progressToken: 'p' };
    const { world, id, keys, requestState, retry } = parked(exchangeWorld(), { meta });
    for (const progress of [1, 2])
      world.say({ method: 'notifications/progress', params: { progressToken: id, progress } });
    const inputResponses = { [String(keys[0])]: accepted };
    const call = retry({ requestState, inputResponses }, { meta: { progressToken: 'q' } });
    expect(call.got.map(({ json }) => json['params'])).toEqual([{ progressToken: 'q', progress: 2 }]);
  });

  test('whose retry is cancelled is cancelled at the server', () => {
    const { world, id, keys, requestState, retry } = parked();
    const call = retry({ requestState, inputResponses: { [String(keys[0])]: accepted } });
    world.sent();
    call.leave();
    expect(world.sent()).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: id } }]);
    expect(world.exchanges.report().parked).toBe(0);
  });

  test('is over when its client has not come back in time', () => {
    const { world, id, requestState, retry } = parked(exchangeWorld({ parkTtlMs: 5000 }));
    world.clock.advance(5000);
    expect(world.sent()).toMatchObject([
      { method: 'notifications/cancelled', params: { requestId: id } },
      { id: 7, error: { code: -32603, data: { reason: 'client_gone' } } },
    ]);
    expect(world.exchanges.report().parked).toBe(0);
    const call = retry({ requestState });
    expect(call.failures).toMatchObject([{ code: -32602, data: { reason: 'expired' } }]);
    expect(world.sent()).toEqual([]);
  });

  test('is lost with its server', () => {
    const { world, requestState, retry } = parked();
    world.server().die();
    expect(reasonOf(retry({ requestState }))).toBe('upstream_exited');
    expect(world.exchanges.report()).toMatchObject({ children: 0, parked: 0 });
    expect(world.clock.pending).toBe(0);
  });

  test('is lost with its server, also where that is started again', () => {
    const { world, requestState, retry } = parked();
    world.server().lose();
    expect(reasonOf(retry({ requestState }))).toBe('upstream_exited');
  });

  test('ends with the credential of its caller', () => {
    const { world, requestState, retry } = parked();
    world.exchanges.endCaller('me');
    expect(world.exchanges.report().parked).toBe(0);
    expect(reasonOf(retry({ requestState }))).toBe('upstream_exited');
  });

  test('keeps its server from being ended', () => {
    const { world } = parked(exchangeWorld({ maxChildren: 1, parkTtlMs: 60 * 60_000 }));
    world.clock.advance(30 * 60_000);
    expect(reasonOf(world.call('tools/list', {}, { caller: 'you' }))).toBe('too_many_children');
    expect(world.exchanges.report()).toMatchObject({ children: 1, parked: 1 });
  });
});

describe('the state of a parked call', () => {
  test('is of use once', () => {
    const { requestState, retry } = parked();
    askedIn(retry({ requestState }));
    expect(reasonOf(retry({ requestState }))).toBe('consumed');
  });

  test('is of no use to another caller, with other arguments, or with other capabilities; and then still is to its own', () => {
    const { world, requestState, retry } = parked();
    expect(reasonOf(retry({ requestState }, { caller: 'you' }))).toBe('mismatch');
    expect(reasonOf(retry({ requestState, arguments: { a: 2, b: 'c' } }))).toBe('mismatch');
    expect(reasonOf(retry({ requestState, name: 'other' }))).toBe('mismatch');
    expect(reasonOf(retry({ requestState }, { capabilities: { elicitation: {} } }))).toBe('mismatch');
    expect(reasonOf(world.call('prompts/get', { ...params, requestState }))).toBe('mismatch');
    expect(world.sent()).toEqual([]);
    askedIn(retry({ requestState, arguments: { b: 'c', a: 1 } }));
  });

  test('that was made up, changed, or is of an earlier run is refused', () => {
    const { world, requestState, retry } = parked();
    const [, epoch = '', sealed = ''] = requestState.split('.');
    const changed = `${sealed.slice(0, -2)}${sealed.endsWith('AA') ? 'BB' : 'AA'}`;
    for (const [state, reason] of [
      ['', 'malformed'],
      [7, 'malformed'],
      [`mx1.${epoch}.`, 'malformed'],
      [`mx1.${epoch}.${sealed}\n`, 'malformed'],
      [`mx1.${epoch}.${changed}`, 'integrity'],
      [parked().requestState, 'bridge_restarted'],
    ] as const) {
      const call = retry({ requestState: state });
      expect(call.failures).toMatchObject([{ code: -32602, data: { reason } }]);
    }
    expect(world.exchanges.report().parked).toBe(1);
  });

  test('means nothing to a request that cannot be asked in', () => {
    const world = exchangeWorld();
    world.call('tools/list', { requestState: 'x', inputResponses: {} });
    expect(world.sent().at(-1)).toEqual({ jsonrpc: '2.0', id: 3, method: 'tools/list', params: { _meta: {} } });
  });
});

describe('there is room', () => {
  test('for 64 parked calls of a caller; of more, the oldest expires', () => {
    const world = exchangeWorld();
    const states = Array.from({ length: 65 }, () => parked(world).requestState);
    expect(world.exchanges.report().parked).toBe(64);
    const [first, second] = states.map((requestState) => () => world.call('tools/call', { ...params, requestState }));
    expect(first && reasonOf(first())).toBe('expired');
    expect(second && askedIn(second()).keys).toHaveLength(1);
  });

  test('for 256 parked calls of all', () => {
    const world = exchangeWorld();
    for (let caller = 0; caller < 5; caller++)
      for (let call = 0; call < 60; call++) parked(world, { caller: String(caller) });
    expect(world.exchanges.report().parked).toBe(256);
  });

  test('again after a thousand have expired', () => {
    const world = exchangeWorld();
    for (let round = 0; round < 1000; round++) {
      parked(world);
      if (round % 50 === 49) world.clock.advance(10 * 60_000);
    }
    expect(world.exchanges.report()).toMatchObject({ children: 1, parked: 0 });
    world.clock.advance(11 * 60_000);
    expect(world.exchanges.report().children).toBe(0);
    expect(world.clock.pending).toBe(0);
  });
});

test('a call of a client that declares nothing is not asked', () => {
  const world = exchangeWorld();
  const { call, id } = world.begun(params, { capabilities: {} });
  world.say({ id: 7, ...elicitation });
  expect(world.sent()).toMatchObject([{ id: 7, error: { code: -32603 } }]);
  world.say({ id, error: { code: -32601, message: 'Client does not support elicitation' } });
  expect(call.failures).toMatchObject([
    { code: -32021, data: { requiredCapabilities: { elicitation: { form: {} } } } },
  ]);
});

test('and gets the result if the server can do without', () => {
  const world = exchangeWorld();
  const { call, id } = world.begun(params, { capabilities: { ...asking, elicitation: { form: {} } } });
  world.say({
    id: 7,
    method: 'elicitation/create',
    params: { mode: 'url', url: 'https://a.example', elicitationId: 'e' },
  });
  world.say({ id, result: { isError: true } });
  expect(resultOf(call)).toMatchObject({ isError: true });
});
