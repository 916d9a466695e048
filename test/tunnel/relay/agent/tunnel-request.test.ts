import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { rawFrame } from '../protocol/raw-frame.ts';
import { portOf } from '../world.ts';
import { servedPair, servedRequest, type RequestOptions } from './served-pair.ts';

const kib = 1024;

/** What happens to the request is in `events`. */
async function received(options: RequestOptions = {}) {
  const served = await servedRequest(options);
  const events: string[] = [];
  for (const event of ['end', 'close', 'error']) served.request.on(event, () => events.push(event));
  return { ...served, events };
}

async function headersAtNode(rawHeaders: readonly string[]): Promise<IncomingHttpHeaders> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const found = new Promise<IncomingHttpHeaders>((resolve) => {
    server.once('request', (request, response) => {
      resolve(request.headers);
      response.end();
    });
  });
  const lines = rawHeaders.map((part, at) => (at % 2 === 0 ? `${part}: ` : `${part}\r\n`)).join('');
  connect(portOf(server), '127.0.0.1').end(`GET / HTTP/1.1\r\n${lines}\r\n`);
  const headers = await found;
  server.close();
  return headers;
}

describe('the head', () => {
  test('is that of the relay', async () => {
    const headers = ['host', 'files.relay.example', 'accept', 'a', 'accept', 'b'];
    const { request } = await received({ method: 'DELETE', path: '/mcp?a=b%20c', headers });
    const { method, url, rawHeaders, httpVersionMajor, socket } = request;
    expect([method, url, rawHeaders, httpVersionMajor, socket.remoteAddress]).toEqual([
      'DELETE',
      '/mcp?a=b%20c',
      headers,
      2,
      undefined,
    ]);
  });

  test('has headers that are joined as by node:http', async () => {
    const headers = Object.entries({
      host: ['a.example'],
      accept: ['application/json', 'text/event-stream, */*'],
      authorization: ['Bearer one', 'Bearer two'],
      'content-type': ['application/json', 'text/plain'],
      'user-agent': ['one', 'two'],
      cookie: ['a=1', 'b=2; c=3'],
      'x-forwarded-for': ['192.0.2.1', '192.0.2.2'],
      'mcp-session-id': ['', 'x'],
      'x-empty': [''],
      constructor: ['x'],
      'x-three': ['1', '2', '3'],
    }).flatMap(([name, values]) => values.flatMap((value) => [name, value]));
    const { request } = await received({ headers });
    expect(request.headers).toEqual(await headersAtNode(headers));
    expect(request.headers).toMatchObject({
      authorization: 'Bearer one',
      cookie: 'a=1; b=2; c=3',
      'x-three': '1, 2, 3',
    });
  });

  test('may have a header named __proto__, which is one like others', async () => {
    const { request } = await received({ headers: ['__proto__', 'polluted', 'host', 'a.example'] });
    expect(Object.entries(request.headers)).toEqual([
      ['__proto__', 'polluted'],
      ['host', 'a.example'],
    ]);
    expect(Object.getPrototypeOf(request.headers)).toBe(Object.prototype);
  });

  test('that is none resets the stream, and no handler sees it', async () => {
    let handled = 0;
    const { agent, toRelay, faults } = servedPair(() => (handled += 1));
    agent.receive(Buffer.concat([rawFrame(1, 1, '{"method":7}'), rawFrame(0x82, 1, 'body')]));
    agent.flush();
    expect(toRelay.messages).toEqual([rawFrame(3, 1, 2)]);
    expect([handled, agent.size, faults]).toEqual([0, 0, []]);
  });
});

