import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { ExposeError } from '../../src/errors.ts';
import { listen, type Listener } from '../../src/http/listener.ts';
import { gate } from '../harness/gate.ts';
import { readToEnd, readUntil } from './web.ts';

const listeners: Listener[] = [];
afterEach(() => Promise.all(listeners.splice(0).map((listener) => listener.close())));

async function start(handler: RequestListener = (_request, response) => response.end('ok')): Promise<Listener> {
  const listener = await listen('127.0.0.1', 0, handler);
  listeners.push(listener);
  return listener;
}

async function failureOf(attempt: Promise<Listener>): Promise<ExposeError> {
  const error: unknown = await attempt.then(
    (listener) => listener.close(),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ExposeError)) throw new Error('no ExposeError was thrown', { cause: error });
  return error;
}

async function answerTo(bytes: string): Promise<{ head: string; body: unknown }> {
  const { port } = await start();
  const socket = connect(port, '127.0.0.1');
  const ended = readToEnd(socket);
  socket.write(bytes);
  const answer = await ended;
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  expect(head).toContain('Content-Type: application/json');
  expect(head).toContain(`Content-Length: ${body.length}`);
  expect(head).toContain('Connection: close');
  return { head, body: JSON.parse(body) };
}

const error = (message: string): object => ({ jsonrpc: '2.0', id: null, error: { code: -32000, message } });

describe('listening', () => {
  test('picks a free port, and says which', async () => {
    const { port } = await start();
    expect(port).toBeGreaterThan(0);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('ok');
  });

  test('works on IPv6', async () => {
    const listener = await listen('::1', 0, (_request, response) => response.end('six'));
    listeners.push(listener);
    expect(await (await fetch(`http://[::1]:${listener.port}/`)).text()).toBe('six');
  });

  test('on a port in use fails, and says what to do', async () => {
    const { port } = await start();
    const { code, message, hints } = await failureOf(listen('127.0.0.1', port, () => {}));
    expect([code, message]).toEqual(['address_in_use', `cannot listen on 127.0.0.1:${port}: the port is in use`]);
    expect(hints).toEqual(['choose another one with --port, or --port 0 for a free one']);
  });

  test('on an address that is not this machine’s fails', async () => {
    const { code, message } = await failureOf(listen('192.0.2.1', 0, () => {}));
    expect(code).toBe('address_unavailable');
    expect(message).toBe('cannot listen on 192.0.2.1: this machine does not have that address');
  });
});

describe('bytes that are no request', () => {
  test.each([
    ['prose', 'hello, is anybody there?\r\n\r\n'],
    ['TLS', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003'],
    ['both lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx'],
    ['obsolete folding', 'GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb\r\n \r\n: y\r\n\r\n'],
    ['a space before the colon', 'GET / HTTP/1.1\r\nHost : x\r\n\r\n'],
    ['a version that does not exist', 'GET / HTTP/9.9\r\n\r\n'],
  ])('%s: 400 as JSON', async (_what, bytes) => {
    const { head, body } = await answerTo(bytes);
    expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(body).toEqual(error('the request is not valid HTTP/1.1'));
  });

  test('a header of 32 KB: 431 as JSON', async () => {
    const { head, body } = await answerTo(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(32 * 1024)}\r\n\r\n`);
    expect(head).toMatch(/^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/);
    expect(body).toEqual(error('the header of the request is too large'));
  });

  test('a client that resets its connection does no harm', async () => {
    const { port } = await start();
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('GET / HT');
    socket.resetAndDestroy();
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  });
});

describe('ending', () => {
  test('closing frees the port, whatever is connected', async () => {
    const { port, close } = await listen('127.0.0.1', 0, (_request, response) => void response.write('never ends'));
    const socket = connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await readUntil(socket, 'never ends');
    const ended = readToEnd(socket);
    await close();
    await ended;
    const next = createServer();
    next.listen(port, '127.0.0.1');
    await once(next, 'listening');
    expect(next.address()).toMatchObject({ port });
    next.close();
  });

  test('stopping takes no new connections and lets the ones in use finish', async () => {
    const { opened, open } = gate();
    const { port, stop } = await start((_request, response) => {
      response.write('begun');
      void opened.then(() => response.end(' and done'));
    });
    const socket = connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await readUntil(socket, 'begun');
    stop();
    const late = connect(port, '127.0.0.1');
    const [refused]: unknown[] = await once(late, 'error');
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
    open();
    expect(await readUntil(socket, ' and done')).toContain(' and done');
  });
});
