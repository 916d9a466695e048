// The end that we ourselves make, and back-pressure in both directions.
import { createServer, type ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { eventually, within } from '../../../harness/eventually.ts';
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
  type ScriptedServer,
  type Visit,
} from './http-world.ts';

const isCall = ({ body }: Visit) => body?.method === 'tools/call';

describe('close', () => {
  test('ends the session once, and every connection', async () => {
    const server = await startScripted((visit) => {
      if (visit.method === 'GET') visit.stream(': open\n\n');
      else if (isCall(visit)) visit.stream(': open\n\n');
      else afterHandshake(() => {})(visit);
    });
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    await server.visit(isCall);
    await within(3000, 'the end', Promise.all([connection.upstream.close(), connection.upstream.close()]));
    expect(connection.ends).toEqual([
      { code: 'upstream_exited', reason: 'the connection to the server was closed', stderr: '' },
    ]);
    expect(
      server.visits.filter(({ method }) => method === 'DELETE').map(({ headers }) => headers['mcp-session-id']),
    ).toEqual([sessionId]);
    await eventually(() => expect(server.connections()).toBe(0));
    expect(connection.received).toHaveLength(1);
    expect(connection.send({ id: 2, method: 'ping' })).toBe(false);
  });

  test.each([405, 404, 500])('a server may answer DELETE with %i', async (status) => {
    const server = await startScripted((visit) => {
      if (visit.method === 'DELETE') visit.status(status);
      else afterHandshake(withoutStream(() => {}))(visit);
    });
    const connection = await openSession(server.url);
    await server.visit(({ method }) => method === 'GET');
    await connection.upstream.close();
    expect(connection.ends).toHaveLength(1);
    expect(connection.warnings).toEqual([]);
  });

  test('does not wait long for a server that does not answer DELETE', async () => {
    const server = await startScripted((visit) => {
      if (visit.method !== 'DELETE') afterHandshake(withoutStream(() => {}))(visit);
    });
    const connection = await openSession(server.url);
    await within(4000, 'the end', connection.upstream.close());
    expect(connection.ends).toHaveLength(1);
  });

  test('in the middle of the handshake', async () => {
    const server = await startScripted(() => {});
    const connection = connect(server.url);
    connection.send({ id: 0, method: 'initialize' });
    await server.visit(({ method }) => method === 'POST');
    await connection.upstream.close();
    expect(connection.ends).toHaveLength(1);
    await eventually(() => expect(server.connections()).toBe(0));
  });

  test('before anything was sent', async () => {
    const connection = connect('http://127.0.0.1:9/mcp');
    await connection.upstream.close();
    expect(connection.ends).toHaveLength(1);
  });
});

describe('back-pressure', () => {
  test('a paused upstream reads nothing, and everything after that', async () => {
    const streams: ServerResponse[] = [];
    const server = await startScripted(
      afterHandshake(
        withoutStream((visit) => {
          if (isCall(visit)) streams.push(visit.stream());
          else visit.status(202);
        }),
      ),
    );
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call' });
    await server.visit(isCall);
    connection.upstream.pause();
    const [stream] = streams;
    // More than the buffers of two sockets hold.
    let written = 0;
    const chunk = event({ method: 'notifications/message', params: { data: 'x'.repeat(64 * 1024) } });
    for (; written < 1000; written++) {
      if (stream?.writableNeedDrain !== false) break;
      stream.write(chunk);
    }
    stream?.write(event({ method: 'notifications/message', params: { data: 'x'.repeat(32 * 1024 * 1024) } }));
    stream?.end(event(resultOf(1)));
    // A second call is answered, and not read either.
    connection.send({ id: 2, method: 'tools/call' });
    await server.visit(isCall, 2);
    streams[1]?.end(event(resultOf(2)));
    const before = connection.received.length;
    // Two exchanges that are not held up: what would be read has been read by then.
    for (const method of ['notifications/a', 'notifications/b']) {
      connection.send({ method });
      // oxlint-disable-next-line no-await-in-loop
      await server.visit(({ body }) => body?.method === method);
    }
    expect(connection.received.length).toBe(before);
    expect(stream?.writableFinished).toBe(false);
    connection.upstream.resume();
    await connection.answerTo(2);
    await connection.answerTo(1);
    expect(connection.received.filter(({ message }) => message.kind === 'notification')).toHaveLength(written);
    expect(connection.warnings).toHaveLength(1);
  });

  test('what the server does not read is counted, and refused in the end', async () => {
    const { connection, server } = await stuck();
    expect(connection.upstream.isWritable()).toBe(true);
    let released = 0;
    connection.send({ id: 1, method: 'tools/call', params: { data: 'x'.repeat(40 * 1024 * 1024) } });
    expect(connection.upstream.isWritable()).toBe(false);
    connection.upstream.whenWritable(() => released++);
    expect(connection.send({ id: 2, method: 'tools/call', params: { data: 'x'.repeat(40 * 1024 * 1024) } })).toBe(true);
    expect(connection.send({ id: 3, method: 'ping' })).toBe(false);
    expect(released).toBe(0);
    await server.stop();
    await connection.upstream.close();
    expect(released).toBe(1);
    expect(connection.upstream.isWritable()).toBe(true);
  });

  test('what it will never read counts no more', async () => {
    const server = await startScripted(afterHandshake(withoutStream(() => {})), {
      create: (listener) =>
        createServer((request, response) => {
          if (Number(request.headers['content-length']) > 1024 * 1024) request.socket.resetAndDestroy();
          else listener(request, response);
        }),
    });
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call', params: { data: 'x'.repeat(40 * 1024 * 1024) } });
    expect(connection.upstream.isWritable()).toBe(false);
    expect((await connection.answerTo(1)).error).toMatchObject({ data: { reason: 'upstream_stream_lost' } });
    expect(connection.upstream.isWritable()).toBe(true);
  });

  test('what it has read counts no more', async () => {
    const server = await startScripted(afterHandshake(withoutStream(({ json, body }) => json(resultOf(body?.id)))));
    const connection = await openSession(server.url);
    connection.send({ id: 1, method: 'tools/call', params: { data: 'x'.repeat(4 * 1024 * 1024) } });
    expect(connection.upstream.isWritable()).toBe(false);
    await within(
      5000,
      'the upstream to be writable',
      new Promise<void>((resolve) => {
        connection.upstream.whenWritable(resolve);
      }),
    );
    await connection.answerTo(1);
  });
});

/** A session whose server has stopped reading. */
async function stuck(): Promise<{ connection: Connection; server: ScriptedServer }> {
  let deaf = false;
  const server = await startScripted(afterHandshake(withoutStream(() => {})), {
    create: (listener) =>
      createServer((request, response) => {
        if (!deaf) listener(request, response);
      }),
  });
  const connection = await openSession(server.url);
  await server.visit(({ method }) => method === 'GET');
  deaf = true;
  return { connection, server };
}