describe('the body', () => {
  test('that does not exist is complete when the handler is called', async () => {
    let wasComplete: boolean | undefined;
    const pair = servedPair((request) => (wasComplete = request.complete));
    pair.send({ body: '' });
    await pair.until(() => wasComplete !== undefined, 'the request');
    expect(wasComplete).toBe(true);
  });

  test('is read as it comes, and is complete at its end', async () => {
    const { request, call, until, events } = await received({ body: undefined });
    const chunks: string[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
    call.stream.write(Buffer.from('one'));
    await until(() => chunks.length === 1, 'the first part');
    expect([chunks, request.complete, events]).toEqual([['one'], false, []]);
    call.stream.write(Buffer.from('two'));
    call.stream.end();
    await until(() => events.length === 2, 'the end');
    expect([chunks, request.complete, events]).toEqual([['one', 'two'], true, ['end', 'close']]);
  });

  test('may be missing', async () => {
    const { request, until, events } = await received({ method: 'GET' });
    expect(request.complete).toBe(true);
    request.resume();
    await until(() => events.length === 2, 'the end');
    expect(events).toEqual(['end', 'close']);
  });

  test('that nobody reads stops at the window of its stream, and goes on when it is read', async () => {
    const body = Buffer.from(Array.from({ length: 2_000 * kib }, (_, at) => at % 251));
    const { request, call, until } = await received({ body });
    await until(() => call.stream.pendingBytes === body.length - 512 * kib, 'the window to be used up');
    await nextTurn();
    expect([call.stream.pendingBytes, request.readableLength]).toEqual([body.length - 512 * kib, 512 * kib]);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    await until(() => request.complete, 'the end');
    expect(Buffer.concat(chunks).equals(body)).toBe(true);
  });

  test('returns no window while its reader is paused', async () => {
    const { request, call, until } = await received({ body: Buffer.alloc(900 * kib) });
    let bytes = 0;
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    request.once('data', () => request.pause());
    await until(() => call.stream.pendingBytes === 388 * kib, 'the window to be used up');
    let turns = 0;
    await until(() => (turns += 1) > 10, 'ten turns');
    expect([call.stream.pendingBytes, bytes < 100 * kib]).toEqual([388 * kib, true]);
    request.resume();
    await until(() => bytes === 900 * kib, 'the rest');
  });

  test('can be iterated', async () => {
    const body = Buffer.alloc(1_500 * kib, 'x');
    const { request, until } = await received({ body });
    let bytes = 0;
    const read = (async () => {
      for await (const chunk of request as AsyncIterable<Buffer>) bytes += chunk.length;
    })();
    await until(() => bytes === body.length, 'the body');
    await read;
    expect([request.complete, request.destroyed]).toEqual([true, true]);
  });
});

describe('a request that is cut off', () => {
  test.each(['a reset', 'the loss of the session'])('by %s is closed without an end', async (how) => {
    const { request, call, until, agent, events } = await received({ body: undefined });
    request.resume();
    call.stream.write(Buffer.from('part'));
    await until(() => request.readableDidRead, 'the part');
    if (how === 'a reset') call.reset(0);
    else agent.close();
    await until(() => events.includes('close'), 'the close');
    expect([request.complete, request.destroyed, events]).toEqual([false, true, ['close']]);
  });

  test('fails its iteration', async () => {
    const { request, call, until } = await received({ body: undefined });
    const chunks: Buffer[] = [];
    const read = async (): Promise<void> => {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    };
    const failure = read().catch((error: unknown) => error);
    call.reset(0);
    await until(() => request.closed, 'the close');
    expect(await failure).toMatchObject({ message: 'Premature close' });
  });

  test('by the end of its response is closed', async () => {
    const { response, call, over, request, events } = await received({ body: undefined });
    response.writeHead(413);
    response.end();
    await over(call);
    await nextTurn();
    expect([request.complete, request.destroyed, events]).toEqual([false, true, ['close']]);
  });

  test('after its end notices nothing', async () => {
    const { call, until, request, response, events } = await received({ body: 'all' });
    request.resume();
    await until(() => events.length === 2, 'the end');
    let closed = 0;
    response.once('close', () => (closed += 1));
    call.reset(0);
    await until(() => closed === 1, 'the close of the response');
    expect([request.complete, events]).toEqual([true, ['end', 'close']]);
  });
});

describe('destroy', () => {
  test('before the end resets the stream; what still comes is ignored', async () => {
    const { request, call, over, agent, until, events, faults } = await received({ body: undefined });
    call.stream.write(Buffer.alloc(200 * kib));
    request.destroy();
    await over(call);
    await until(() => events.length > 0, 'the close');
    expect([call.events.filter((event) => event !== 'drain'), agent.size, events, faults]).toEqual([
      ['close 0'],
      0,
      ['close'],
      [],
    ]);
  });

  test('after the end leaves the response alone', async () => {
    const { request, response, call, over, until, events } = await received({ body: 'all' });
    request.resume();
    await until(() => events.includes('end'), 'the end');
    request.destroy();
    response.end('still here');
    await over(call);
    expect([call.body.toString(), call.events.at(-1)]).toEqual(['still here', 'close']);
  });

  test('of a request that has come, and was not read, leaves the response alone', async () => {
    const { request, response, call, over, until } = await received({ body: 'all' });
    await until(() => request.complete, 'the body');
    request.destroy();
    response.end('still here');
    await over(call);
    expect([call.body.toString(), call.events.at(-1)]).toEqual(['still here', 'close']);
  });
});
