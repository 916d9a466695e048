// What happens to calls, sessions and connections when streams break, servers restart or somebody closes.
import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { systemClock, type Clock } from '../../../../src/platform/clock.ts';
import { createDeferred } from '../../../../src/platform/deferred.ts';
import { eventually, within } from '../../../harness/eventually.ts';
import type { RpcMessage } from '../../../../src/mcp/json-rpc.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';
import { send } from '../../../harness/raw-http.ts';
import {
  afterHandshake,
  connect,
  event,
  openSession,
  resultOf,
  sessionId,
  startScripted,
  withoutStream,
  type Connection,
  type Script,
  type ScriptedServer,
  type Visit,
} from './http-world.ts';

const isCall = ({ body }: Visit) => body?.method === 'tools/call';
const isResumption = ({ method, headers }: Visit) => method === 'GET' && headers['last-event-id'] !== undefined;
const idsOf = (messages: readonly RpcMessage[] | undefined) =>
  messages?.map(({ json }) => json['id'] ?? json['method']);
const cut = (response: ServerResponse) => setImmediate(() => response.destroy());

/** A server of one call: `call` begins the answer, `resume` gets every resumption with its number from 1. */
function resumable(call: Script, resume: (visit: Visit, count: number) => void): Script {
  let count = 0;
  return afterHandshake(
    withoutStream((visit) => {
      if (isCall(visit)) call(visit);
      else if (isResumption(visit)) resume(visit, ++count);
      else visit.status(202);
    }),
  );
}

async function callOf(script: Script): Promise<{ connection: Connection; server: ScriptedServer }> {
  const server = await startScripted(script);
  const connection = await openSession(server.url);
  connection.send({ id: 1, method: 'tools/call' });
  return { connection, server };
}

describe('an answer that breaks off', () => {
  test('is gone on with behind the last event that came', async () => {
    const { connection, server } = await callOf(
      resumable(
        ({ stream }) =>
          cut(stream(event({ method: 'notifications/a' }, '1'), event({ method: 'notifications/b' }, '2'))),
        ({ stream }) => stream(event({ method: 'notifications/c' }, '3'), event(resultOf(1))).end(),
      ),
    );
    expect(await connection.answerTo(1)).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    expect(connection.received.slice(1).map(({ message, origin }) => [message.json['method'], origin])).toEqual([
      ['notifications/a', 1],
      ['notifications/b', 1],
      ['notifications/c', 1],
      [undefined, 1],
    ]);
    expect((await server.visit(isResumption)).headers).toMatchObject({
      'last-event-id': '2',
      'mcp-session-id': sessionId,
      'mcp-protocol-version': '2025-11-25',
    });
    expect(server.visits.filter(isCall)).toHaveLength(1);
  });

  test('by the server’s own wish is asked for again after the time that it names', async () => {
    const times: number[] = [];
    const { connection } = await callOf(
      resumable(
        ({ stream }) => {
          times.push(performance.now());
          stream('id: 0\nretry: 200\ndata:\n\n').end();
        },
        ({ stream }, count) => {
          times.push(performance.now());
          // More questions in vain than a broken stream would get.
          stream(...(count < 8 ? ['retry: 0\n\n'] : [event(resultOf(1))])).end();
        },
      ),
    );
    await connection.answerTo(1);
    expect(times).toHaveLength(9);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(190);
    // `retry: 0` is no leave to keep the server busy.
    expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThan(90);
  });

  test('without event ids is an error', async () => {
    const { connection } = await callOf(
      resumable(
        ({ stream }) => cut(stream(event({ method: 'notifications/a' }))),
        () => {},
      ),
    );
    expect((await connection.answerTo(1)).error).toEqual({
      code: -32603,
      message: 'the connection broke before the server had answered',
      data: { reason: 'upstream_stream_lost' },
    });
    expect(connection.ends).toEqual([]);
  });

  test('whose event ids no header can hold is an error', async () => {
    const { connection, server } = await callOf(
      resumable(
        ({ stream }) => cut(stream(event({ method: 'notifications/a' }, '1\u0001'))),
        () => {},
      ),
    );
    expect((await connection.answerTo(1)).error?.message).toBe('the connection broke before the server had answered');
    expect(server.visits.filter(isResumption)).toEqual([]);
  });

  test('is given up when nothing more ever comes', async () => {
    const clock = createFakeClock();
    const server = await startScripted(
      resumable(
        ({ stream }) => cut(stream('id: 1\ndata:\n\n')),
        ({ stream }) => cut(stream()),
      ),
    );
    const connection = await openSession(server.url, { clock });
    connection.send({ id: 1, method: 'tools/call' });
    // Each try waits for the time to come at which it is due.
    await eventually(() => {
      clock.advance(30_000);
      if (connection.received.length === 1) throw new Error('it has not been given up');
    }, 10_000);
    expect((await connection.answerTo(1)).error).toMatchObject({
      message: 'the server does not resume its answer',
      data: { reason: 'upstream_stream_lost' },
    });
    // The id of an event alone is nothing that came.
    expect(server.visits.filter(isResumption)).toHaveLength(5);
  });

  test('that the server does not resume is an error', async () => {
    const { connection } = await callOf(
      resumable(
        ({ stream }) => cut(stream('id: 1\ndata:\n\n')),
        ({ status }) => status(405),
      ),
    );
    expect((await connection.answerTo(1)).error?.message).toBe(
      'the connection broke before the server had answered, and cannot be resumed: the server answered 405 Method Not Allowed',
    );
  });

  test('is not gone on with when it was cancelled', async () => {
    const streams: ServerResponse[] = [];
    const clock = createFakeClock();
    const server = await startScripted(
      resumable(
        ({ stream }) => streams.push(stream('id: 1\ndata:\n\n')),
        () => {},
      ),
    );
    const connection = await openSession(server.url, { clock });
    connection.send({ id: 1, method: 'tools/call' });
    await server.visit(isCall);
    connection.send({ method: 'notifications/cancelled', params: { requestId: 1 } });
    await server.visit(({ body }) => body?.method === 'notifications/cancelled');
    // The server lets the stream stand; it is closed after a while, without an error for anybody.
    clock.advance(5000);
    await eventually(() => expect(streams[0]?.destroyed).toBe(true));
    expect(connection.received).toHaveLength(1);
    expect(server.visits.filter(isResumption)).toHaveLength(0);
  });
});

