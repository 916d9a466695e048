// What a call, and nothing else, suffers from when its answer is an error or cannot be read.
import { describe, expect, test } from 'vitest';
import { eventually } from '../../../harness/eventually.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';
import {
  afterHandshake,
  connect,
  event,
  openSession,
  resultOf,
  startScripted,
  withoutStream,
  type Visit,
} from './http-world.ts';

describe('an answer', () => {
  test('an HTTP error is an error for its request, without the page of a proxy', async () => {
    const server = await startScripted(
      afterHandshake(
        withoutStream((visit) =>
          visit.status(502, '<h1>secret</h1>', { 'Content-Type': 'text/html', 'X-Secret': 'secret' }),
        ),
      ),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    const answer = await connection.answerTo(1);
    expect(answer.error).toEqual({
      code: -32603,
      message: 'the server answered 502 Bad Gateway',
      data: { reason: 'upstream_http_error', status: 502 },
    });
  });

  test('plain words of the server are shown, without control characters and not many', async () => {
    const page = `no \u001B[31mway\u001B[0m\n\n${'x'.repeat(1000)}`;
    const server = await startScripted(
      afterHandshake(
        withoutStream((visit) => visit.status(500, page, { 'Content-Type': 'text/plain; charset=utf-8' })),
      ),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    const { error } = await connection.answerTo(1);
    expect(error?.message).toMatch(/^the server answered 500 Internal Server Error: no way x+$/);
    expect(error?.message.length).toBeLessThan(260);
  });

  test.each([400, 404, 500])('a JSON-RPC error with HTTP %i is the answer', async (status) => {
    const error = { code: -32601, message: 'unknown', data: [1] };
    const server = await startScripted(
      afterHandshake(withoutStream((visit) => visit.json({ jsonrpc: '2.0', id: visit.body?.id, error }, status))),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'x/y' });
    expect(await connection.answerTo(1)).toEqual({ jsonrpc: '2.0', id: 1, error });
    expect(connection.ends).toEqual([]);
  });

  test('a JSON-RPC error comes byte for byte, with the id of the request', async () => {
    const error = '{"code":-32602,"message":"é€😀","data":{"precise":1.00,"big":12345678901234567890}}';
    const server = await startScripted(
      afterHandshake(
        withoutStream((visit) =>
          visit.status(400, `{"jsonrpc":"2.0","id":null,"error":${error}}`, { 'Content-Type': 'application/json' }),
        ),
      ),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'x/y' });
    await connection.answerTo(1);
    expect(connection.received.at(-1)?.message.bytes.toString()).toBe(`{"jsonrpc":"2.0","id":1,"error":${error}}`);
  });

  test('one that nests too deep fails its request as any page would', async () => {
    const server = await startScripted(
      afterHandshake(withoutStream((visit) => visit.status(500, '['.repeat(50_000), { 'Content-Type': 'text/html' }))),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'x/y' });
    expect((await connection.answerTo(1)).error?.message).toBe('the server answered 500 Internal Server Error');
    expect(connection.ends).toEqual([]);
  });

  test.each([
    [404, { code: -32602, message: 'no such tool' }],
    [404, { code: -32001, message: 'Request timed out' }],
    [400, { code: -32000, message: 'Session not found' }],
  ])(
    'an error with HTTP %i and the id of the request is its answer, not the end of the session',
    async (status, error) => {
      const server = await startScripted(
        afterHandshake(withoutStream((visit) => visit.json({ jsonrpc: '2.0', id: visit.body?.id, error }, status))),
      );
      const connection = await openSession(server.url);
      connection.send({ id: 1, method: 'tools/call' });
      expect(await connection.answerTo(1)).toEqual({ jsonrpc: '2.0', id: 1, error });
      expect(connection.ends).toEqual([]);
    },
  );

  test('a notification that is refused is a warning', async () => {
    const server = await startScripted(afterHandshake(withoutStream((visit) => visit.status(500))));
    const connection = await openSession(server.url);
    connection.send({ method: 'notifications/roots/list_changed' });
    await eventually(() =>
      expect(connection.warnings).toEqual([
        'notifications/roots/list_changed did not reach the server: the server answered 500 Internal Server Error',
      ]),
    );
  });

  test('to a notification that never ends is cut off, and is no fault', async () => {
    const server = await startScripted(
      afterHandshake(
        withoutStream((visit) => {
          if (visit.body?.id === undefined) visit.response.writeHead(202).write('Accepted');
          else visit.json(resultOf(visit.body.id));
        }),
      ),
    );
    const clock = createFakeClock();
    const connection = await openSession(server.url, { clock });
    connection.send({ method: 'notifications/roots/list_changed' });
    const { response } = await server.visit(({ body }) => body?.method === 'notifications/roots/list_changed');
    connection.send({ id: 1, method: 'tools/call' });
    await connection.answerTo(1);
    expect(response.destroyed).toBe(false);
    await eventually(() => {
      clock.advance(5000);
      expect(response.destroyed).toBe(true);
    });
    expect([connection.warnings, connection.ends]).toEqual([[], []]);
  });

  test.each([
    [
      'something else than JSON',
      (visit: Visit) => visit.status(200, '<p>', { 'Content-Type': 'text/html' }),
      'upstream_http_error',
    ],
    ['202 without an answer', (visit: Visit) => visit.status(202), 'upstream_http_error'],
    [
      'no valid JSON',
      (visit: Visit) => visit.status(200, '{', { 'Content-Type': 'application/json' }),
      'message_unreadable',
    ],
    ['the answer to another request', (visit: Visit) => visit.json(resultOf(99)), 'message_unreadable'],
    ['a compressed body', (visit: Visit) => visit.json({}, 200, { 'Content-Encoding': 'gzip' }), 'upstream_http_error'],
    [
      'JSON that is cut off',
      (visit: Visit) => {
        visit.response.writeHead(200, { 'Content-Type': 'application/json' }).write('{"jsonrpc"');
        setImmediate(() => visit.response.destroy());
      },
      'upstream_stream_lost',
    ],
    [
      'a body that is too large',
      (visit: Visit) => visit.json(resultOf(1, { big: 'x'.repeat(20_000) })),
      'message_too_large',
    ],
    [
      'an event that is too large',
      (visit: Visit) => visit.stream(event(resultOf(1, { big: 'x'.repeat(200_000) }))).end(),
      'message_too_large',
    ],
    ['a stream without an answer', (visit: Visit) => visit.stream(': hello\n\n').end(), 'upstream_stream_lost'],
    ['a reset', (visit: Visit) => visit.response.socket?.resetAndDestroy(), 'upstream_stream_lost'],
  ])('%s fails the request and nothing else', async (_what, answer, reason) => {
    const server = await startScripted(
      afterHandshake(
        withoutStream((visit) => {
          if (visit.body?.id === 1) answer(visit);
          else visit.json(resultOf(visit.body?.id));
        }),
      ),
    );
    const connection = await openSession(server.url, { maxMessageBytes: 10_000 });
    connection.send({ id: 1, method: 'tools/call' });
    expect((await connection.answerTo(1)).error).toMatchObject({ code: -32603, data: { reason } });
    connection.send({ id: 2, method: 'tools/call' });
    expect(await connection.answerTo(2)).toEqual({ jsonrpc: '2.0', id: 2, result: {} });
    expect(connection.ends).toEqual([]);
  });

  test.each(['gzip', 'br', 'deflate, gzip', 'zstd'])(
    'an answer that is compressed with %s is called that',
    async (coding) => {
      const headers = { 'Content-Encoding': coding };
      const words = `the server compressed its answer (${coding}), although mcp-expose does not accept that`;
      const server = await startScripted(
        afterHandshake(
          withoutStream((visit) => {
            if (visit.body?.id === 1) visit.json(resultOf(1), 200, headers);
            else if (visit.body?.id === 2) visit.status(200, '', { ...headers, 'Content-Type': 'text/event-stream' });
            else visit.json({ secret: 'garbage' }, 500, headers);
          }),
        ),
      );
      const connection = await openSession(server.url);
      for (const id of [1, 2, 3]) connection.send({ id, method: 'tools/call' });
      for (const id of [1, 2, 3]) {
        // oxlint-disable-next-line no-await-in-loop -- in order
        const { error } = await connection.answerTo(id);
        expect(error).toMatchObject({ message: expect.stringContaining(words) });
        expect(error?.message).not.toContain('garbage');
      }
    },
  );

  test.each(['identity', 'IDENTITY', '', 'identity, identity'])(
    'Content-Encoding: %j is no compression',
    async (coding) => {
      const server = await startScripted(
        afterHandshake(
          withoutStream(({ json, body }) => json(resultOf(body?.id), 200, { 'Content-Encoding': coding })),
        ),
      );
      const connection = await openSession(server.url);
      connection.send({ id: 1, method: 'tools/call' });
      expect(await connection.answerTo(1)).toMatchObject({ result: {} });
    },
  );

  test.each([
    ['JSON', 200, 'application/json'],
    ['an event stream', 200, 'text/event-stream'],
    ['an error', 400, 'application/json'],
  ])('initialize that is answered with compressed %s is reported as such', async (_what, status, type) => {
    const headers = { 'Content-Type': type, 'Content-Encoding': 'gzip' };
    const server = await startScripted((visit) => visit.status(status, 'x', headers));
    const connection = connect(server.url);
    connection.send({ id: 0, method: 'initialize' });
    expect(await connection.ended()).toMatchObject({
      code: 'upstream_refused',
      reason: expect.stringContaining('the server compressed its answer (gzip)'),
    });
  });

  test('a message on the way that is too large costs only itself', async () => {
    const server = await startScripted(
      afterHandshake(
        withoutStream(({ stream, body }) =>
          stream(
            event({ method: 'notifications/message', params: { data: 'x'.repeat(300_000) } }),
            event({ method: 'notifications/message', params: { data: 'small' } }),
            event(resultOf(body?.id)),
          ).end(),
        ),
      ),
    );
    const connection = await openSession(server.url, { maxMessageBytes: 10_000 });
    connection.send({ id: 1, method: 'tools/call' });
    expect(await connection.answerTo(1)).toMatchObject({ result: {} });
    expect(connection.others()).toMatchObject([{ params: { data: 'small' } }]);
    expect(connection.warnings).toEqual([
      'the server sent a message larger than the 10000 bytes that a message may have, it was dropped',
    ]);
  });

  test('garbage on a stream is skipped', async () => {
    const server = await startScripted(
      afterHandshake(withoutStream(({ stream, body }) => stream('data: hello\n\n', event(resultOf(body?.id))).end())),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    expect(await connection.answerTo(1)).toMatchObject({ result: {} });
    expect(connection.warnings).toEqual([
      'the server sent what is not a JSON-RPC message (the message is not valid JSON), it was skipped: hello',
    ]);
  });

  test('an answer that comes twice is delivered once', async () => {
    const server = await startScripted(
      afterHandshake(
        withoutStream(({ stream, body }) =>
          stream(
            event(resultOf(body?.id, { n: 1 })),
            event(resultOf(body?.id, { n: 2 })),
            event({ method: 'x' }),
          ).end(),
        ),
      ),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    await eventually(() => expect(connection.others()).toHaveLength(1));
    expect(connection.received.filter(({ message }) => message.kind === 'response' && message.id === 1)).toHaveLength(
      1,
    );
  });
});
