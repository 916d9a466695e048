import { describe, expect, test } from 'vitest';
import { createDeferred, type Deferred } from '../../src/platform/deferred.ts';
import { ExposeError } from '../../src/errors.ts';

import { openReconnecting, type ReconnectOptions, type TunnelSession } from '../../src/tunnel/reconnect.ts';
import { createTokenBucket } from '../../src/platform/token-bucket.ts';
import type { Tunnel, TunnelStatus } from '../../src/tunnel/provider.ts';
import { eventually, within } from '../harness/eventually.ts';
import { createFakeClock, type FakeClock } from '../harness/fake-clock.ts';

/** One start that is under way or has succeeded; the test decides what becomes of it. */
interface Life {
  readonly signal: AbortSignal;
  readonly onUrls: Parameters<ReconnectOptions['connect']>[1];
  /** It has a URL. */
  begin(publicUrls: readonly string[], expiresAt?: number): void;
  refuse(error: unknown): void;
  /** It ends by itself. */
  die(reason: string): void;
  closes: number;
}

interface World {
  readonly clock: FakeClock;
  readonly lives: Life[];
  readonly statuses: TunnelStatus[];
  readonly warnings: string[];
  readonly abort: AbortController;
  readonly opened: Promise<Tunnel>;
  /** The next start, when it comes. */
  life(index: number): Promise<Life>;
  /** Lets a pause before the next try pass. */
  pass(ms?: number): Promise<void>;
}

const a = 'https://a.example';
const b = 'https://b.example';
const lost = new ExposeError('tunnel_unavailable', 'it broke');

function supervise(more: Partial<ReconnectOptions> = {}): World {
  const clock = createFakeClock();
  const lives: Life[] = [];
  const statuses: TunnelStatus[] = [];
  const warnings: string[] = [];
  const abort = new AbortController();
  const opened = openReconnecting({
    signal: abort.signal,
    clock,
    // The longest pause that the back-off allows.
    random: () => 1,
    onStatus: (status) => statuses.push(status),
    onWarning: (warning) => warnings.push(warning),
    release() {},
    ...more,
    async connect(signal, onUrls) {
      const started: Deferred<TunnelSession> = createDeferred();
      const ended: Deferred<ExposeError> = createDeferred();
      const life: Life = {
        signal,
        onUrls,
        closes: 0,
        begin(publicUrls, expiresAt) {
          started.resolve({
            publicUrls,
            expiresAt,
            ended: ended.promise,
            async close() {
              life.closes++;
              ended.resolve(new ExposeError('tunnel_unavailable', 'closed'));
            },
          });
        },
        refuse: started.reject,
        die: (reason) => ended.resolve(new ExposeError('tunnel_unavailable', reason)),
      };
      lives.push(life);
      signal.addEventListener('abort', () => started.reject(signal.reason));
      return await started.promise;
    },
  });
  opened.catch(() => {});
  return {
    clock,
    lives,
    statuses,
    warnings,
    abort,
    opened,
    life: (index) =>
      eventually(() => {
        const life = lives[index];
        if (life === undefined) throw new Error(`there were ${lives.length} starts`);
        return life;
      }),
    async pass(ms = 30_000) {
      await eventually(() => expect(clock.pending).toBeGreaterThan(0));
      clock.advance(ms);
    },
  };
}

/** One that is up, with its first life. */
async function up(
  expiresInMs?: number,
  more: Partial<ReconnectOptions> = {},
): Promise<World & { readonly tunnel: Tunnel; readonly first: Life }> {
  const world = supervise(more);
  const first = await world.life(0);
  first.begin([a], expiresInMs === undefined ? undefined : world.clock.now() + expiresInMs);
  return { ...world, first, tunnel: await world.opened };
}

