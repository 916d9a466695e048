import { once } from 'node:events';
import http, { createServer, type IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { HeldStream } from '../../../src/tunnel/probe/held-stream.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { listenOnLoopback } from '../../harness/loopback-server.ts';
import { headOf } from '../relay/world.ts';

async function ask(stream: HeldStream): Promise<IncomingMessage> {
  const server = createServer(stream.respond);
  const port = await listenOnLoopback(server);
  atEnd('test', () => void server.close());
  const request = http.get(`http://127.0.0.1:${port}/`, { agent: false });
  return (await headOf(request)).setEncoding('utf8');
}

async function read(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of response) text += String(part);
  return text;
}

test('ends as soon as its beginning has arrived, and is then not buffered', async () => {
  const stream = new HeldStream(600_000);
  const response = await ask(stream);
  const [first] = await once(response, 'data');
  expect(first).toBe(': probe\n\ndata: {}\n\n');
  stream.arrived();
  expect(await read(response)).toBe('data: {}\n\n');
  expect(stream.isBuffered).toBe(false);
});

test('ends when its time is over, and is then buffered', async () => {
  const stream = new HeldStream(1);
  expect(await read(await ask(stream))).toBe(': probe\n\ndata: {}\n\ndata: {}\n\n');
  expect(stream.isBuffered).toBe(true);
});

test('a connection that breaks shows nothing', async () => {
  const stream = new HeldStream(600_000);
  const response = await ask(stream);
  response.on('error', () => {}).destroy();
  await once(response, 'close');
  expect(stream.isBuffered).toBe(false);
});