describe('a session that the server has forgotten', () => {
  test('ends the connection with everything that was not taken, in order', async () => {
    const held: Visit[] = [];
    const server = await startScripted(
      afterHandshake(
        withoutStream((visit) => {
          held.push(visit);
          if (held.length === 3)
            for (const { json } of held)
              json({ jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } }, 404);
        }),
      ),
    );
    const connection = await openSession(server.url);
    for (const id of [1, 2]) connection.send({ id, method: 'tools/call' });
    connection.send({ method: 'notifications/roots/list_changed' });
    const end = await connection.ended();
    expect(end).toMatchObject({
      code: 'upstream_session_lost',
      reason: 'the server no longer knows the session',
      stderr: '',
    });
    expect(idsOf(end.untaken)).toEqual([1, 2, 'notifications/roots/list_changed']);
    expect(connection.received).toHaveLength(1);
    expect(server.visits.filter(({ method }) => method === 'DELETE')).toHaveLength(0);
  });

  test('what is sent meanwhile waits and is untaken too; a call that is being answered fails', async () => {
    const held: Visit[] = [];
    const server = await startScripted(
      afterHandshake(
        withoutStream((visit) => {
          if (visit.body?.id === 1) visit.stream(event({ method: 'notifications/a' }, 'e'));
          else if (visit.body?.id === 2) visit.status(404);
          else held.push(visit);
        }),
      ),
    );
    const connection = await openSession(server.url);
    for (const id of [1, 3]) connection.send({ id, method: 'tools/call' });
    await server.visit(isCall, 2);
    connection.send({ id: 2, method: 'tools/call' });
    await server.visit(isCall, 3);
    // The 404 is read before this answer, since it was sent before.
    await eventually(() => expect(connection.others()).toHaveLength(1));
    for (const { json } of held) json(resultOf(3));
    await connection.answerTo(3);
    const end = await connection.ended();
    expect(idsOf(end.untaken)).toEqual([2]);
    expect((await connection.answerTo(1)).error).toMatchObject({ data: { reason: 'upstream_stream_lost' } });
  });

  test('a call whose answer does not begin is not waited for', async () => {
    const server = await startScripted(
      afterHandshake(withoutStream((visit) => void (visit.body?.id === 2 && visit.status(404)))),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    await server.visit(isCall);
    connection.send({ id: 2, method: 'tools/call' });
    await server.visit(isCall, 2);
    await eventually(() => expect(connection.send({ id: 3, method: 'tools/call' })).toBe(true));
    const end = await connection.ended();
    expect(idsOf(end.untaken)?.[0]).toBe(2);
    expect(idsOf(end.untaken)).not.toContain(1);
    expect((await connection.answerTo(1)).error).toMatchObject({ data: { reason: 'upstream_stream_lost' } });
  });

  test.each(['Bad Request: No valid session ID provided', 'Bad Request: Server not initialized'])(
    'also when it says so with 400: %s',
    async (words) => {
      const server = await startScripted(
        afterHandshake(
          withoutStream(({ json }) => json({ jsonrpc: '2.0', id: null, error: { code: -32000, message: words } }, 400)),
        ),
      );
      const connection = await openSession(server.url);
      connection.send({ id: 1, method: 'tools/call' });
      expect((await connection.ended()).code).toBe('upstream_session_lost');
    },
  );

  test('also when it says so with the id of the request, as some do that are made of the SDKs', async () => {
    const error = { code: -32001, message: 'Session not found' };
    const server = await startScripted(
      afterHandshake(withoutStream(({ json, body }) => json({ jsonrpc: '2.0', id: body?.id, error }, 404))),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    const end = await connection.ended();
    expect([end.code, idsOf(end.untaken)]).toEqual(['upstream_session_lost', [1]]);
    expect(connection.received).toHaveLength(1);
  });

  test('also when it says so to a resumption, be it of initialize', async () => {
    const server = await startScripted((visit) => {
      const { body, response } = visit;
      if (visit.method === 'GET') visit.status(404);
      else if (body?.method === 'initialize') {
        response.setHeader('Mcp-Session-Id', sessionId);
        cut(visit.stream('id: 1\ndata:\n\n'));
      }
    });
    const connection = connect(server.url);
    connection.send({ id: 0, method: 'initialize' });
    connection.send({ id: 1, method: 'tools/call' });
    const end = await connection.ended();
    expect(end.code).toBe('upstream_session_lost');
    expect(idsOf(end.untaken)).toEqual([1]);
    expect((await connection.answerTo(0)).error).toMatchObject({ data: { reason: 'upstream_stream_lost' } });
    expect(server.visits.filter(isCall)).toEqual([]);
  });

  test('without a session, 404 is an ordinary error', async () => {
    const server = await startScripted(
      afterHandshake(
        withoutStream(({ status }) => status(404)),
        { session: false },
      ),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    expect((await connection.answerTo(1)).error?.message).toBe('the server answered 404 Not Found');
  });
});

/** Its connections are closed on our side, too: what is sent into one that is being closed may have been read. */
async function stopped(server: ScriptedServer): Promise<void> {
  await server.stop();
  // Each takes a turn of the event loop in which our side learns of it.
  for (let turn = 0; turn < 3; turn++) {
    // oxlint-disable-next-line no-await-in-loop
    await expect(send(server.url)).rejects.toThrow('ECONNREFUSED');
  }
}

describe('a server that cannot be reached', () => {
  const echo = afterHandshake(
    withoutStream(({ json, body }) => json(resultOf(body?.id))),
    { session: false },
  );

  test('after a short restart, nothing is lost', async () => {
    const server = await startScripted(echo);
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    await connection.answerTo(1);
    await stopped(server);
    connection.send({ id: 2, method: 'tools/call' });
    await startScripted(echo, { port: server.port });
    expect(await connection.answerTo(2)).toEqual({ jsonrpc: '2.0', id: 2, result: {} });
  });

  test('is not sent a request that was cancelled before the next try, nor its cancellation', async () => {
    const server = await startScripted(echo);
    const retry = createDeferred<void>();
    const clock: Clock = {
      now: systemClock.now,
      after(delayMs, callback) {
        // The wait before the second try, and the only timer of this length.
        if (delayMs === 200) retry.resolve();
        return systemClock.after(delayMs, callback);
      },
    };
    const connection = await openSession(server.url, { clock });
    await stopped(server);
    connection.send({ id: 1, method: 'tools/call' });
    await within(5000, 'the wait for the second try', retry.promise);
    connection.send({ method: 'notifications/cancelled', params: { requestId: 1 } });
    const restarted = await startScripted(echo, { port: server.port });
    connection.send({ id: 2, method: 'tools/call' });
    await connection.answerTo(2);
    expect(restarted.visits.map(({ body }) => body?.id)).toEqual([2]);
  });

  test('ends the connection after some tries, and hands back what was not sent', async () => {
    const server = await startScripted(echo);
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    await connection.answerTo(1);
    await stopped(server);
    connection.send({ id: 2, method: 'tools/call' });
    connection.send({ id: 3, method: 'tools/call' });
    const end = await connection.ended();
    expect(end).toMatchObject({
      code: 'upstream_unreachable',
      reason: 'the server cannot be reached: connection refused',
    });
    expect(idsOf(end.untaken)).toEqual([2, 3]);
    expect(connection.received).toHaveLength(2);
  });
});
