import { once } from 'node:events';
import { type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { createHttp1Server, formatResponse } from '../../../src/platform/http1/server.ts';
import { within } from '../../harness/eventually.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { readToEnd } from '../../http/web.ts';

interface Served {
  readonly path: string;
  readonly response: ServerResponse;
}

/** A server whose requests wait here to be answered, and one connection to it. */
async function world(): Promise<{ socket: Socket; next: () => Promise<Served>; served: string[] }> {
  const served: string[] = [];
  const arrived: Served[] = [];
  let onArrival: (() => void) | undefined;
  const server = createHttp1Server({
    onRequest(request, response) {
      const path = request.url ?? '';
      served.push(path);
      arrived.push({ path, response });
      onArrival?.();
    },
    refuse: (_request, response, { status }) => response.writeHead(status).end(),
    rawResponse: ({ status, message }) => formatResponse(status, Buffer.from(message)),
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const socket = connect(address.port, '127.0.0.1');
  atEnd('test', () => {
    socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  const next = async (): Promise<Served> => {
    const waiting = arrived.shift();
    if (waiting !== undefined) return waiting;
    await within(15_000, 'a request', new Promise<void>((resolve) => (onArrival = resolve)));
    const come = arrived.shift();
    if (come === undefined) throw new Error('nothing came');
    return come;
  };
  return { socket, next, served };
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

test('pipelined requests are handled one after the other, each with its connection', async () => {
  const { socket, next, served } = await world();
  socket.write(get('/1') + get('/2') + get('/3'));
  const order = ['/1', '/2', '/3'];
  for (const [index, path] of order.entries()) {
    // oxlint-disable-next-line no-await-in-loop -- the next comes when this one is answered
    const { path: seen, response } = await next();
    expect([seen, response.socket !== null, served]).toEqual([path, true, order.slice(0, index + 1)]);
    response.end(path);
  }
});

test('those that wait on a connection that ends are not handled', async () => {
  const { socket, next, served } = await world();
  socket.write(get('/1') + get('/2'));
  const { response } = await next();
  const closed = once(response, 'close');
  socket.destroy();
  await within(15_000, 'the end of the connection', closed);
  await new Promise(setImmediate);
  expect(served).toEqual(['/1']);
});

test('behind an answer that ends the connection nothing is handled', async () => {
  const { socket, next, served } = await world();
  const ended = readToEnd(socket);
  socket.write(get('/1') + get('/2'));
  const { response } = await next();
  response.writeHead(200, { connection: 'close' }).end('one');
  expect(await ended).toMatch(/one/);
  expect(served).toEqual(['/1']);
});
