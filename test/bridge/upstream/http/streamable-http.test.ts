import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { eventually } from '../../../harness/eventually.ts';
import { freePort } from '../../../harness/loopback-server.ts';
import {
  afterHandshake,
  agreed,
  connect,
  event,
  openSession,
  resultOf,
  sessionId,
  startScripted,
  withoutStream,
  type Visit,
} from './http-world.ts';

const isMethod = (method: string) => (visit: Visit) => visit.body?.method === method;

/** A server that answers every request with `{ by: method }`. */
const plain = afterHandshake(
  withoutStream((visit) => {
    if (visit.body?.id === undefined || visit.body.method === undefined) visit.status(202);
    else visit.json(resultOf(visit.body.id, { by: visit.body.method }));
  }),
);

const answerEmpty = (visit: Visit) => visit.json(resultOf(visit.body?.id));
const headerNames = (visit: Visit | undefined) => visit?.rawHeaders.filter((_, index) => index % 2 === 0).toSorted();

describe('messages', () => {
  test('a request is answered by JSON, and comes with its origin', async () => {
    const server = await startScripted(plain);
    const connection = await openSession(server.url);
    connection.send({ id: 7, method: 'tools/list' });
    expect(await connection.answerTo(7)).toEqual({ jsonrpc: '2.0', id: 7, result: { by: 'tools/list' } });
    expect(connection.received.at(-1)?.origin).toBe(7);
  });

  test('the bytes of a message go out as they are', async () => {
    const bodies: string[] = [];
    const server = await startScripted((visit) => {
      bodies.push(JSON.stringify(visit.body));
      plain(visit);
    });
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'x/y', params: { z: 1, a: 'ä€😀', n: null } });
    await connection.answerTo(1);
    expect(bodies.at(-1)).toBe('{"jsonrpc":"2.0","id":1,"method":"x/y","params":{"z":1,"a":"ä€😀","n":null}}');
  });

  test('everything on the stream of a request comes with its origin', async () => {
    const server = await startScripted(
      afterHandshake(
        withoutStream(({ stream, body }) =>
          stream(
            event({ method: 'notifications/message', params: { n: 1 } }),
            event({ id: 'ask', method: 'elicitation/create', params: {} }) + event(resultOf(body?.id)),
          ).end(),
        ),
      ),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 'a', method: 'tools/call' });
    await connection.answerTo('a');
    expect(connection.received.slice(1).map(({ message, origin }) => [message.kind, origin])).toEqual([
      ['notification', 'a'],
      ['request', 'a'],
      ['response', 'a'],
    ]);
  });

  test('an array of messages is taken apart', async () => {
    const server = await startScripted(
      afterHandshake(
        withoutStream(({ json, body }) => json([{ jsonrpc: '2.0', method: 'notifications/x' }, resultOf(body?.id)])),
      ),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    await connection.answerTo(1);
    expect(connection.others()).toEqual([{ jsonrpc: '2.0', method: 'notifications/x' }]);
  });

  test('requests are under way at the same time, and are answered in any order', async () => {
    const held: Visit[] = [];
    const server = await startScripted(afterHandshake(withoutStream((visit) => held.push(visit))));
    const connection = await openSession(server.url);
    for (const id of [1, 2, 3]) connection.send({ id, method: 'tools/call' });
    await server.visit(isMethod('tools/call'), 3);
    for (const visit of held.toReversed()) visit.json(resultOf(visit.body?.id));
    await connection.answerTo(1);
    expect(connection.received.slice(1).map(({ origin }) => origin)).toEqual([3, 2, 1]);
  });

  test('300 calls at once: all are answered, and no more than 256 are under way', async () => {
    const held: Visit[] = [];
    const server = await startScripted(afterHandshake(withoutStream((visit) => held.push(visit))));
    const connection = await openSession(server.url);
    for (let id = 0; id < 300; id++) connection.send({ id, method: 'tools/call' });
    // A message that is no request passes those that wait: it may be what they wait for.
    connection.send({ id: 'ask', result: {} });
    await server.visit(({ body }) => body?.id === 'ask');
    await server.visit(isMethod('tools/call'), 256);
    expect(held.filter(isMethod('tools/call'))).toHaveLength(256);
    for (const visit of held) answerEmpty(visit);
    await server.visit(isMethod('tools/call'), 300);
    for (const visit of held.slice(257)) answerEmpty(visit);
    await Promise.all(Array.from({ length: 300 }, (_, id) => connection.answerTo(id)));
  });
});

