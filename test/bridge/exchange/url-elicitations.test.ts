import { describe, expect, test } from 'vitest';
import type { FakeCall } from '../session/fake-sink.ts';
import { askedIn, exchangeWorld, resultOf, type ExchangeWorld, type Json } from './world.ts';

const capabilities = { elicitation: { form: {}, url: {} } };
const elicitations = [{ mode: 'url', elicitationId: 'E', url: 'https://a.example/', message: 'open it' }];
const required = { code: -32042, message: 'open first', data: { elicitations } };

const many = (count: number): Json[] =>
  Array.from({ length: count }, (_, n) => ({ mode: 'url', elicitationId: `${n}`, url: `https://a.example/${n}` }));

interface Required {
  readonly world: ExchangeWorld;
  readonly asked: ReturnType<typeof askedIn>;
  retry(answer: Json): FakeCall;
}

/** A call that the server has refused until an address was opened. */
function requiredIn(world = exchangeWorld(), error: Json = required): Required {
  const { call, id } = world.begun({ name: 'a' }, { capabilities });
  world.say({ id, error });
  const asked = askedIn(call);
  return {
    world,
    asked,
    retry: (answer) => {
      const { keys, requestState } = asked;
      const inputResponses = Object.fromEntries(keys.map((key) => [key, answer]));
      return world.call('tools/call', { name: 'a', inputResponses, requestState }, { capabilities });
    },
  };
}

const complete = { method: 'notifications/elicitation/complete', params: { elicitationId: 'E' } };

describe('an address that has to be opened before a call', () => {
  test('is put to the client; the call is made again when the server says that it is done', () => {
    const { world, asked, retry } = requiredIn();
    expect(Object.values(asked.inputRequests)).toEqual([
      { method: 'elicitation/create', params: { mode: 'url', url: 'https://a.example/', message: 'open it' } },
    ]);
    const call = retry({ action: 'accept' });
    expect(world.sent()).toEqual([]);
    world.say({ ...complete, params: { elicitationId: 'other' } });
    expect(world.sent()).toEqual([]);
    world.say(complete);
    const [again] = world.sent();
    expect(again).toMatchObject({ method: 'tools/call', params: { name: 'a' } });
    world.say({ id: again?.['id'], result: {} });
    expect(resultOf(call)['resultType']).toBe('complete');
    expect(world.exchanges.report().parked).toBe(0);
  });

  test('may be done before the client returns', () => {
    const { world, retry } = requiredIn();
    world.say(complete);
    const call = retry({ action: 'accept' });
    expect(world.sent()).toMatchObject([{ method: 'tools/call' }]);
    // What the server asks then is put to the client like anything else.
    world.say({ id: 's', method: 'elicitation/create', params: { message: 'sure?', requestedSchema: {} } });
    world.clock.advance(20);
    expect(askedIn(call).keys).toHaveLength(1);
  });

  test('is taken to be done after 45 s, and may be required again, up to ten times', () => {
    const { world, asked } = requiredIn();
    let { keys, requestState } = asked;
    for (let round = 2; round <= 10; round++) {
      const inputResponses = Object.fromEntries(keys.map((key) => [key, { action: 'accept' }]));
      const call = world.call('tools/call', { name: 'a', inputResponses, requestState }, { capabilities });
      world.clock.advance(45_000);
      world.say({ id: world.sent().at(-1)?.['id'], error: required });
      ({ keys, requestState } = askedIn(call));
    }
    const inputResponses = Object.fromEntries(keys.map((key) => [key, { action: 'accept' }]));
    const last = world.call('tools/call', { name: 'a', inputResponses, requestState }, { capabilities });
    world.clock.advance(45_000);
    world.say({ id: world.sent().at(-1)?.['id'], error: required });
    expect(last.failures).toEqual([
      {
        code: -32603,
        message: 'the server has wanted addresses to be opened more than 10 times',
        data: { reason: 'url_elicitation_required' },
      },
    ]);
  });

  test('is one of sixteen at most: more fail the call, which says so', () => {
    expect(requiredIn(exchangeWorld(), { ...required, data: { elicitations: many(16) } }).asked.keys).toHaveLength(16);
    const world = exchangeWorld();
    const { call, id } = world.begun({ name: 'a' }, { capabilities });
    world.say({ id, error: { ...required, data: { elicitations: many(17) } } });
    expect(call.failures).toEqual([
      {
        code: -32603,
        message: 'the server wants 17 addresses to be opened at once, and 16 are the most',
        data: { reason: 'url_elicitation_required' },
      },
    ]);
    expect(world.exchanges.report().parked).toBe(0);
  });

  test('is not, if the client does not want to: the call has failed', () => {
    const { world, retry } = requiredIn();
    const call = retry({ action: 'decline' });
    expect(resultOf(call)).toMatchObject({ isError: true, resultType: 'complete' });
    expect(world.sent()).toEqual([]);
    expect(world.clock.pending).toBe(1);
  });

  test('whose client cancels meanwhile is not waited for', () => {
    const { world, retry } = requiredIn();
    const call = retry({ action: 'accept' });
    call.leave();
    world.say(complete);
    world.clock.advance(45_000);
    expect(world.sent()).toEqual([]);
  });

  test('that the client does not return from costs nothing when it expires', () => {
    const { world } = requiredIn();
    world.clock.advance(10 * 60_000);
    expect(world.sent()).toEqual([]);
    expect(world.exchanges.report().parked).toBe(0);
  });

  test('cannot be put to a client that does not declare it', () => {
    const world = exchangeWorld();
    const { call, id } = world.begun({ name: 'a' }, { capabilities: { elicitation: {} } });
    world.say({ id, error: required });
    expect(call.failures).toMatchObject([
      { code: -32021, data: { requiredCapabilities: { elicitation: { url: {} } } } },
    ]);
  });

  test('is required by an error without any: that is an error like others', () => {
    const world = exchangeWorld();
    const { call, id } = world.begun({ name: 'a' }, { capabilities });
    world.say({ id, error: { code: -32042, message: 'x', data: { elicitations: [{}] } } });
    expect(call.responses.map(({ json }) => json['error'])).toMatchObject([{ code: -32603 }]);
  });
});
