import { createParser } from 'eventsource-parser';
import { expect, test } from 'vitest';
import { encodeComment, encodeEndpoint, encodeEvent, encodePriming } from '../../src/mcp/sse.ts';

interface Read {
  readonly events: readonly { event: string | undefined; data: string }[];
  readonly ids: readonly (string | undefined)[];
  readonly retries: readonly number[];
  readonly comments: readonly string[];
}

function read(stream: string): Read {
  const events: { event: string | undefined; data: string }[] = [];
  const ids: (string | undefined)[] = [];
  const retries: number[] = [];
  const comments: string[] = [];
  const parser = createParser({
    onEvent({ event, data, id }) {
      events.push({ event, data });
      ids.push(id);
    },
    onRetry: (retry) => retries.push(retry),
    onComment: (comment) => comments.push(comment),
  });
  parser.feed(stream);
  return { events, ids, retries, comments };
}

test('a reader of event streams gets the message as it was, whatever is in it', () => {
  const message = String.raw`{"jsonrpc":"2.0","id":1,"result":{"text":"data: x\n\nevent: y","more":": é 😀 "}}`;
  expect(read(encodeEvent(Buffer.from(message)).toString()).events).toEqual([{ event: 'message', data: message }]);
});

test('text in which each character is a byte gives the same bytes', () => {
  const message = Buffer.from('{"text":"é 😀"}');
  for (const id of [undefined, 'g3-17']) {
    expect(Buffer.from(encodeEvent(message.toString('latin1'), id), 'latin1')).toEqual(encodeEvent(message, id));
  }
});

test('events follow each other', () => {
  const stream = ['{"a":1}', '{}', '{"b":2}'].map((message) => encodeEvent(Buffer.from(message)).toString()).join('');
  expect(read(stream).events.map(({ data }) => data)).toEqual(['{"a":1}', '{}', '{"b":2}']);
});

test('a comment is no event, and does not disturb the next', () => {
  const { events, comments } = read(encodeComment('keep-alive') + encodeEvent(Buffer.from('{}')).toString());
  expect(comments).toEqual(['keep-alive']);
  expect(events).toHaveLength(1);
});

test('an event may have an id, of its own', () => {
  const stream = [encodeEvent(Buffer.from('{"a":1}'), 'g3-17'), encodeEvent(Buffer.from('{}'))].join('');
  const { events, ids } = read(stream);
  expect(ids).toEqual(['g3-17', undefined]);
  expect(events).toEqual([
    { event: 'message', data: '{"a":1}' },
    { event: 'message', data: '{}' },
  ]);
});

test('a priming event has an id and the time to wait, and no data', () => {
  const { events, ids, retries } = read(encodePriming('3-0', 1000));
  expect([events, ids, retries]).toEqual([[{ event: undefined, data: '' }], ['3-0'], [1000]]);
});

test('the older transport is told where to POST by an event of its own kind', () => {
  const path = '/name/messages?sessionId=x_-1';
  expect(read(encodeEndpoint(path)).events).toEqual([{ event: 'endpoint', data: path }]);
});
