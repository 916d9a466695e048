import { describe, expect, test } from 'vitest';
import { ExposeError } from '../../src/errors.ts';
import { capabilities } from '../../src/tunnel/capabilities.ts';
import { openFirst, type Attempt, type Candidate } from '../../src/tunnel/open-first.ts';
import type { TunnelProvider } from '../../src/tunnel/provider.ts';
import { eventually, within } from '../harness/eventually.ts';
import { createFakeClock, type FakeClock } from '../harness/fake-clock.ts';

interface Plan {
  readonly unusable?: TunnelProvider['unusable'];
  readonly create?: () => Promise<never>;
  readonly limitMs?: number;
  /** What becomes of it when it is opened. Default: it is up. */
  readonly open?: (signal: AbortSignal) => Promise<string>;
}

const objection = 'it does not do';

interface World {
  readonly clock: FakeClock;
  readonly attempts: Attempt[];
  readonly abort: AbortController;
  readonly opened: Promise<string | undefined>;
  /** Of the candidates, in order. */
  readonly begun: string[];
}

function openFirstOf(plans: Record<string, Plan>, objectedTo?: string): World {
  const clock = createFakeClock();
  const attempts: Attempt[] = [];
  const begun: string[] = [];
  const abort = new AbortController();
  const candidates = Object.entries(plans).map(([name, { create, unusable, limitMs }]): Candidate => {
    const provider: TunnelProvider = {
      name,
      capabilities: capabilities.ssh,
      ...(unusable === undefined ? {} : { unusable }),
      open: () => Promise.reject(new Error('opened by whoever was asked to')),
    };
    return { name, create: create ?? (async () => provider), ...(limitMs === undefined ? {} : { limitMs }) };
  });
  const opened = openFirst({
    candidates,
    clock,
    signal: abort.signal,
    ...(objectedTo === undefined
      ? {}
      : { objectionTo: ({ name }: TunnelProvider) => (name === objectedTo ? objection : undefined) }),
    onAttempt: (attempt) => attempts.push(attempt),
    async open({ name }, signal) {
      begun.push(name);
      return (await plans[name]?.open?.(signal)) ?? name;
    },
  });
  opened.catch(() => {});
  return { clock, attempts, abort, begun, opened };
}

/** Goes on until it is ended. */
const forever = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
const fails = (message: string) => (): Promise<never> => Promise.reject(new ExposeError('tunnel_unavailable', message));

test('the first that works is the one, and no other is tried', async () => {
  const { opened, attempts, begun, clock } = openFirstOf({ one: {}, two: {} });
  expect(await opened).toBe('one');
  expect(attempts).toEqual([
    { provider: 'one', outcome: 'trying' },
    { provider: 'one', outcome: 'up' },
  ]);
  expect([begun, clock.pending]).toEqual([['one'], 0]);
});

test('of each that does not do, it is told why', async () => {
  const { opened, attempts, clock } = openFirstOf({
    missing: { unusable: async () => 'missing is not installed' },
    broken: { create: () => Promise.reject(new ExposeError('usage', 'no such thing')) },
    failing: { open: fails('no quick tunnel') },
    surprising: { unusable: () => Promise.reject(new Error('a fault of ours')) },
    working: { unusable: async () => undefined },
    other: {},
  });
  expect(await opened).toBe('working');
  expect(attempts).toEqual([
    { provider: 'missing', outcome: 'skipped', reason: 'missing is not installed' },
    { provider: 'broken', outcome: 'failed', reason: 'no such thing' },
    { provider: 'failing', outcome: 'trying' },
    { provider: 'failing', outcome: 'failed', reason: 'no quick tunnel' },
    { provider: 'surprising', outcome: 'failed', reason: 'a fault of ours' },
    { provider: 'working', outcome: 'trying' },
    { provider: 'working', outcome: 'up' },
  ]);
  expect(clock.pending).toBe(0);
});

test('when none does, there is none', async () => {
  const { opened, attempts } = openFirstOf({ one: { open: fails('no') }, two: { open: fails('no') } });
  expect(await opened).toBeUndefined();
  expect(attempts.filter(({ outcome }) => outcome === 'failed')).toHaveLength(2);
  expect(await openFirstOf({}).opened).toBeUndefined();
});

describe('time', () => {
  test('each gets as much as it may have, and then the next is tried', async () => {
    const { opened, attempts, begun, clock } = openFirstOf({ slow: { limitMs: 6000, open: forever }, quick: {} });
    await eventually(() => expect(begun).toEqual(['slow']));
    clock.advance(5999);
    expect(begun).toEqual(['slow']);
    clock.advance(1);
    expect(await within(5000, 'the next one', opened)).toBe('quick');
    expect(attempts[1]).toEqual({ provider: 'slow', outcome: 'failed', reason: 'it was not up after 6 s' });
  });

  test('all together get 20 s, and of those that had no turn that is told', async () => {
    const { opened, attempts, begun, clock } = openFirstOf({
      one: { limitMs: 16_000, open: forever },
      two: { limitMs: 16_000, open: forever },
      three: {},
      four: {},
    });
    await eventually(() => expect(begun).toEqual(['one']));
    clock.advance(16_000);
    await eventually(() => expect(begun).toEqual(['one', 'two']));
    clock.advance(4000);
    expect(await within(5000, 'the end', opened)).toBeUndefined();
    expect(attempts.slice(3)).toEqual([
      { provider: 'two', outcome: 'failed', reason: 'it was not up after 4 s' },
      { provider: 'three', outcome: 'skipped', reason: 'the 20 s for all of them were over' },
      { provider: 'four', outcome: 'skipped', reason: 'the 20 s for all of them were over' },
    ]);
    expect(clock.pending).toBe(0);
  });

  test('a look at what is installed is limited as well', async () => {
    const { opened, attempts, clock } = openFirstOf({ hanging: { limitMs: 1000, unusable: forever }, quick: {} });
    await eventually(() => expect(clock.pending).toBe(1));
    clock.advance(1000);
    expect(await within(5000, 'the next one', opened)).toBe('quick');
    expect(attempts[0]).toMatchObject({ provider: 'hanging', outcome: 'failed' });
  });
});

describe('nobody wants it any more', () => {
  test('what is under way ends, nothing else is tried, and nobody is told of a failure', async () => {
    const { opened, attempts, begun, abort, clock } = openFirstOf({ one: { open: forever }, two: {} });
    await eventually(() => expect(begun).toEqual(['one']));
    abort.abort(new Error('stopped'));
    await expect(opened).rejects.toThrow('stopped');
    expect(attempts).toEqual([{ provider: 'one', outcome: 'trying' }]);
    expect([begun, clock.pending]).toEqual([['one'], 0]);
  });

  test('one that is up in that moment is handed over all the same, so that it can be closed', async () => {
    const { opened, abort } = openFirstOf({
      one: {
        async open() {
          abort.abort(new Error('stopped'));
          return 'one';
        },
      },
    });
    expect(await opened).toBe('one');
  });
});

test('one to which the caller objects is skipped, and never asked whether it can be used', async () => {
  const asked: string[] = [];
  const unusable = async (): Promise<undefined> => void asked.push('one');
  const { opened, attempts, begun } = openFirstOf({ one: { unusable }, two: {} }, 'one');
  expect(await opened).toBe('two');
  expect(attempts[0]).toEqual({ provider: 'one', outcome: 'skipped', reason: objection });
  expect([begun, asked]).toEqual([['two'], []]);
});
