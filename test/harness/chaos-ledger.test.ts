// The ledger notices what it is there to notice. Without this, a storm may pass because nobody looks.
import { describe, expect, test } from 'vitest';
import { createLedger, openRoad, type LedgerOptions } from './chaos-ledger.ts';

interface Received {
  /** The request on whose stream it comes, 0 for the stream of none. */
  readonly on?: number;
  readonly event?: string;
  readonly message: object;
}

/** What the ledger says of these messages, after a call of count with the id 2 and one of ask with the id 3. */
function verdicts(receive: (marker: string) => Received[], more: Partial<LedgerOptions> = {}): string[] {
  const wrong: string[] = [];
  const ledger = createLedger({
    hearsLogsOfOthers: false,
    violate: (what) => wrong.push(what.replace(/^.* a message that (.*): \{.*$/, '$1')),
    count: () => {},
    onAsk: () => {},
    ...more,
  });
  const roads = new Map([0, 2, 3].map((id) => [id, openRoad(id === 0 ? undefined : id)]));
  for (const [id, tool] of [
    [2, 'count'],
    [3, 'ask'],
  ] as const) {
    ledger.expect(id, 'tools/call', { tool, args: {}, accepts: (text) => text === `${ledger.marker} ${tool} ${id}` });
  }
  for (const { message, on = 2, event } of receive(ledger.marker)) {
    ledger.receive(JSON.stringify({ jsonrpc: '2.0', ...message }), roads.get(on) ?? openRoad(), event);
  }
  return wrong;
}

const other = 'mk-0123456789abcdef';
const result = (text: string) => ({ id: 2, result: { content: [{ type: 'text', text }] } });
const answer = (marker: string) => result(`${marker} count 2`);
const step = (marker: string, progress: number, progressToken = 2) => ({
  method: 'notifications/progress',
  params: { progressToken, progress, message: `${marker} step ${progressToken}.${progress}` },
});
const ask = (marker: string, n = 3) => ({
  id: 's1',
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: { type: 'text', text: `${marker} ask ${n}` } }] },
});

describe('the ledger of a session', () => {
  test('has nothing to say of what is right', () => {
    const wrong = verdicts((own) => [
      { message: step(own, 1), event: '1-1' },
      { message: step(own, 2), event: '1-2' },
      { message: answer(own), event: '1-3' },
      { message: ask(own), on: 3, event: '2-1' },
    ]);
    expect(wrong).toEqual([]);
  });

  test.each<[string, (own: string) => Received[]]>([
    ['is a second answer', (own) => [{ message: answer(own) }, { message: answer(own) }]],
    ['answers what was not asked', (own) => [{ message: { ...answer(own), id: 9 } }]],
    ['is on the stream of 3', (own) => [{ message: answer(own), on: 3 }]],
    ['is on the stream of no request', (own) => [{ message: answer(own), on: 0 }]],
    ['is not what count says', (own) => [{ message: result(`${own} count 3`) }]],
    ['is for another session', () => [{ message: answer(other) }]],
    ['comes after the answer', (own) => [{ message: answer(own) }, { message: step(own, 1) }]],
    ['does not follow 1', (own) => [{ message: step(own, 1) }, { message: step(own, 1) }]],
    ['has a token that was not given', (own) => [{ message: step(own, 1, 7) }]],
    [
      'is asked twice',
      (own) => [
        { message: ask(own), on: 3 },
        { message: ask(own), on: 0 },
      ],
    ],
    ['is for no call of this session', (own) => [{ message: ask(own, 2) }]],
    ['was not to be asked', () => [{ message: { id: 1, method: 'roots/list' } }]],
    ['is nothing that the server says', () => [{ message: { method: 'notifications/other' } }]],
    ['is of no subscription of this session', () => [{ message: { method: 'notifications/resources/updated' } }]],
    ['comes from the server of another session', () => [{ message: { id: 2, error: { code: -32_099 } } }]],
    ['is not JSON-RPC 2.0', (own) => [{ message: { ...answer(own), jsonrpc: '1.0' } }]],
    [
      'comes again, or late: the last event was 1, this is 1',
      (own) => [
        { message: step(own, 1), event: '1-1' },
        { message: step(own, 2), event: '1-1' },
      ],
    ],
  ])('tells of a message that %s', (wrong, receive) => {
    expect(verdicts(receive)).toEqual([wrong]);
  });

  test('lets logs of others pass where they are for all, and nothing else', () => {
    const log = { message: { method: 'notifications/message', params: { level: 'info', data: `${other} log 2` } } };
    expect(verdicts(() => [log])).toEqual(['is for another session']);
    const forAll = verdicts(() => [log, { message: answer(other) }], { hearsLogsOfOthers: true });
    expect(forAll).toEqual(['is for another session']);
  });
});
