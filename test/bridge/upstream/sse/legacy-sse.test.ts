import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { eventually, within } from '../../../harness/eventually.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';
import { freePort } from '../../../harness/loopback-server.ts';
import {
  agreed,
  connect,
  event,
  resultOf,
  startScripted,
  type Connection,
  type Script,
  type ScriptedServer,
  type Visit,
} from '../http/http-world.ts';

interface World {
  readonly server: ScriptedServer;
  readonly connection: Connection;
  /** The event stream. */
  readonly stream: () => ServerResponse;
}

/** A server of the older transport: `take` gets every POST, after the handshake. */
async function world(
  take: Script,
  options: Parameters<typeof connect>[1] = {},
  endpoint = '/messages?session=1',
): Promise<World> {
  const streams: ServerResponse[] = [];
  const stream = (): ServerResponse => {
    const [first] = streams;
    if (first === undefined) throw new Error('there is no stream');
    return first;
  };
  const server = await startScripted((visit) => {
    if (visit.method === 'GET') {
      streams.push(visit.stream(`event: endpoint\ndata: ${endpoint}\n\n`));
    } else if (visit.body?.method === 'initialize') {
      visit.status(202, 'Accepted');
      stream().write(event(agreed(visit.body.id)));
    } else if (visit.body?.method === 'notifications/initialized') {
      visit.status(202);
    } else {
      take(visit);
    }
  });
  return { server, connection: connect(server.url, options, 'sse'), stream };
}

const isPost = ({ method }: Visit) => method === 'POST';
const accepted = ({ status }: Visit) => status(202);

describe('messages', () => {
  test('go to the endpoint, and come back on the stream without an origin', async () => {
    const { server, connection, stream } = await world(
      (visit) => {
        visit.status(202);
        stream().write(event(resultOf(visit.body?.id, { n: 1 })));
      },
      { headers: new Map([['X-Key', 'k']]) },
    );
    await connection.shakeHands();
    connection.send({ id: 1, method: 'tools/call' });
    expect(await connection.answerTo(1)).toEqual({ jsonrpc: '2.0', id: 1, result: { n: 1 } });
    expect(connection.received.map(({ origin }) => origin)).toEqual([undefined, undefined]);
    expect(server.visits.map(({ method, path, headers }) => [method, path, headers['x-key'], headers.accept])).toEqual([
      ['GET', '/mcp', 'k', 'text/event-stream'],
      ['POST', '/messages?session=1', 'k', undefined],
      ['POST', '/messages?session=1', 'k', undefined],
      ['POST', '/messages?session=1', 'k', undefined],
    ]);
  });

  test('wait for the endpoint', async () => {
    const streams: ServerResponse[] = [];
    const server = await startScripted((visit) => {
      if (visit.method === 'GET') streams.push(visit.stream());
      else visit.status(202);
    });
    const connection = connect(server.url, {}, 'sse');
    expect(connection.send({ id: 0, method: 'initialize' })).toBe(true);
    await server.visit(({ method }) => method === 'GET');
    expect(server.visits).toHaveLength(1);
    streams[0]?.write(`event: endpoint\ndata: http://127.0.0.1:${server.port}/whole\n\n`);
    expect((await server.visit(isPost)).path).toBe('/whole');
  });

  test('nothing overtakes the handshake', async () => {
    const held: Visit[] = [];
    const server = await startScripted((visit) => {
      if (visit.method === 'GET') visit.stream('event: endpoint\ndata: /m\n\n');
      else held.push(visit);
    });
    const connection = connect(server.url, {}, 'sse');
    connection.send({ id: 0, method: 'initialize' });
    connection.send({ method: 'notifications/initialized' });
    connection.send({ id: 1, method: 'a' });
    connection.send({ id: 2, method: 'b' });
    const counts: number[] = [];
    for (const method of ['initialize', 'notifications/initialized']) {
      // oxlint-disable-next-line no-await-in-loop -- each is held until the one before is taken
      const visit = await server.visit(({ body }) => body?.method === method);
      counts.push(held.length);
      visit.status(202);
    }
    await server.visit(({ body }) => body?.method === 'b');
    await server.visit(({ body }) => body?.method === 'a');
    expect(counts).toEqual([1, 2]);
  });

  test('an answer on the stream counts, whatever becomes of its POST', async () => {
    const streams: ServerResponse[] = [];
    const server = await startScripted((visit) => {
      if (visit.method === 'GET') streams.push(visit.stream('event: endpoint\ndata: /m\n\n'));
      else if (visit.body?.method === 'initialize') streams[0]?.write(event(agreed(visit.body.id)));
    });
    const connection = connect(server.url, {}, 'sse');
    await connection.shakeHands();
    expect((await server.visit(({ body }) => body?.method === 'notifications/initialized')).path).toBe('/m');
  });

  test('a server that answers a POST only when its call is done', async () => {
    const held: Visit[] = [];
    const { connection, stream } = await world((visit) => held.push(visit), { responseTimeoutMs: 300 });
    await connection.shakeHands();
    connection.send({ id: 1, method: 'tools/call' });
    connection.send({ id: 'late', result: {} });
    // What wants no answer is given up after the same time; the call is not.
    await eventually(() => expect(connection.warnings).toHaveLength(1));
    stream().write(event(resultOf(1)));
    expect(await connection.answerTo(1)).toMatchObject({ result: {} });
    expect(held).toHaveLength(2);
  });

  test('what comes with 202 and never ends is cut off, and is no fault', async () => {
    const clock = createFakeClock();
    const { server, connection, stream } = await world(
      (visit) => {
        visit.response.writeHead(202).write('Accepted');
        if (visit.body?.id !== undefined) stream().write(event(resultOf(visit.body.id)));
      },
      { clock },
    );
    await connection.shakeHands();
    connection.send({ id: 1, method: 'tools/call' });
    await connection.answerTo(1);
    const { response } = await server.visit(({ body }) => body?.id === 1);
    expect(response.destroyed).toBe(false);
    await eventually(() => {
      clock.advance(5000);
      expect(response.destroyed).toBe(true);
    });
    expect([connection.warnings, connection.ends]).toEqual([[], []]);
  });

  test('an endpoint named a second time changes nothing', async () => {
    const { server, connection, stream } = await world(accepted);
    await connection.shakeHands();
    stream().write('event: endpoint\ndata: http://127.0.0.1:9/evil\n\n');
    stream().write(event({ method: 'notifications/x' }));
    await eventually(() => expect(connection.others()).toHaveLength(1));
    connection.send({ id: 1, method: 'tools/call' });
    expect((await server.visit(({ body }) => body?.id === 1)).path).toBe('/messages?session=1');
    expect(connection.ends).toEqual([]);
  });

  test('an answer that is too large fails its request and nothing else', async () => {
    const { connection, stream } = await world(
      (visit) => {
        visit.status(202);
        stream().write(event(resultOf(visit.body?.id, { x: visit.body?.id === 1 ? 'x'.repeat(200_000) : 'small' })));
      },
      { maxMessageBytes: 10_000 },
    );
    await connection.shakeHands();
    connection.send({ id: 1, method: 'tools/call' });
    expect((await connection.answerTo(1)).error).toMatchObject({ code: -32603, data: { reason: 'message_too_large' } });
    connection.send({ id: 2, method: 'tools/call' });
    expect(await connection.answerTo(2)).toMatchObject({ result: { x: 'small' } });
  });

  test('a paused upstream reads nothing', async () => {
    const { connection, stream } = await world(accepted);
    await connection.shakeHands();
    connection.upstream.pause();
    while (!stream().writableNeedDrain)
      stream().write(event({ method: 'notifications/x', params: { data: 'x'.repeat(64 * 1024) } }));
    expect(connection.others()).toEqual([]);
    connection.upstream.resume();
    await eventually(() => expect(connection.others().length).toBeGreaterThan(0));
  });
});

