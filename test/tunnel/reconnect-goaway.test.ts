import { afterEach, beforeEach, expect, test } from 'vitest';
import { ExposeError } from '../../src/errors.ts';
import { openReconnecting, type ConnectFailure, type TunnelSession } from '../../src/tunnel/reconnect.ts';
import { createDeferred } from '../../src/platform/deferred.ts';
import { createTokenBucket } from '../../src/platform/token-bucket.ts';
import type { Tunnel, TunnelStatus } from '../../src/tunnel/provider.ts';
import type { FakeClock } from '../harness/fake-clock.ts';
import { createFakeClock } from '../harness/fake-clock.ts';
import { eventually } from './relay/world.ts';

interface FakeSession extends TunnelSession {
  end(reason: string, code?: ExposeError['code']): void;
  askToLeave(): void;
  readonly calls: string[];
}

function createFakeSession(url: string): FakeSession {
  const ended = createDeferred<ExposeError>();
  const goaway = createDeferred<void>();
  const calls: string[] = [];
  const end: FakeSession['end'] = (reason, code = 'tunnel_unavailable') => ended.resolve(new ExposeError(code, reason));
  return {
    calls,
    end,
    askToLeave() {
      goaway.resolve();
    },
    publicUrls: [url],
    ended: ended.promise,
    goaway: goaway.promise,
    finish() {
      calls.push('finish');
    },
    async close() {
      calls.push('close');
      end('closed');
      await ended.promise;
    },
  };
}

let clock: FakeClock;
let statuses: TunnelStatus[];
let attempts: Array<(result: TunnelSession | ConnectFailure) => void>;
let first: FakeSession;
let tunnel: Tunnel;
beforeEach(async () => {
  clock = createFakeClock();
  statuses = [];
  attempts = [];
  first = createFakeSession('https://a.example');
  let isFirst = true;
  tunnel = await openReconnecting({
    clock,
    random: () => 1,
    promptRedials: createTokenBucket({ burst: 2, perSecond: 0, clock }),
    signal: new AbortController().signal,
    onStatus: (status) => statuses.push(status),
    onWarning() {},
    release() {},
    connect: async (signal) => {
      if (isFirst) {
        isFirst = false;
        return first;
      }
      return await new Promise((resolve, reject) => {
        const abort = (): void => reject(new Error('aborted'));
        signal.addEventListener('abort', abort);
        attempts.push((result) => {
          signal.removeEventListener('abort', abort);
          resolve(result);
        });
      });
    },
  });
});
afterEach(async () => {
  await tunnel.close();
  if (clock.pending > 0) throw new Error('a timer is left');
});

/** The next attempt, after a wait of `delayMs` and not before. */
async function attempt(delayMs: number): Promise<(result: TunnelSession | ConnectFailure) => void> {
  await eventually(() => clock.pending > 0, 'the wait');
  clock.advance(Math.max(0, delayMs - 1));
  await new Promise(setImmediate);
  if (delayMs > 0 && attempts.length > 0) throw new Error('the attempt came early');
  clock.advance(1);
  return await eventually(() => attempts.shift(), 'an attempt');
}

function failed(message: string, options: Partial<ConnectFailure> = {}): ConnectFailure {
  return { error: new ExposeError('tunnel_unreachable', message), isFatal: false, ...options };
}

test('a lost connection is replaced, and the new URL is told', async () => {
  first.end('the connection to the relay was lost');
  (await attempt(0))(createFakeSession('https://b.example'));
  await eventually(() => statuses.at(-1)?.state === 'up', 'up');
  expect(statuses).toEqual([
    { state: 'reconnecting', publicUrls: ['https://a.example'], reason: 'the connection to the relay was lost' },
    { state: 'up', publicUrls: ['https://b.example'] },
  ]);
  expect(tunnel.publicUrls).toEqual(['https://b.example']);
});

