import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createPulse, type Pulse } from '../../src/http/pulse.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Beat {
  readonly atMs: number;
  readonly isLook: boolean;
}

function beatsOf(pulse: Pulse): { beats: Beat[]; stop: () => void } {
  const beats: Beat[] = [];
  const begunAt = Date.now();
  return { beats, stop: pulse.onBeat((isLook) => beats.push({ atMs: Date.now() - begunAt, isLook })) };
}

test('it beats every ten seconds, and each time it is looked who takes nothing', () => {
  const pulse = createPulse();
  const { beats } = beatsOf(pulse);
  vi.advanceTimersByTime(30_000);
  expect(beats).toEqual([
    { atMs: 10_000, isLook: true },
    { atMs: 20_000, isLook: true },
    { atMs: 30_000, isLook: true },
  ]);
  pulse.close();
});

test('a tunnel that cuts soon makes it beat faster, but not look more often', () => {
  const pulse = createPulse();
  const { beats } = beatsOf(pulse);
  pulse.setMaxSilence(2500);
  vi.advanceTimersByTime(20_000);
  expect(beats).toHaveLength(16);
  expect(beats[0]).toEqual({ atMs: 1250, isLook: false });
  expect(beats.filter(({ isLook }) => isLook).map(({ atMs }) => atMs)).toEqual([10_000, 20_000]);
  pulse.close();
});

test('no silence is longer than that: it may begin just after a beat, and the next one is quiet', () => {
  const pulse = createPulse();
  const { beats } = beatsOf(pulse);
  pulse.setMaxSilence(15_000);
  vi.advanceTimersByTime(60_000);
  const gaps = beats.slice(2).map(({ atMs }, index) => atMs - (beats[index]?.atMs ?? 0));
  expect(gaps.length).toBeGreaterThan(0);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(15_000);
  pulse.close();
});

test('it never beats more slowly than without a tunnel', () => {
  const pulse = createPulse();
  const { beats } = beatsOf(pulse);
  pulse.setMaxSilence(600_000);
  vi.advanceTimersByTime(10_000);
  expect(beats).toHaveLength(1);
  pulse.close();
});

test('who has had enough is not called any more, and the others are', () => {
  const pulse = createPulse();
  const one = beatsOf(pulse);
  const other = beatsOf(pulse);
  vi.advanceTimersByTime(10_000);
  one.stop();
  vi.advanceTimersByTime(10_000);
  expect([one.beats.length, other.beats.length]).toEqual([1, 2]);
  pulse.close();
});

test('closed, it is over, whatever tunnel opens too late', () => {
  const pulse = createPulse();
  const { beats } = beatsOf(pulse);
  pulse.close();
  pulse.setMaxSilence(2500);
  vi.advanceTimersByTime(60_000);
  expect([beats, vi.getTimerCount()]).toEqual([[], 0]);
});