/** Whatever follows from what has just happened has happened. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop
}

describe('the first start', () => {
  test('its URL is the tunnel’s, and no status says so', async () => {
    const { tunnel, statuses } = await up();
    expect([tunnel.publicUrls, tunnel.expiresAt]).toEqual([[a], undefined]);
    expect(statuses).toEqual([]);
  });

  test('is not repeated when it fails', async () => {
    const world = supervise();
    (await world.life(0)).refuse(lost);
    await expect(world.opened).rejects.toBe(lost);
    await settle();
    expect([world.lives.length, world.clock.pending, world.statuses]).toEqual([1, 0, []]);
  });

  test('ends with the signal', async () => {
    const world = supervise();
    await world.life(0);
    world.abort.abort(new Error('not wanted'));
    await expect(world.opened).rejects.toThrow('not wanted');
  });

  test('a URL that changes before it is over is the one', async () => {
    const world = supervise();
    const life = await world.life(0);
    life.onUrls([b]);
    life.begin([a]);
    expect((await world.opened).publicUrls).toEqual([b]);
    expect(world.statuses).toEqual([]);
  });
});

describe('a life that ends', () => {
  test('is followed by another one, once nothing is left of it, whose URL is announced', async () => {
    const { first, life, tunnel, statuses, pass } = await up();
    first.die('it broke');
    await pass();
    (await life(1)).begin([b]);
    await eventually(() => expect(statuses).toHaveLength(2));
    expect(statuses).toEqual([
      { state: 'reconnecting', publicUrls: [a], reason: 'it broke' },
      { state: 'up', publicUrls: [b] },
    ]);
    expect([first.closes, tunnel.publicUrls]).toEqual([1, [b]]);
  });

  test('is followed at once after a long life, and after a pause otherwise, a longer one each time', async () => {
    const { first, life, clock, lives } = await up();
    clock.advance(60_000);
    first.die('it broke');
    await eventually(() => expect(clock.pending).toBe(1));
    clock.advance(0);
    (await life(1)).begin([a]);
    const paused = async (index: number, pauseMs: number): Promise<void> => {
      await settle();
      lives[index]?.die('it broke');
      await eventually(() => expect(clock.pending).toBe(1));
      clock.advance(pauseMs - 1);
      await settle();
      expect(lives).toHaveLength(index + 1);
      clock.advance(1);
      (await life(index + 1)).begin([a]);
    };
    await paused(1, 500);
    await paused(2, 1000);
    await paused(3, 2000);
  });

  test('is followed at once, however short it was, as often as the bucket allows', async () => {
    const clock = createFakeClock();
    const { lives, life } = await up(undefined, {
      clock,
      promptRedials: createTokenBucket({ burst: 3, perSecond: 0, clock }),
    });
    const replaced = async (index: number, pauseMs: number): Promise<void> => {
      await settle();
      lives[index]?.die('it broke');
      await eventually(() => expect(clock.pending).toBe(1));
      if (pauseMs > 0) clock.advance(pauseMs - 1);
      await settle();
      expect(lives).toHaveLength(index + 1);
      clock.advance(Math.min(1, pauseMs));
      (await life(index + 1)).begin([a]);
    };
    await replaced(0, 0);
    await replaced(1, 0);
    await replaced(2, 0);
    await replaced(3, 500);
    await replaced(4, 1000);
  });

  test('is followed by tries that are no further apart than is bearable for now', async () => {
    const clock = createFakeClock();
    const { first, life, lives } = await up(undefined, { clock, maxDelayMs: () => 600 });
    first.die('it broke');
    const failed = async (index: number, pauseMs: number): Promise<void> => {
      await eventually(() => expect(clock.pending).toBe(1));
      if (pauseMs > 0) clock.advance(pauseMs - 1);
      await settle();
      expect(lives).toHaveLength(index);
      clock.advance(Math.min(1, pauseMs));
      (await life(index)).refuse(lost);
    };
    await failed(1, 0);
    await failed(2, 500);
    await failed(3, 600);
    await failed(4, 600);
  });

  test('is followed by as many tries as it takes, of which those that fail alike are told once', async () => {
    const { first, life, statuses, pass } = await up();
    first.die('it broke');
    await pass();
    (await life(1)).refuse(new ExposeError('tunnel_unreachable', 'nobody there'));
    await pass();
    (await life(2)).refuse(new ExposeError('tunnel_unreachable', 'nobody there'));
    await pass();
    (await life(3)).refuse(new Error('a fault of ours'));
    await pass();
    (await life(4)).begin([a]);
    await eventually(() => expect(statuses.at(-1)?.state).toBe('up'));
    expect(statuses.map(({ state, reason }) => [state, reason])).toEqual([
      ['reconnecting', 'it broke'],
      ['reconnecting', 'nobody there'],
      ['reconnecting', 'a fault of ours'],
      ['up', undefined],
    ]);
  });

  test.each(['tunnel_rejected', 'tunnel_not_installed', 'usage'] as const)(
    'is the last one when the next is refused for good: %s',
    async (code) => {
      const { first, life, lives, statuses, pass, tunnel, clock } = await up();
      first.die('it broke');
      await pass();
      (await life(1)).refuse(new ExposeError(code, 'never again'));
      await eventually(() => expect(statuses.at(-1)).toMatchObject({ state: 'down', reason: 'never again' }));
      await settle();
      expect([lives.length, clock.pending]).toEqual([2, 0]);
      await within(5000, 'the tunnel to close', tunnel.close());
    },
  );
});

describe('a URL that changes while it goes on', () => {
  test('is announced, each once', async () => {
    const { first, statuses, tunnel } = await up();
    first.onUrls([b]);
    first.onUrls([b]);
    expect(statuses).toEqual([{ state: 'up', publicUrls: [b] }]);
    expect(tunnel.publicUrls).toEqual([b]);
  });

  test('is of no interest when it is that of a life that is over', async () => {
    const { first, life, statuses, pass, tunnel } = await up();
    first.die('it broke');
    await pass();
    (await life(1)).begin([a]);
    await eventually(() => expect(statuses).toHaveLength(2));
    first.onUrls([b]);
    expect([statuses.length, tunnel.publicUrls]).toEqual([2, [a]]);
  });
});

describe('redial', () => {
  test('ends this life, and says why', async () => {
    const { first, life, statuses, pass, tunnel } = await up();
    tunnel.redial?.('it is dead');
    await pass();
    (await life(1)).begin([b]);
    await eventually(() => expect(statuses).toHaveLength(2));
    expect(statuses[0]).toEqual({ state: 'reconnecting', publicUrls: [a], reason: 'it is dead' });
    expect(first.closes).toBeGreaterThan(0);
  });

  test('is not the reason for what comes after it', async () => {
    const { life, statuses, pass, tunnel } = await up();
    tunnel.redial?.('it is dead');
    await pass();
    const second = await life(1);
    second.begin([a]);
    await eventually(() => expect(statuses).toHaveLength(2));
    second.die('it broke');
    await eventually(() => expect(statuses).toHaveLength(3));
    expect(statuses[2]?.reason).toBe('it broke');
  });

  test('is nothing to do while another one begins, and does not taint the next reason', async () => {
    const { first, life, lives, statuses, pass, tunnel } = await up();
    first.die('it broke');
    await pass();
    const second = await life(1);
    tunnel.redial?.('it is dead');
    second.begin([b]);
    await eventually(() => expect(statuses).toHaveLength(2));
    second.die('it broke again');
    await eventually(() => expect(statuses).toHaveLength(3));
    expect([statuses[2]?.reason, lives.length]).toEqual(['it broke again', 2]);
  });
});

describe('an end that is known before', () => {
  test('is counted down', async () => {
    const { clock, warnings, tunnel } = await up(3_600_000);
    expect(tunnel.expiresAt).toBe(clock.now() + 3_600_000);
    clock.advance(3_000_000 - 1);
    expect(warnings).toEqual([]);
    clock.advance(1);
    expect(warnings).toEqual(['the tunnel ends in 10 minutes, then it gets another URL']);
    clock.advance(540_000);
    expect(warnings.slice(1)).toEqual(['the tunnel ends in 1 minute, then it gets another URL']);
  });

  test('is not counted down where it is so near that it was said', async () => {
    const { clock, warnings } = await up(600_000);
    clock.advance(539_999);
    expect(warnings).toEqual([]);
    clock.advance(1);
    expect(warnings).toHaveLength(1);
  });

  test('is not counted down any more when the life is over, and anew for the next', async () => {
    const { clock, first, life, warnings, statuses, pass, tunnel } = await up(3_600_000);
    clock.advance(60_000);
    first.die('it broke');
    await eventually(() => expect(clock.pending).toBe(1));
    expect(tunnel.expiresAt).toBeUndefined();
    await pass(0);
    (await life(1)).begin([b], clock.now() + 3_600_000);
    await eventually(() => expect(statuses).toHaveLength(2));
    clock.advance(2_990_000);
    expect(warnings).toEqual([]);
    clock.advance(10_000);
    expect(warnings).toHaveLength(1);
  });
});

describe('close', () => {
  test('ends it for good, and no status tells of that', async () => {
    const { first, clock, lives, statuses, tunnel } = await up(3_600_000);
    await within(5000, 'the tunnel to close', Promise.all([tunnel.close(), tunnel.close()]));
    expect(first.closes).toBeGreaterThan(0);
    await settle();
    expect([lives.length, statuses, clock.pending]).toEqual([1, [], 0]);
  });

  test('ends a pause', async () => {
    const { first, clock, lives, tunnel } = await up();
    first.die('it broke');
    await eventually(() => expect(clock.pending).toBe(1));
    await within(5000, 'the tunnel to close', tunnel.close());
    expect([lives.length, clock.pending]).toEqual([1, 0]);
  });

  test('ends a start that is under way', async () => {
    const { first, life, statuses, pass, tunnel } = await up();
    first.die('it broke');
    await pass();
    const second = await life(1);
    await within(5000, 'the tunnel to close', tunnel.close());
    expect([second.signal.aborted, statuses.length]).toEqual([true, 1]);
  });

  test('ends a life that has begun too late', async () => {
    const { first, life, statuses, pass, tunnel } = await up();
    first.die('it broke');
    await pass();
    const second = await life(1);
    second.begin([b]);
    await within(5000, 'the tunnel to close', tunnel.close());
    expect([second.closes > 0, statuses.length]).toEqual([true, 1]);
  });
});