describe('headers', () => {
  test('session and revision are sent once they are known, and only what the transport and the user set', async () => {
    const server = await startScripted(plain);
    const headers = new Map([
      ['Authorization', 'Bearer upstream'],
      ['X-Tenant', 'ä'],
    ]);
    const connection = await openSession(server.url, { headers });
    connection.send({ id: 1, method: 'tools/list' });
    await connection.answerTo(1);
    const [initialize, , , call] = server.visits;
    const common = [
      'Accept',
      'Accept-Encoding',
      'Authorization',
      'Connection',
      'Content-Length',
      'Content-Type',
      'Host',
      'User-Agent',
      'X-Tenant',
    ];
    expect(headerNames(initialize)).toEqual(common);
    expect(headerNames(call)).toEqual([...common, 'mcp-protocol-version', 'mcp-session-id']);
    expect(call?.headers).toMatchObject({
      accept: 'application/json, text/event-stream',
      'accept-encoding': 'identity',
      authorization: 'Bearer upstream',
      'content-type': 'application/json',
      'mcp-session-id': sessionId,
      'mcp-protocol-version': '2025-11-25',
      'user-agent': 'mcp-expose',
      'x-tenant': 'ä',
    });
  });

  test('a revision from before the header is not sent', async () => {
    const server = await startScripted(
      afterHandshake(({ json, body }) => json(resultOf(body?.id)), { revision: '2025-03-26' }),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/list' });
    await connection.answerTo(1);
    expect(server.visits.at(-1)?.headers).not.toHaveProperty('mcp-protocol-version');
    expect(server.visits.at(-1)?.headers).toHaveProperty('mcp-session-id');
  });

  test('a server without sessions gets none, and no DELETE', async () => {
    const server = await startScripted(
      afterHandshake(
        withoutStream(({ json, body }) => json(resultOf(body?.id))),
        { session: false },
      ),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/list' });
    await connection.answerTo(1);
    await connection.upstream.close();
    expect(server.visits.map(({ method, headers }) => [method, headers['mcp-session-id']])).toEqual([
      ['POST', undefined],
      ['POST', undefined],
      ['GET', undefined],
      ['POST', undefined],
    ]);
  });

  test('a session id that no header can hold is refused', async () => {
    const server = await startScripted(({ json, body }) => json(agreed(body?.id), 200, { 'Mcp-Session-Id': 'a b' }));
    const connection = connect(server.url);
    connection.send({ id: 0, method: 'initialize' });
    expect(await connection.ended()).toMatchObject({
      code: 'upstream_refused',
      reason: 'the server gave a session id that no header can hold',
    });
  });
});

describe('the handshake', () => {
  test('nothing overtakes it: initialize, initialized, the standalone stream, then the rest in order', async () => {
    const order: string[] = [];
    const server = await startScripted((visit) => {
      order.push(visit.body?.method ?? visit.method);
      if (visit.method !== 'GET') {
        plain(visit);
        return;
      }
      setTimeout(() => {
        order.push('stream');
        visit.stream();
      }, 50);
    });
    const connection = connect(server.url);
    connection.send({ id: 0, method: 'initialize' });
    connection.send({ method: 'notifications/initialized' });
    connection.send({ id: 1, method: 'tools/list' });
    await connection.answerTo(1);
    expect(order).toEqual(['initialize', 'notifications/initialized', 'GET', 'stream', 'tools/list']);
  });

  test('a server that does not begin the standalone stream delays nothing', async () => {
    const server = await startScripted((visit) => {
      if (visit.method !== 'GET') plain(visit);
    });
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/list' });
    expect(await connection.answerTo(1)).toMatchObject({ result: { by: 'tools/list' } });
  });

  test('the answer to a ping passes, since initialize may wait for it', async () => {
    const opening: { stream?: ServerResponse } = {};
    const server = await startScripted((visit) => {
      const { body } = visit;
      if (body?.method === 'initialize') {
        opening.stream = visit.stream(event({ id: 'p', method: 'ping' }));
      } else if (body?.id === 'p') {
        visit.status(202);
        opening.stream?.end(event(agreed(0)));
      }
    });
    const connection = connect(server.url);
    connection.send({ id: 0, method: 'initialize' });
    await eventually(() => expect(connection.others()).toMatchObject([{ method: 'ping' }]));
    connection.send({ id: 'p', result: {} });
    expect(await connection.answerTo(0)).toMatchObject({ result: { protocolVersion: '2025-11-25' } });
  });

  test.each([
    [401, 'upstream_refused', /^the server answered 401 Unauthorized; .*--upstream-header/],
    [403, 'upstream_refused', /^the server answered 403 Forbidden; .*--upstream-header/],
    [404, 'upstream_refused', /^the server answered 404 Not Found; .*--sse/],
    [405, 'upstream_refused', /^the server answered 405 Method Not Allowed; .*--sse/],
    [400, 'upstream_refused', /^the server answered 400 Bad Request; .*--sse/],
    [418, 'upstream_refused', /^the server answered 418 I'm a Teapot$/],
    [503, 'upstream_unreachable', /^the server answered 503 Service Unavailable$/],
  ])('initialize that is answered with %i ends it as %s', async (status, code, reason) => {
    const server = await startScripted((visit) => visit.status(status, 'no', { 'Retry-After': '2' }));
    const connection = connect(server.url);
    connection.send({ id: 0, method: 'initialize' });
    connection.send({ method: 'notifications/initialized' });
    const end = await connection.ended();
    expect(end).toMatchObject({ code, reason: expect.stringMatching(reason), stderr: '' });
    expect(end.retryAfterMs).toBe(status === 503 ? 2000 : undefined);
    expect(end.untaken?.map((message) => message.kind === 'request')).toEqual([true, false]);
    expect(connection.send({ id: 1, method: 'ping' })).toBe(false);
  });

  test('an error that the server itself gives is the answer to initialize', async () => {
    const server = await startScripted(({ json }) =>
      json({ jsonrpc: '2.0', id: null, error: { code: -32022, message: 'too old', data: { supported: ['x'] } } }, 400),
    );
    const connection = connect(server.url);
    connection.send({ id: 0, method: 'initialize' });
    expect(await connection.answerTo(0)).toEqual({
      jsonrpc: '2.0',
      id: 0,
      error: { code: -32022, message: 'too old', data: { supported: ['x'] } },
    });
  });

  test('what answers with a page is no MCP server', async () => {
    const server = await startScripted((visit) => visit.status(200, '<p>hello', { 'Content-Type': 'text/html' }));
    const connection = connect(server.url);
    connection.send({ id: 0, method: 'initialize' });
    expect(await connection.ended()).toMatchObject({
      code: 'upstream_refused',
      reason: expect.stringContaining('it sent neither JSON nor an event stream'),
    });
  });

  test('nobody there', async () => {
    const connection = connect(`http://127.0.0.1:${await freePort()}/mcp`);
    connection.send({ id: 0, method: 'initialize' });
    connection.send({ id: 1, method: 'ping' });
    const end = await connection.ended();
    expect(end).toMatchObject({
      code: 'upstream_unreachable',
      reason: 'the server cannot be reached: connection refused',
    });
    expect(end.untaken).toHaveLength(2);
  });

  test('a server that does not begin to answer initialize', async () => {
    const server = await startScripted(() => {});
    const connection = connect(server.url, { responseTimeoutMs: 100 });
    connection.send({ id: 0, method: 'initialize' });
    expect(await connection.ended()).toMatchObject({
      code: 'upstream_unreachable',
      reason: 'the server cannot be reached: it did not answer within 0.1 s',
    });
  });
});