test('attempts that fail alike are told once; the waits grow; what the relay asks for is honoured', async () => {
  first.end('lost');
  (await attempt(0))(failed('refused'));
  (await attempt(500))(failed('refused'));
  (await attempt(1000))(failed('full', { retryAfterMs: 60_000 }));
  await attempt(60_000);
  expect(statuses.map((status) => status.reason)).toEqual(['lost', 'refused', 'full']);
});

test('goaway: the new connection comes first, then the old one may finish, and the URL was never down', async () => {
  first.askToLeave();
  const dialled = await attempt(0);
  expect(first.calls).toEqual([]);
  dialled(createFakeSession('https://a.example'));
  await eventually(() => first.calls.includes('finish'), 'the old one to finish');
  first.end('taken over', 'tunnel_rejected');
  await first.ended;
  expect(statuses).toEqual([]);
});

test('goaway, and the old one ends before a new one is up', async () => {
  first.askToLeave();
  (await attempt(0))(failed('refused'));
  await eventually(() => clock.pending > 0, 'the next wait');
  expect(statuses).toEqual([]);
  first.end('the relay closed the connection');
  await eventually(() => statuses.length > 0, 'the status');
  expect(statuses.map((status) => status.state)).toEqual(['reconnecting']);
});

/** Attempts that fail, each after the given wait. */
async function fail(delaysMs: readonly number[]): Promise<void> {
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (const delayMs of delaysMs) (await attempt(delayMs))(failed('refused'));
}

test('goaway: attempts are frequent while the old one works, and begin anew when it ends', async () => {
  first.askToLeave();
  await fail([0, 500, 1000, 1000, 1000]);
  await eventually(() => clock.pending > 0, 'the next wait');
  first.end('the relay closed the connection');
  await fail([1000, 0, 500, 1000, 2000]);
  expect(statuses.map(({ reason }) => reason)).toEqual(['the relay closed the connection', 'refused']);
});

test('a peer that sends every agent away at once is not dialled without a wait', async () => {
  let session = first;
  /* oxlint-disable no-await-in-loop -- one after the other */
  for (const delayMs of [0, 0, 500, 1000, 1000]) {
    session.askToLeave();
    await eventually(() => clock.pending > 0, 'the wait');
    session.end('the relay closed the connection');
    session = createFakeSession('https://a.example');
    (await attempt(delayMs))(session);
  }
  /* oxlint-enable no-await-in-loop */
  await eventually(() => statuses.length === 10, 'up');
  expect(statuses.map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => ['reconnecting', 'up']).flat());
});

test('taken over by the same key: down, and no attempt', async () => {
  first.end('another mcp-expose with the same key took this name over', 'tunnel_rejected');
  await eventually(() => statuses.length > 0, 'the status');
  expect(statuses).toMatchObject([{ state: 'down', reason: expect.stringContaining('took this name over') }]);
  expect([attempts.length, clock.pending]).toEqual([0, 0]);
});

test('a fatal refusal: down, and no further attempt', async () => {
  first.end('lost');
  (await attempt(0))(failed('name_taken', { isFatal: true }));
  await eventually(() => statuses.at(-1)?.state === 'down', 'down');
  expect(statuses.at(-1)?.reason).toBe('name_taken');
  expect([attempts.length, clock.pending]).toEqual([0, 0]);
});

test('goaway, and a fatal refusal: down, also after the old session has ended', async () => {
  first.askToLeave();
  (await attempt(0))(failed('quota', { isFatal: true }));
  await eventually(() => statuses.length > 0, 'the status');
  expect(first.calls).toEqual(['finish']);
  first.end('the relay closed the connection');
  await tunnel.close();
  expect(statuses.map((status) => [status.state, status.reason])).toEqual([['down', 'quota']]);
});

test('close during an attempt, and twice', async () => {
  first.end('lost');
  await attempt(0);
  await tunnel.close();
  await tunnel.close();
  expect(statuses.map((status) => status.state)).toEqual(['reconnecting']);
});

test('close while waiting', async () => {
  first.end('lost');
  await eventually(() => clock.pending > 0, 'the wait');
  await tunnel.close();
  expect(attempts).toEqual([]);
});
