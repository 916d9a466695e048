import { createParser } from 'eventsource-parser';
import { expect, test } from 'vitest';
import { encodeComment, encodeEvent } from '../../src/mcp/sse.ts';

function read(stream: string): { events: { event: string | undefined; data: string }[]; comments: string[] } {
  const events: { event: string | undefined; data: string }[] = [];
  const comments: string[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ event, data }),
    onComment: (comment) => comments.push(comment),
  });
  parser.feed(stream);
  return { events, comments };
}

test('a reader of event streams gets the message as it was, whatever is in it', () => {
  const message = String.raw`{"jsonrpc":"2.0","id":1,"result":{"text":"data: x\n\nevent: y","more":": é 😀 "}}`;
  expect(read(encodeEvent(Buffer.from(message)).toString()).events).toEqual([{ event: 'message', data: message }]);
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