describe('errors of the endpoint', () => {
  test.each([
    [
      'a status',
      (visit: Visit) => visit.status(500),
      'upstream_http_error',
      'the server answered 500 Internal Server Error',
    ],
    [
      'a reset',
      (visit: Visit) => visit.response.socket?.resetAndDestroy(),
      'upstream_stream_lost',
      'the server cannot be reached: the connection was closed before it had answered',
    ],
  ])('%s fails a request', async (_what, answer, reason, words) => {
    const { connection } = await world(answer);
    await connection.shakeHands();
    connection.send({ id: 1, method: 'tools/call' });
    expect((await connection.answerTo(1)).error).toMatchObject({ code: -32603, message: words, data: { reason } });
    expect(connection.ends).toEqual([]);
  });

  test('the server’s own error is the answer', async () => {
    const { connection } = await world((visit) =>
      visit.json({ jsonrpc: '2.0', id: null, error: { code: -32600, message: 'bad' } }, 400),
    );
    await connection.shakeHands();
    connection.send({ id: 1, method: 'tools/call' });
    expect(await connection.answerTo(1)).toEqual({ jsonrpc: '2.0', id: 1, error: { code: -32600, message: 'bad' } });
  });

  test('after the answer has come on the stream, they count no more', async () => {
    const held: Visit[] = [];
    const { connection, stream } = await world((visit) => {
      stream().write(event(resultOf(visit.body?.id)));
      held.push(visit);
    });
    await connection.shakeHands();
    connection.send({ id: 1, method: 'tools/call' });
    await connection.answerTo(1);
    held[0]?.status(500);
    stream().write(event({ method: 'notifications/x' }));
    await eventually(() => expect(connection.others()).toHaveLength(1));
    expect(connection.received.filter(({ message }) => message.kind === 'response' && message.id === 1)).toHaveLength(
      1,
    );
  });

  test('a notification that is refused is a warning', async () => {
    const { connection } = await world(({ status }) => status(404));
    await connection.shakeHands();
    connection.send({ method: 'notifications/x' });
    await eventually(() =>
      expect(connection.warnings).toEqual([
        'notifications/x did not reach the server: the server answered 404 Not Found',
      ]),
    );
  });
});

