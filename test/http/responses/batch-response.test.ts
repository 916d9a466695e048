import { describe, expect, test } from 'vitest';
import { notification, response } from '../../bridge/messages.ts';
import { eventually, within } from '../../harness/eventually.ts';
import { startGateway, type Gateway, type OpenSession } from '../gateway.ts';
import { eventsIn, protocols, readUntil, type Answer } from '../web.ts';

const call = (id: number | string, params: object = {}) => ({ jsonrpc: '2.0', id, method: 'tools/call', params });

/** A session of the one revision that has batches. */
async function batchSession(gateway: Gateway, protocolVersion = '2025-03-26'): Promise<OpenSession> {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '0' } };
  const answer = await gateway.post({ id: 0, method: 'initialize', params });
  await answer.body();
  const id = String(answer.headers['mcp-session-id']);
  const upstream = gateway.upstreams.at(-1);
  if (upstream === undefined) throw new Error('no server was started');
  return { id, upstream, headers: { 'mcp-session-id': id } };
}

async function refusalOf(answer: Answer): Promise<unknown> {
  return { status: answer.status, ...(await answer.json<object>()) };
}

describe.each(protocols)('a batch over %s', (protocol) => {
  test('is answered by a stream with the response to each request, which ends with the last', async () => {
    const gateway = await startGateway(protocol);
    const { headers, upstream } = await batchSession(gateway);
    const answer = await gateway.post(
      JSON.stringify([call(1), { jsonrpc: '2.0', method: 'notifications/x' }, call('two')]),
      headers,
    );
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/event-stream']);
    await eventually(() => expect(upstream.sent).toHaveLength(4));
    upstream.say(response('two', { n: 2 }));
    await readUntil(answer.stream, '"n":2');
    upstream.say(response(1, { n: 1 }));
    expect(eventsIn(await answer.body())).toEqual([response(1, { n: 1 }).json]);
  });

  test('carries what belongs to one of its calls, and drops what comes after its response', async () => {
    const gateway = await startGateway(protocol);
    const { headers, upstream } = await batchSession(gateway);
    const answer = await gateway.post(JSON.stringify([call(1, { _meta: { progressToken: 't' } }), call(2)]), headers);
    const progress = notification('notifications/progress', { progressToken: 't', progress: 1 });
    await eventually(() => expect(upstream.sent).toHaveLength(3));
    upstream.say(progress);
    upstream.say(response(1));
    upstream.say(progress);
    upstream.say(response(2));
    expect(eventsIn(await answer.body())).toEqual([progress.json, response(1).json, response(2).json]);
  });

  test('of notifications and responses alone is accepted without a body', async () => {
    const gateway = await startGateway(protocol);
    const { headers, upstream } = await batchSession(gateway);
    const answer = await gateway.post(
      JSON.stringify([{ jsonrpc: '2.0', method: 'notifications/initialized' }]),
      headers,
    );
    expect([answer.status, await answer.body()]).toEqual([202, '']);
    expect(upstream.sent).toHaveLength(2);
  });

  test('whose server dies has every call failed', async () => {
    const gateway = await startGateway(protocol);
    const { headers, upstream } = await batchSession(gateway);
    const answer = await gateway.post(JSON.stringify([call(1), call(2)]), headers);
    await eventually(() => expect(upstream.sent).toHaveLength(3));
    upstream.die();
    expect(eventsIn(await answer.body())).toMatchObject([
      { id: 1, error: { code: -32603 } },
      { id: 2, error: { code: -32603 } },
    ]);
  });

  test('with a call that is cancelled ends with the others', async () => {
    const gateway = await startGateway(protocol);
    const { headers, upstream } = await batchSession(gateway);
    const answer = await gateway.post(JSON.stringify([call(1), call(2)]), headers);
    await eventually(() => expect(upstream.sent).toHaveLength(3));
    await gateway.post({ method: 'notifications/cancelled', params: { requestId: 1 } }, headers);
    upstream.say(response(1));
    upstream.say(response(2));
    expect(eventsIn(await answer.body())).toEqual([response(2).json]);
  });

  test('with an id in flight fails only that message, and does not answer the id of the other', async () => {
    const gateway = await startGateway(protocol);
    const { headers, upstream } = await batchSession(gateway);
    const first = gateway.post(JSON.stringify(call(1)), headers);
    await eventually(() => expect(upstream.sent).toHaveLength(2));
    const answer = await gateway.post(JSON.stringify([call(1), call(2)]), headers);
    await eventually(() => expect(upstream.sent).toHaveLength(3));
    upstream.say(response(2));
    expect(eventsIn(await answer.body())).toMatchObject([
      { id: null, error: { code: -32600 } },
      { id: 2, result: {} },
    ]);
    upstream.say(response(1));
    expect(await (await first).json()).toMatchObject({ id: 1, result: {} });
  });

  test('whose client goes away is over, and late responses do no harm', async () => {
    const gateway = await startGateway(protocol);
    const { headers, upstream } = await batchSession(gateway);
    const answer = await gateway.post(JSON.stringify([call(1), call(2)]), headers);
    await eventually(() => expect(upstream.sent).toHaveLength(3));
    answer.hangUp();
    await within(15_000, 'the batch to be over', gateway.mcp.drain());
    upstream.say(response(1));
    upstream.say(response(2));
  });

  test('is refused in sessions of every other revision', async () => {
    const gateway = await startGateway(protocol);
    const { headers, upstream } = await gateway.openSession();
    expect(await refusalOf(await gateway.post(JSON.stringify([call(1)]), headers))).toEqual({
      status: 400,
      jsonrpc: '2.0',
      id: null,
      error: {
        code: -32600,
        message: 'only sessions of revision 2025-03-26 can send batches, this one is of 2025-11-25',
      },
    });
    expect(upstream.sent).toHaveLength(1);
  });

  test('cannot open a session, nor be sent without one', async () => {
    const gateway = await startGateway(protocol);
    const opening = JSON.stringify([{ jsonrpc: '2.0', id: 0, method: 'initialize', params: {} }]);
    expect((await gateway.post(opening)).status).toBe(400);
    expect(gateway.upstreams).toEqual([]);
    const { headers, upstream } = await batchSession(gateway);
    expect(await refusalOf(await gateway.post(opening, headers))).toMatchObject({ status: 400, id: null });
    expect(upstream.sent).toHaveLength(1);
    expect((await gateway.post(JSON.stringify([call(1)]), { 'mcp-session-id': 'x'.repeat(22) })).status).toBe(404);
  });
});
