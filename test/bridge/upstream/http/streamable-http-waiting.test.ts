// Messages that wait for the handshake, or for room for one more request.
import { describe, expect, test } from 'vitest';
import { eventually, within } from '../../../harness/eventually.ts';
import {
  afterHandshake,
  agreed,
  connect,
  openSession,
  resultOf,
  startScripted,
  withoutStream,
  type Visit,
} from './http-world.ts';

const isMethod = (method: string) => (visit: Visit) => visit.body?.method === method;
const cancel = (requestId: number | string) => ({ method: 'notifications/cancelled', params: { requestId } });
const call = (id: number | string) => ({ id, method: 'tools/call' });

/** Limit of requests under way. */
const room = 256;

/** A session that has no room for more requests; `held` are those that are under way. */
async function crowded() {
  const held: Visit[] = [];
  const server = await startScripted(
    afterHandshake(
      withoutStream((visit) => {
        if (isMethod('tools/call')(visit)) held.push(visit);
        else if (visit.body?.id === undefined) visit.status(202);
        else visit.json(resultOf(visit.body.id));
      }),
    ),
  );
  const connection = await openSession(server.url);
  for (let id = 0; id < room; id++) connection.send(call(id));
  await server.visit(isMethod('tools/call'), room);
  return { server, connection, held };
}

/** A server that does not answer initialize. */
async function withheldInitialize() {
  const server = await startScripted(() => {});
  const connection = connect(server.url);
  connection.send({ id: 0, method: 'initialize' });
  return { server, connection };
}

const answerAll = (held: readonly Visit[]): void => {
  for (const visit of held) if (!visit.response.writableEnded) visit.json(resultOf(visit.body?.id));
};

const cancellations = (visits: readonly Visit[]): unknown[] =>
  visits.filter(isMethod('notifications/cancelled')).map(({ body }) => body?.params?.['requestId']);

const calls = (visits: readonly Visit[]): unknown[] =>
  visits.filter(isMethod('tools/call')).map(({ body }) => body?.id);

describe('a request that is cancelled while it waits', () => {
  test('for the handshake is not sent, nor is its cancellation', async () => {
    const opening: Visit[] = [];
    const ordinary = afterHandshake(withoutStream(({ json, body }) => json(resultOf(body?.id))));
    const server = await startScripted((visit) => {
      if (isMethod('initialize')(visit)) opening.push(visit);
      else ordinary(visit);
    });
    const connection = connect(server.url);
    connection.send({ id: 0, method: 'initialize' });
    connection.send({ method: 'notifications/initialized' });
    for (const id of [1, 'two', 3]) connection.send(call(id));
    expect(connection.send(cancel(1))).toBe(true);
    expect(connection.send(cancel('two'))).toBe(true);
    await server.visit(isMethod('initialize'));
    for (const visit of opening) visit.json(agreed(0));
    await connection.answerTo(3);
    connection.send(call('last'));
    await connection.answerTo('last');
    expect([calls(server.visits), cancellations(server.visits)]).toEqual([[3, 'last'], []]);
    expect([connection.received.length, connection.warnings, connection.ends]).toEqual([3, [], []]);
  });

  test('for room is not sent, nor is its cancellation', async () => {
    const { server, connection, held } = await crowded();
    connection.send(call('withdrawn'));
    connection.send(call('kept'));
    connection.send(cancel('withdrawn'));
    answerAll(held);
    await server.visit(isMethod('tools/call'), room + 1);
    answerAll(held);
    await connection.answerTo('kept');
    expect(calls(server.visits).slice(room)).toEqual(['kept']);
    expect(cancellations(server.visits)).toEqual([]);
  });

  test('counts no more as unread', async () => {
    const { connection } = await withheldInitialize();
    connection.send({ ...call(1), params: { data: 'x'.repeat(2 * 1024 * 1024) } });
    expect(connection.upstream.isWritable()).toBe(false);
    const writable = new Promise<void>((resolve) => {
      connection.upstream.whenWritable(resolve);
    });
    connection.send(cancel(1));
    await within(1000, 'the upstream to be writable', writable);
    expect(connection.upstream.isWritable()).toBe(true);
  });

  test('is not handed back when the connection ends', async () => {
    const { server, connection } = await withheldInitialize();
    connection.send(call(1));
    connection.send(call(2));
    connection.send(cancel(1));
    (await server.visit(isMethod('initialize'))).status(503);
    const { untaken } = await connection.ended();
    expect(untaken?.map(({ json }) => json['id'])).toEqual([0, 2]);
  });

  test('is another than one that is under way, whose cancellation is sent', async () => {
    const { server, connection } = await crowded();
    connection.send(call('waits'));
    connection.send(cancel(7));
    await server.visit(isMethod('notifications/cancelled'));
    expect(cancellations(server.visits)).toEqual([7]);
  });
});

describe('without room for more requests', () => {
  test('a ping is sent and answered all the same, ahead of those that wait', async () => {
    const { server, connection, held } = await crowded();
    connection.send(call('waits'));
    connection.send({ id: 'p', method: 'ping' });
    expect(await connection.answerTo('p')).toEqual({ jsonrpc: '2.0', id: 'p', result: {} });
    expect(calls(server.visits)).toHaveLength(room);
    answerAll(held);
    await eventually(() => expect(calls(server.visits).slice(room)).toEqual(['waits']));
  });
});