describe('what ends it', () => {
  test.each([
    [405, 'upstream_refused', /^the server answered 405 Method Not Allowed; .*use --http$/],
    [404, 'upstream_refused', /^the server answered 404 Not Found; .*use --http$/],
    [401, 'upstream_refused', /^the server answered 401 Unauthorized; .*--upstream-header/],
    [503, 'upstream_unreachable', /^the server answered 503 Service Unavailable$/],
  ])('an event stream that is answered with %i', async (status, code, reason) => {
    const server = await startScripted((visit) => visit.status(status, '', { 'Retry-After': '3' }));
    const connection = connect(server.url, {}, 'sse');
    connection.send({ id: 0, method: 'initialize' });
    const end = await connection.ended();
    expect(end).toMatchObject({ code, reason: expect.stringMatching(reason) });
    expect(end.untaken).toHaveLength(1);
    expect(end.retryAfterMs).toBe(status === 503 ? 3000 : undefined);
  });

  test('a compressed event stream', async () => {
    const headers = { 'Content-Type': 'text/event-stream', 'Content-Encoding': 'br' };
    const server = await startScripted(({ status }) => status(200, '', headers));
    expect(await connect(server.url, {}, 'sse').ended()).toMatchObject({
      code: 'upstream_refused',
      reason: expect.stringContaining('the server compressed its answer (br)'),
    });
  });

  test('something else than an event stream', async () => {
    const server = await startScripted(({ json }) => json({}));
    expect(await connect(server.url, {}, 'sse').ended()).toMatchObject({
      code: 'upstream_refused',
      reason: expect.stringMatching(/it sent no event stream; .*use --http$/),
    });
  });

  test.each([
    'http://127.0.0.1:9/messages',
    'https://127.0.0.1/messages',
    '//evil.example/messages',
    'http://169.254.169.254/',
    'javascript:1',
    'http://',
  ])('an endpoint elsewhere: %s', async (endpoint) => {
    const { server, connection } = await world(accepted, {}, endpoint);
    connection.send({ id: 0, method: 'initialize' });
    expect(await connection.ended()).toMatchObject({
      code: 'upstream_refused',
      reason: 'the server named an endpoint on another origin than its own',
    });
    expect(server.visits.filter(isPost)).toEqual([]);
  });

  test('no endpoint in time', async () => {
    const server = await startScripted(({ stream }) => void stream(': hello\n\n'));
    expect(await connect(server.url, { responseTimeoutMs: 100 }, 'sse').ended()).toMatchObject({
      code: 'upstream_unreachable',
      reason: 'the server named no endpoint within 0.1 s',
    });
  });

  test('nobody there', async () => {
    const connection = connect(`http://127.0.0.1:${await freePort()}/sse`, {}, 'sse');
    expect(await connection.ended()).toMatchObject({
      code: 'upstream_unreachable',
      reason: 'the server cannot be reached: connection refused',
    });
  });

  test('a stream without an endpoint', async () => {
    const server = await startScripted(({ stream }) => void stream(': hello\n\n').end());
    expect(await connect(server.url, {}, 'sse').ended()).toMatchObject({
      code: 'upstream_refused',
      reason: 'the event stream of the server ended without naming an endpoint',
    });
  });

  test.each([
    ['ended', (stream: ServerResponse) => stream.end()],
    ['broke off', (stream: ServerResponse) => stream.destroy()],
  ])('the loss of the stream: it %s', async (how, lose) => {
    const { server, connection, stream } = await world(() => {});
    await connection.shakeHands();
    stream().write('retry: 1234\n\n');
    connection.send({ id: 1, method: 'tools/call' });
    await server.visit(({ body }) => body?.id === 1);
    lose(stream());
    const end = await connection.ended();
    expect(end).toEqual({
      code: 'upstream_exited',
      reason: `the event stream of the server ${how}`,
      stderr: '',
      untaken: [],
      retryAfterMs: 1234,
    });
    expect(connection.send({ id: 2, method: 'ping' })).toBe(false);
  });

  test('close: every connection ends', async () => {
    const { server, connection } = await world(() => {});
    await connection.shakeHands();
    connection.send({ id: 1, method: 'tools/call' });
    await server.visit(({ body }) => body?.id === 1);
    await within(3000, 'the end', Promise.all([connection.upstream.close(), connection.upstream.close()]));
    expect(connection.ends).toEqual([
      { code: 'upstream_exited', reason: 'the connection to the server was closed', stderr: '' },
    ]);
    await eventually(() => expect(server.connections()).toBe(0));
    expect(connection.received).toHaveLength(1);
  });
});
