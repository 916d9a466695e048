import { createServer, type RequestListener } from 'node:http';
import { expect, test } from 'vitest';
import { systemClock } from '../../../../src/platform/clock.ts';
import { getLocalJson, pollLocal, type LocalJson } from '../../../../src/tunnel/providers/external/local-json.ts';
import { within } from '../../../harness/eventually.ts';
import { freePort, listenOnLoopback } from '../../../harness/loopback-server.ts';

async function ask(answer: RequestListener, signal: AbortSignal = new AbortController().signal): Promise<unknown> {
  const server = createServer(answer);
  const port = await listenOnLoopback(server);
  return await within(15_000, 'an answer', getLocalJson(`http://127.0.0.1:${port}/x`, signal));
}

test.each<[string, RequestListener, LocalJson]>([
  ['an object', (_request, response) => response.end('{"a":1}'), { status: 200, body: { a: 1 } }],
  ['an error', (_request, response) => response.writeHead(503).end('{}'), { status: 503, body: {} }],
  ['a list', (_request, response) => response.end('[1]'), { status: 200, body: {} }],
  ['text', (_request, response) => response.end('OK'), { status: 200, body: {} }],
  ['too much', (_request, response) => response.end(`{"a":"${'x'.repeat(2_000_000)}"}`), { status: 200, body: {} }],
])('what is answered: %s', async (_what, answer, found) => {
  expect(await ask(answer)).toEqual(found);
});

test('nobody there, or nobody who answers in HTTP: nothing', async () => {
  const { signal } = new AbortController();
  expect(await getLocalJson(`http://127.0.0.1:${await freePort()}/`, signal)).toBeUndefined();
  expect(await ask((request) => request.socket.end('hello\n'))).toBeUndefined();
  expect(await ask((_request, response) => void response.write('{"a":1', () => response.destroy()))).toBeUndefined();
});

test('who says nothing is not waited for', async () => {
  expect(await ask(() => {})).toBeUndefined();
});

test('it is given up when nobody wants it any more', async () => {
  const stop = new AbortController();
  expect(await ask(() => stop.abort(), stop.signal)).toBeUndefined();
  expect(await ask((_request, response) => response.end('{}'), AbortSignal.abort())).toBeUndefined();
});

test.each([
  ['127.0.0.1:4040', true],
  ['localhost:4040', true],
  ['[::1]:4040', true],
  ['127.0.0.1', false],
  ['127.0.0.1.evil.example:80', false],
  ['user@127.0.0.1:80', false],
  ['192.168.0.1:4040', false],
  ['127.0.0.1:80/x', false],
])('%s is on this machine, and so asked: %s', async (address, isLocal) => {
  const stop = new AbortController();
  let looks = 0;
  await pollLocal(address, systemClock, stop.signal, async () => {
    looks++;
    stop.abort();
  });
  expect(looks).toBe(isLocal ? 1 : 0);
});
