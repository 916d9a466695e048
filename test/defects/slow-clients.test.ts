// Known fault of other bridges that is attacked here: mcp-proxy 6.7.19 gives a client 301 s for its headers, so that a
// few hundred sockets that send a byte now and then hold everything up.
import type http from 'node:http';
import net from 'node:net';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { listen } from '../../src/http/listener.ts';
import { within } from '../harness/eventually.ts';
import { atEnd } from '../harness/lifetime.ts';

/** Servers that were created, so that their limits can be read, and shortened where one would have to wait. */
const created: http.Server[] = [];

vi.mock('node:http', async (importOriginal) => {
  const original = await importOriginal<typeof http>();
  return {
    ...original,
    createServer(options: http.ServerOptions, handler: http.RequestListener) {
      const server = original.createServer({ connectionsCheckingInterval: 20, ...options }, handler);
      created.push(server);
      return server;
    },
  };
});

let port: number;
let server: http.Server;

beforeEach(async () => {
  created.length = 0;
  const listener = await listen('127.0.0.1', 0, (request, response) => {
    request.resume().on('end', () => response.end('done'));
    request.on('error', () => {});
  });
  atEnd('test', () => listener.close());
  const [only] = created;
  if (only === undefined) throw new Error('no server was created');
  server = only;
  ({ port } = listener);
});

test('a client has a minute for its headers and five for its request, and somebody looks', () => {
  expect(server.headersTimeout).toBeGreaterThan(0);
  expect(server.headersTimeout).toBeLessThanOrEqual(60_000);
  expect(server.requestTimeout).toBeGreaterThan(0);
  expect(server.requestTimeout).toBeLessThanOrEqual(300_000);
});

/** Sends the beginning at once, then a piece every now and then, until the connection ends. */
function dribble(beginning: string, piece: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1', () => socket.write(beginning));
  const timer = setInterval(() => socket.write(piece), 15);
  let answer = '';
  const closed = new Promise<string>((resolve) => {
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('error', () => {});
    socket.on('close', () => {
      clearInterval(timer);
      resolve(answer);
    });
  });
  atEnd('test', () => void socket.destroy());
  return within(5000, 'the connection to be closed', closed);
}

describe('a client that takes longer is told so in JSON and cut off', () => {
  test.each([
    ['that says nothing at all', '', ''],
    ['whose headers never end', 'POST /mcp HTTP/1.1\r\nHost: localhost\r\n', 'X-More: 1\r\n'],
  ])('%s', async (_what, beginning, piece) => {
    server.headersTimeout = 100;
    const answer = await dribble(beginning, piece);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('"message":"the request took too long to arrive"');
  });

  test('whose body never ends', async () => {
    server.headersTimeout = 100;
    server.requestTimeout = 150;
    const head = 'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n';
    expect(await dribble(head, 'x')).toMatch(/^HTTP\/1\.1 408 /);
  });
});
