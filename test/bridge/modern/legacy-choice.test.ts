import { describe, expect, test } from 'vitest';
import { LegacyChoice } from '../../../src/bridge/modern/legacy-choice.ts';
import type { Upstream } from '../../../src/bridge/upstream/upstream.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { agreement, failedResponse, initialize, notification, request, response } from '../messages.ts';

interface Session {
  readonly upstream: Upstream;
  /** What the client got. */
  readonly got: string[];
}

interface World {
  readonly own: FakeUpstream[];
  readonly translated: FakeUpstream[];
  readonly clock: FakeClock;
  readonly choice: LegacyChoice;
  /** A client that has sent `initialize`. */
  readonly open: () => Session;
}

function added(list: FakeUpstream[]): FakeUpstream {
  const upstream = createFakeUpstream();
  list.push(upstream);
  return upstream;
}

function world(): World {
  const own: FakeUpstream[] = [];
  const translated: FakeUpstream[] = [];
  const clock = createFakeClock();
  const choice = new LegacyChoice({ own: () => added(own), translated: () => added(translated), clock });
  const open = (): Session => {
    const upstream = choice.next();
    const got: string[] = [];
    upstream.start({
      onMessage: ({ json }) => got.push(JSON.stringify(json['method'] ?? json['result'] ?? json['error'])),
      onLost: () => got.push('lost'),
      onClose: () => got.push('closed'),
    });
    upstream.send(initialize);
    return { upstream, got };
  };
  return { own, translated, clock, choice, open };
}

const sentTo = (upstream: FakeUpstream | undefined): unknown[] =>
  upstream?.sent.map((line): unknown => JSON.parse(line).method) ?? [];

describe('the first client finds out', () => {
  test('that the server speaks its era', () => {
    const { own, translated, clock, choice, open } = world();
    const { upstream, got } = open();
    upstream.send(request(1, 'early'));
    expect(sentTo(own[0])).toEqual(['initialize']);
    own[0]?.say(notification('notifications/message'));
    own[0]?.say(agreement());
    expect(got).toHaveLength(2);
    upstream.send(notification('notifications/initialized'));
    expect(sentTo(own[0])).toEqual(['initialize', 'early', 'notifications/initialized']);
    expect(choice.speaksLegacy).toBe(true);
    expect(clock.pending).toBe(0);
    open();
    expect([own.length, translated.length]).toEqual([2, 0]);
    own[0]?.lose();
    own[0]?.die();
    expect(got.slice(2)).toEqual(['lost', 'closed']);
  });

  test('and does not read what comes in its place while it reads nothing', () => {
    const { own, translated, open } = world();
    const { upstream } = open();
    upstream.pause();
    own[0]?.die();
    expect(translated.map(({ paused }) => paused)).toEqual([true]);
    upstream.resume();
    expect(translated.map(({ paused }) => paused)).toEqual([false]);
  });

  test.each<[string, (own: FakeUpstream) => void]>([
    ['refuses it', (own) => own.say(failedResponse(0, { code: -32022, message: 'no' }))],
    ['exits', (own) => own.die()],
  ])('that the server %s: it is translated', async (_what, refuse) => {
    const { own, translated, clock, choice, open } = world();
    const { upstream, got } = open();
    upstream.send(request(1, 'early'));
    for (const process of own) refuse(process);
    expect(got).toEqual([]);
    expect(sentTo(translated[0])).toEqual(['initialize', 'early']);
    translated[0]?.say(response(0, { translated: true }));
    expect(got).toEqual(['{"translated":true}']);
    expect(choice.speaksLegacy).toBe(false);
    expect(clock.pending).toBe(0);
    open();
    expect([own.length, translated.length]).toEqual([1, 2]);
    await upstream.close();
    expect([own[0]?.closeCalls, translated[0]?.closeCalls]).toEqual([1, 1]);
    expect(got.slice(1)).toEqual(['closed']);
  });

  test('nothing, where the server says nothing: it is translated, and the next client asks again', () => {
    const { own, translated, clock, choice, open } = world();
    open();
    clock.advance(20_000);
    expect(sentTo(translated[0])).toEqual(['initialize']);
    expect(choice.speaksLegacy).toBeUndefined();
    open();
    expect([own.length, translated.length]).toEqual([2, 1]);
  });

  test('nothing, where it leaves before', async () => {
    const { own, translated, clock, choice, open } = world();
    const { upstream, got } = open();
    await upstream.close();
    expect(own[0]?.closeCalls).toBe(1);
    expect(got).toEqual(['closed']);
    expect([translated.length, clock.pending, choice.speaksLegacy]).toEqual([0, 0, undefined]);
  });
});

test('an error after it was decided is only an error', () => {
  const { own, translated, choice, open } = world();
  const { upstream, got } = open();
  own[0]?.say(agreement());
  upstream.send(request(0, 'tools/call'));
  own[0]?.say(failedResponse(0));
  expect(got).toHaveLength(2);
  expect(translated).toEqual([]);
  expect(choice.speaksLegacy).toBe(true);
});

test('pressure passes both ways', () => {
  const { own, open } = world();
  const { upstream } = open();
  own[0]?.fill();
  expect(upstream.isWritable()).toBe(false);
  let drained = 0;
  upstream.whenWritable(() => drained++);
  own[0]?.drain();
  upstream.pause();
  expect([drained, own[0]?.paused]).toEqual([1, true]);
  upstream.resume();
  expect(own[0]?.paused).toBe(false);
});
