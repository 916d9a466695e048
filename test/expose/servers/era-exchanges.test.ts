import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createCounters } from '../../../src/bridge/exchange/counters.ts';
import type { Exchanges } from '../../../src/bridge/exchange/exchanges.ts';
import { EraExchanges } from '../../../src/expose/servers/era-exchanges.ts';
import { newNotification, newResult } from '../../../src/mcp/new-message.ts';
import { legacyRevisions, type Era } from '../../../src/mcp/revisions.ts';
import { gate } from '../../harness/gate.ts';
import { createFakeCall, type FakeCall } from '../../bridge/session/fake-sink.ts';
import { request } from '../../bridge/messages.ts';

const caller = { id: 'c', label: 'someone' };
const envelope = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } };

interface World {
  /** What the server is taken for. */
  era: Era;
  /** Undefined once the server has said what it is. */
  known: Promise<void> | undefined;
  readonly exchanges: EraExchanges;
  /** What was asked of what serves each era, in order. */
  readonly log: string[];
  call(callerId?: string): FakeCall;
}

/** @param made what can be made, by the era of the server. */
function worldOf(...made: Era[]): World {
  const log: string[] = [];
  const serving = (era: Era): Exchanges => {
    log.push(`${era} made`);
    return {
      request(_caller, { id }, call) {
        log.push(`${era} request`);
        call.finish(newResult(id, { era }));
      },
      notify: (_caller, { method }) => void log.push(`${era} ${method}`),
      capabilities: () => ({ [era]: {} }),
      report: () => ({ children: log.length, parked: 0, tasks: 0, counters: createCounters() }),
      endCaller: (callerId) => void log.push(`${era} without ${callerId}`),
      close: async () => void log.push(`${era} closed`),
    };
  };
  const world: World = {
    era: 'legacy',
    known: undefined,
    log,
    exchanges: new EraExchanges({
      whenKnown: () => world.known,
      serverEra: () => world.era,
      create: Object.fromEntries(made.map((era) => [era, async () => serving(era)])),
    }),
    call(callerId = caller.id) {
      const call = createFakeCall();
      world.exchanges.request({ ...caller, id: callerId }, request(1, 'tools/list', envelope), call);
      return call;
    },
  };
  return world;
}

test('what serves the era of the server is made when the first client comes, and once', async () => {
  const world = worldOf('legacy', 'modern');
  expect(world.log).toEqual([]);
  const calls = [world.call(), world.call()];
  await nextTurn();
  calls.push(world.call());
  expect(calls.map(({ responses }) => responses.length)).toEqual([1, 1, 1]);
  expect(world.log).toEqual(['legacy made', 'legacy request', 'legacy request', 'legacy request']);
});

test('a server that turns out to be another one is served as that; what was made ends with the rest', async () => {
  const world = worldOf('legacy', 'modern');
  world.call();
  await nextTurn();
  world.era = 'modern';
  world.call();
  await nextTurn();
  expect(world.exchanges.capabilities()).toEqual({ modern: {} });
  world.exchanges.notify(caller, newNotification('x/y'));
  world.exchanges.endCaller('c');
  await world.exchanges.close();
  expect(world.log.slice(2)).toEqual([
    'modern made',
    'modern request',
    'modern x/y',
    'legacy without c',
    'modern without c',
    'legacy closed',
    'modern closed',
  ]);
});

test('requests wait until the server has said what it is', async () => {
  const world = worldOf('legacy', 'modern');
  const { opened, open } = gate();
  world.known = opened;
  const [early, gone, revoked] = [world.call(), world.call(), world.call('revoked')];
  world.exchanges.notify(caller, newNotification('x/y'));
  gone.leave();
  world.exchanges.endCaller('revoked');
  expect([world.log, gone.ends, revoked.failures]).toMatchObject([[], 1, [{ data: { reason: 'credential_ended' } }]]);
  [world.era, world.known] = ['modern', undefined];
  open();
  await nextTurn();
  expect([early.responses.length, world.log]).toEqual([1, ['modern made', 'modern request']]);
});

test('no more requests wait than a client may have, and all are told of the end', async () => {
  const world = worldOf('legacy');
  world.known = gate().opened;
  const calls = Array.from({ length: 1001 }, () => world.call());
  expect(calls.at(-1)?.failures).toMatchObject([{ data: { reason: 'too_many_calls' } }]);
  await world.exchanges.close();
  expect(calls.map(({ failures }) => failures.length)).toEqual(calls.map(() => 1));
  expect([world.call().failures.length, world.log]).toEqual([1, []]);
});

test('what served a server that was replaced ends, and is made anew for the next request', async () => {
  const world = worldOf('legacy');
  world.call();
  await nextTurn();
  expect(world.exchanges.report()).toMatchObject({ children: 2 });
  await world.exchanges.dismiss();
  expect(world.exchanges.report()).toBeUndefined();
  world.call();
  await nextTurn();
  expect(world.log).toEqual(['legacy made', 'legacy request', 'legacy closed', 'legacy made', 'legacy request']);
});

test('nothing is made any more once it is closed', async () => {
  const world = worldOf('legacy');
  await world.exchanges.close();
  expect(world.call().failures).toMatchObject([{ data: { reason: 'shutting_down' } }]);
  world.exchanges.notify(caller, newNotification('x/y'));
  expect(world.log).toEqual([]);
});

test('where nothing serves modern clients, they are told the revisions of sessions', () => {
  const world = worldOf('modern');
  expect(world.call().failures).toEqual([
    {
      code: -32022,
      message: 'clients of this revision are not served here',
      data: { supported: legacyRevisions, requested: '2026-07-28' },
    },
  ]);
  world.exchanges.notify(caller, newNotification('x/y'));
  expect([world.exchanges.capabilities(), world.log]).toEqual([undefined, []]);
});
