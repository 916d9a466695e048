import { beforeEach, expect, test } from 'vitest';
import { limitEvents, type LimitedEvents, type RelayEvent } from '../../../../src/tunnel/relay/server/relay-events.ts';
import type { FakeClock } from '../../../harness/fake-clock.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';

let clock: FakeClock;
let shown: RelayEvent[];
let dropped: number[];
let events: LimitedEvents;
beforeEach(() => {
  clock = createFakeClock();
  shown = [];
  dropped = [];
  events = limitEvents(
    (event) => shown.push(event),
    (count) => dropped.push(count),
    clock,
  );
});

const rejected = (address: string): RelayEvent => ({ type: 'agent_rejected', code: 'auth', message: 'no', address });
const connected = (name: string, address: string): RelayEvent => ({
  type: 'agent_connected',
  name,
  epoch: 1,
  urls: [],
  agent: 'a',
  address,
  online: 1,
});
const disconnected = (name: string): RelayEvent => ({
  type: 'agent_disconnected',
  name,
  epoch: 1,
  reason: 'left',
  online: 0,
});

test('a thousand of one origin, then two a second, and one count of the rest', () => {
  for (let count = 0; count < 5_000; count += 1) events.onEvent(rejected('192.0.2.1'));
  expect(shown).toHaveLength(1_000);
  clock.advance(10_000);
  expect(dropped).toEqual([4_000]);
  for (let count = 0; count < 100; count += 1) events.onEvent(rejected('192.0.2.1'));
  expect(shown).toHaveLength(1_020);
});

test('other origins are not touched; a /64 is one', () => {
  for (let count = 0; count < 5_000; count += 1) events.onEvent(rejected(`2001:db8::${count.toString(16)}`));
  expect(shown).toHaveLength(1_000);
  events.onEvent(rejected('2001:db8:0:1::1'));
  events.onEvent(rejected('192.0.2.1'));
  expect(shown).toHaveLength(1_002);
});

test('an agent whose coming was not shown goes unseen; the others do not', () => {
  events.onEvent(connected('first', '192.0.2.1'));
  for (let count = 0; count < 1_000; count += 1) events.onEvent(rejected('192.0.2.1'));
  events.onEvent(connected('second', '192.0.2.1'));
  events.onEvent(disconnected('first'));
  events.onEvent(disconnected('second'));
  const names = shown.flatMap((event) => ('name' in event ? [`${event.type} ${event.name}`] : []));
  expect(names).toEqual(['agent_connected first', 'agent_disconnected first']);
});

test('close tells what has not been told, and leaves no timer', () => {
  for (let count = 0; count < 1_001; count += 1) events.onEvent(rejected('192.0.2.1'));
  events.close();
  expect(dropped).toEqual([1]);
  expect(clock.pending).toBe(0);
});
