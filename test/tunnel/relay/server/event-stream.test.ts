import { once } from 'node:events';
import { createServer, get, type ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventStreamIn, type EventStream } from '../../../../src/tunnel/relay/server/event-stream.ts';
import { portOf, within } from '../world.ts';

const server = createServer();
let response: ServerResponse;
let text: Promise<string>;
beforeEach(async () => {
  const asked = new Promise<ServerResponse>((resolve) => {
    server.once('request', (_request, answer) => resolve(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  text = new Promise((resolve, reject) => {
    get({ port: portOf(server), host: '127.0.0.1', agent: false }, (reply) => {
      let all = '';
      reply.on('data', (chunk: Buffer) => (all += chunk.toString('latin1')));
      reply.on('error', reject);
      reply.on('end', () => resolve(all));
    }).on('error', reject);
  });
  response = await asked;
});
afterEach(() => {
  server.close();
});

function open(type = 'text/event-stream'): EventStream | undefined {
  response.setHeader('content-type', type);
  response.flushHeaders();
  return eventStreamIn(response);
}

/** A stream on which these chunks have been sent. */
async function sent(chunks: readonly string[]): Promise<EventStream> {
  const events = open();
  if (events === undefined) throw new Error('no event stream');
  for (const chunk of chunks) {
    events.watch(Buffer.from(chunk));
    response.write(chunk);
  }
  // Once the socket has taken everything.
  await new Promise<void>((resolve) => {
    response.write('', () => resolve());
  });
  return events;
}

const error = (id: string): string =>
  `event: message\ndata: {"jsonrpc":"2.0","id":${id},"error":{"code":-32052,"message":"lost"}}\n\n`;

describe('between two events', () => {
  test.each([
    [[]],
    [['data: 1\n\n']],
    [['data: 1\n', '\n']],
    [['data: 1\r\r']],
    [['data: 1\r\n\r\n']],
    [['data: 1\r', '\n', '\r', '\n']],
    [[': comment\n\n', 'd', 'ata: 2\n\n']],
  ])('%j: a comment fits, and an error for each call ends it', async (chunks) => {
    const events = await sent(chunks);
    events.keepAlive();
    expect(events.fail([1, 'b'], 'lost')).toBe(true);
    expect(await within(text, 'the end')).toBe(`${chunks.join('')}:\n\n${error('1')}${error('"b"')}`);
  });
});

describe('nothing is added', () => {
  test.each([
    [['d']],
    [['data: 1']],
    [['data: 1\n']],
    [['data: 1\r\n']],
    [['data: 1\n\ndata: 2\n']],
    [['data: 1\n\n', 'data: 2']],
    [['data: 1\r\n\r']],
  ])('in the middle of an event: %j', async (chunks) => {
    const events = await sent(chunks);
    events.keepAlive();
    expect(events.fail([1], 'lost')).toBe(false);
    response.end();
    expect(await within(text, 'the end')).toBe(chunks.join(''));
  });

  test.each([
    [['id: 1\ndata:\n\n']],
    [['data: 1\n\n', 'id: 2\ndata: 2\n\n']],
    [['data: 1\nid\n\n', 'data: 1\nid:7\n\n']],
  ])('where events have ids, no error: the client can ask for the rest: %j', async (chunks) => {
    const events = await sent(chunks);
    events.keepAlive();
    expect(events.fail([1], 'lost')).toBe(false);
    response.end();
    expect(await within(text, 'the end')).toBe(`${chunks.join('')}:\n\n`);
  });

  test('for no call', async () => {
    const events = await sent(['data: 1\n\n']);
    expect(events.fail([], 'lost')).toBe(false);
    response.end();
    expect(await within(text, 'the end')).toBe('data: 1\n\n');
  });
});

describe('is an event stream', () => {
  test.each(['text/event-stream', 'Text/Event-Stream; charset=utf-8', ' text/event-stream ;x'])('%j', (type) => {
    expect(open(type)).toBeDefined();
    response.end();
  });
});

describe('is none that can be added to', () => {
  test.each(['application/json', 'text/event-streams', 'x/text/event-stream'])('%j', (type) => {
    expect(open(type)).toBeUndefined();
    response.end();
  });

  test.each([
    ['content-length', '10'],
    ['content-encoding', 'gzip'],
  ])('one with %s', (name, value) => {
    response.setHeader(name, value);
    expect(open()).toBeUndefined();
    response.destroy();
    text.catch(() => undefined);
  });
});
