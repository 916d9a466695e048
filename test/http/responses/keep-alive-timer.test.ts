import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  commentBeats,
  createKeepAliveTimer,
  openingBeats,
  type KeepAliveTimer,
} from '../../../src/http/responses/keep-alive-timer.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Beat {
  readonly atMs: number;
  readonly checksStalls: boolean;
}

function beatsOf(keepAliveTimer: KeepAliveTimer): { beats: Beat[]; stop: () => void } {
  const beats: Beat[] = [];
  const begunAt = Date.now();
  return {
    beats,
    stop: keepAliveTimer.onBeat((checksStalls) => beats.push({ atMs: Date.now() - begunAt, checksStalls })),
  };
}

/** From the first beat to this one, in milliseconds. */
function between(beats: readonly Beat[], number: number): number {
  return (beats[number]?.atMs ?? NaN) - (beats[0]?.atMs ?? NaN);
}

test('it beats every second, and every ten seconds it is looked who takes nothing', () => {
  const keepAliveTimer = createKeepAliveTimer();
  const { beats } = beatsOf(keepAliveTimer);
  vi.advanceTimersByTime(30_000);
  expect(beats.map(({ atMs }) => atMs)).toEqual(Array.from({ length: 30 }, (_, at) => 1000 * (at + 1)));
  expect(beats.filter(({ checksStalls }) => checksStalls).map(({ atMs }) => atMs)).toEqual([10_000, 20_000, 30_000]);
  keepAliveTimer.close();
});

test('a tunnel that cuts soon makes it beat faster, but not look more often', () => {
  const keepAliveTimer = createKeepAliveTimer();
  const { beats } = beatsOf(keepAliveTimer);
  keepAliveTimer.setMaxSilence(2500);
  vi.advanceTimersByTime(20_000);
  expect(beats[0]).toEqual({ atMs: 208, checksStalls: false });
  const looks = beats.filter(({ checksStalls }) => checksStalls).map(({ atMs }) => atMs);
  expect(looks.map((atMs) => Math.round(atMs / 1000))).toEqual([10]);
  keepAliveTimer.close();
});

test.each([
  [undefined, 12_000],
  [15_000, 12_000],
  [5000, 5000],
  [2500, 2500],
])(
  'where a silence of %j ms is allowed, a comment comes within %i ms, whenever the silence began',
  (asked, limitMs) => {
    const keepAliveTimer = createKeepAliveTimer();
    const { beats } = beatsOf(keepAliveTimer);
    if (asked !== undefined) keepAliveTimer.setMaxSilence(asked);
    vi.advanceTimersByTime(60_000);
    // At the longest it begins just after a beat.
    expect(between(beats, commentBeats)).toBeLessThanOrEqual(limitMs * 0.9);
    keepAliveTimer.close();
  },
);

test('the answer to a call begins within five seconds, and not before two', () => {
  const keepAliveTimer = createKeepAliveTimer();
  const { beats } = beatsOf(keepAliveTimer);
  vi.advanceTimersByTime(60_000);
  expect(between(beats, openingBeats)).toBeLessThan(5000);
  expect(between(beats, openingBeats - 1)).toBeGreaterThan(2000);
  keepAliveTimer.close();
});

test('it never beats more slowly than without a tunnel', () => {
  const keepAliveTimer = createKeepAliveTimer();
  const { beats } = beatsOf(keepAliveTimer);
  keepAliveTimer.setMaxSilence(600_000);
  vi.advanceTimersByTime(10_000);
  expect(beats).toHaveLength(10);
  keepAliveTimer.close();
});

test('who has had enough is not called any more, and the others are', () => {
  const keepAliveTimer = createKeepAliveTimer();
  const one = beatsOf(keepAliveTimer);
  const other = beatsOf(keepAliveTimer);
  vi.advanceTimersByTime(1000);
  one.stop();
  vi.advanceTimersByTime(1000);
  expect([one.beats.length, other.beats.length]).toEqual([1, 2]);
  keepAliveTimer.close();
});

test('closed, it is over, whatever tunnel opens too late', () => {
  const keepAliveTimer = createKeepAliveTimer();
  const { beats } = beatsOf(keepAliveTimer);
  keepAliveTimer.close();
  keepAliveTimer.setMaxSilence(2500);
  vi.advanceTimersByTime(60_000);
  expect([beats, vi.getTimerCount()]).toEqual([[], 0]);
});
