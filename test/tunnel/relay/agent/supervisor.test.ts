import { afterEach, beforeEach, expect, test } from 'vitest';
import { ExposeError } from '../../../../src/errors.ts';
import type { Connection, ConnectResult } from '../../../../src/tunnel/relay/agent/connection.ts';
import type { Failure } from '../../../../src/tunnel/relay/agent/failures.ts';
import type { Supervisor } from '../../../../src/tunnel/relay/agent/supervisor.ts';
import { superviseConnection } from '../../../../src/tunnel/relay/agent/supervisor.ts';
import { createBackoff } from '../../../../src/platform/backoff.ts';
import { createDeferred } from '../../../../src/platform/deferred.ts';
import type { TunnelStatus } from '../../../../src/tunnel/provider.ts';
import type { FakeClock } from '../../../harness/fake-clock.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';
import { eventually } from '../world.ts';

interface FakeConnection extends Connection {
  end(code: number, reason: string): void;
  askToLeave(): void;
  readonly calls: string[];
}

function createFakeConnection(url: string): FakeConnection {
  const ended = createDeferred<{ code: number; reason: string }>();
  const goaway = createDeferred<void>();
  const calls: string[] = [];
  const end = (code: number, reason: string): void => {
    goaway.resolve();
    ended.resolve({ code, reason });
  };
  return {
    calls,
    end,
    askToLeave() {
      goaway.resolve();
    },
    welcome: {
      type: 'welcome',
      session: 's',
      epoch: 1,
      name: 'files',
      urls: [url],
      resumeMs: 0,
      heartbeatMs: 15_000,
      limits: { streams: 256 },
    },
    ended: ended.promise,
    goaway: goaway.promise,
    finish() {
      calls.push('finish');
    },
    async close() {
      calls.push('close');
      end(1000, 'closed');
      await ended.promise;
    },
  };
}

let clock: FakeClock;
let statuses: TunnelStatus[];
let attempts: Array<(result: ConnectResult) => void>;
let first: FakeConnection;
let supervisor: Supervisor;
beforeEach(() => {
  clock = createFakeClock();
  statuses = [];
  attempts = [];
  first = createFakeConnection('https://a.example');
  supervisor = superviseConnection({
    first,
    clock,
    backoff: createBackoff({ clock, random: () => 1 }),
    onStatus: (status) => statuses.push(status),
    connect: async (signal) =>
      await new Promise((resolve, reject) => {
        attempts.push(resolve);
        signal.addEventListener('abort', () => {
          reject(new Error('aborted'));
        });
      }),
  });
});
afterEach(async () => {
  await supervisor.close();
  if (clock.pending > 0) throw new Error('a timer is left');
});

/** The next attempt, after a wait of `delayMs` and not before. */
async function attempt(delayMs: number): Promise<(result: ConnectResult) => void> {
  await eventually(() => clock.pending > 0, 'the wait');
  clock.advance(Math.max(0, delayMs - 1));
  if (delayMs > 0 && attempts.length > 0) throw new Error('the attempt came early');
  clock.advance(1);
  return await eventually(() => attempts.shift(), 'an attempt');
}

function failed(message: string, options: Partial<Failure> = {}): ConnectResult {
  const error = new ExposeError('tunnel_unreachable', message);
  return { type: 'failed', failure: { error, isFatal: false, ...options } };
}

test('a lost connection is replaced, and the new URL is told', async () => {
  first.end(1006, 'the connection to the relay was lost');
  const connection = createFakeConnection('https://b.example');
  (await attempt(0))({ type: 'connected', connection });
  await eventually(() => statuses.at(-1)?.state === 'up', 'up');
  expect(statuses).toEqual([
    { state: 'reconnecting', publicUrls: ['https://a.example'], reason: 'the connection to the relay was lost' },
    { state: 'up', publicUrls: ['https://b.example'] },
  ]);
  expect(supervisor.publicUrls).toEqual(['https://b.example']);
});

test('attempts that fail alike are told once; the waits grow; what the relay asks for is honoured', async () => {
  first.end(1006, 'lost');
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
  dialled({ type: 'connected', connection: createFakeConnection('https://a.example') });
  await eventually(() => first.calls.includes('finish'), 'the old one to finish');
  first.end(4002, 'taken over');
  await first.ended;
  expect(statuses).toEqual([]);
});

test('goaway, and the old one ends before a new one is up', async () => {
  first.askToLeave();
  (await attempt(0))(failed('refused'));
  await eventually(() => clock.pending > 0, 'the next wait');
  expect(statuses).toEqual([]);
  first.end(1001, 'the relay closed the connection');
  await eventually(() => statuses.length > 0, 'the status');
  expect(statuses.map((status) => status.state)).toEqual(['reconnecting']);
});

test('taken over by the same key: down, and no attempt', async () => {
  first.end(4002, 'another mcp-expose with the same key took this name over');
  await eventually(() => statuses.length > 0, 'the status');
  expect(statuses).toMatchObject([{ state: 'down', reason: expect.stringContaining('took this name over') }]);
  expect([attempts.length, clock.pending]).toEqual([0, 0]);
});

test('a fatal refusal: down, and no further attempt', async () => {
  first.end(1006, 'lost');
  (await attempt(0))(failed('name_taken', { isFatal: true }));
  await eventually(() => statuses.at(-1)?.state === 'down', 'down');
  expect(statuses.at(-1)?.reason).toBe('name_taken');
  expect([attempts.length, clock.pending]).toEqual([0, 0]);
});

test('a name that another key took meanwhile is asked for again, with growing waits', async () => {
  first.end(1006, 'lost');
  const taken = failed('name_taken', { isFatal: true, isNameTaken: true });
  (await attempt(0))(taken);
  (await attempt(500))(taken);
  const again = await attempt(1000);
  expect(statuses.map((status) => [status.state, status.reason])).toEqual([
    ['reconnecting', 'lost'],
    ['reconnecting', 'name_taken'],
  ]);
  again({ type: 'connected', connection: createFakeConnection('https://a.example') });
  await eventually(() => statuses.at(-1)?.state === 'up', 'up');
});

test('close during an attempt, and twice', async () => {
  first.end(1006, 'lost');
  await attempt(0);
  await supervisor.close();
  await supervisor.close();
  expect(statuses.map((status) => status.state)).toEqual(['reconnecting']);
});

test('close while waiting', async () => {
  first.end(1006, 'lost');
  await eventually(() => clock.pending > 0, 'the wait');
  await supervisor.close();
  expect(attempts).toEqual([]);
});
