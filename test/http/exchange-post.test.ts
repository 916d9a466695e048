import { describe, expect, test } from 'vitest';
import { TokenStore } from '../../src/auth/token-store.ts';
import { createPolicy } from '../../src/policy/policy.ts';
import { failedResponse, initialize, notification, response } from '../bridge/messages.ts';
import { eventually } from '../harness/eventually.ts';
import { FakeExchanges } from './fake-exchanges.ts';
import { clientHeaders, startGateway, token, verdict, type GatewayOptions } from './gateway.ts';
import { eventsIn, protocols, readUntil, type Headers, type Protocol } from './web.ts';

const revision = '2026-07-28';
const clientInfo = { name: 'tester', version: '7' };
const envelope = {
  'io.modelcontextprotocol/protocolVersion': revision,
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': clientInfo,
};

/** A modern request and its headers. */
function asked(
  method: string,
  params: Record<string, unknown> = {},
  id: string | number = 1,
  meta: object = {},
): [object, Headers] {
  const name = params['name'] ?? params['uri'];
  const headers = { 'mcp-protocol-version': revision, 'mcp-method': method };
  return [
    { id, method, params: { ...params, _meta: { ...envelope, ...meta } } },
    typeof name === 'string' ? { ...headers, 'mcp-name': name } : headers,
  ];
}

const echo = asked('tools/call', { name: 'echo' });

async function start(protocol: Protocol, options: GatewayOptions = {}) {
  const exchanges = new FakeExchanges();
  return { exchanges, ...(await startGateway(protocol, { ...options, exchanges })) };
}

describe.each(protocols)('an exchange over %s', (protocol) => {
  test('is served with what came, and leaves no session', async () => {
    const { post, exchanges, upstreams, reports } = await start(protocol);
    exchanges.onRequest = ({ call, request: { id } }) => call.finish(response(id, { ok: true }));
    const answer = await post(...echo);
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json']);
    expect(answer.headers).not.toHaveProperty('mcp-session-id');
    expect(await answer.json()).toEqual({ jsonrpc: '2.0', id: 1, result: { ok: true } });
    expect(exchanges.begun[0]?.request.json).toEqual({ jsonrpc: '2.0', ...echo[0] });
    expect(exchanges.begun[0]?.caller.label).toBe('test');
    expect(upstreams).toEqual([]);
    expect(reports).toMatchObject([
      { method: 'tools/call', tool: 'echo', caller: 'test', clientInfo, session: undefined, outcome: 'ok' },
    ]);
  });

  test('ignores what belongs to sessions', async () => {
    const { post, exchanges, openSession } = await start(protocol);
    const { id, upstream } = await openSession();
    exchanges.onRequest = ({ call }) => call.finish(response(1));
    const before = upstream.sent.length;
    for (const session of [id, 'unknown']) {
      // oxlint-disable-next-line no-await-in-loop -- one request after the other
      const answer = await post(echo[0], { ...echo[1], 'mcp-session-id': session, 'last-event-id': '1-1' });
      expect([answer.status, answer.headers['mcp-session-id']]).toEqual([200, undefined]);
    }
    expect([exchanges.begun.length, upstream.sent.length]).toEqual([2, before]);
  });

  test('becomes a stream with the first notification, which ends with the response', async () => {
    const { post, exchanges } = await start(protocol);
    exchanges.onRequest = ({ call }) => {
      call.send(notification('notifications/progress', { progressToken: 1, progress: 1 }));
      call.finish(response(1, { ok: true }));
    };
    const answer = await post(...echo);
    expect(answer.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    const body = await answer.body();
    expect(eventsIn(body)).toMatchObject([{ method: 'notifications/progress' }, { id: 1, result: { ok: true } }]);
    expect(body).not.toMatch(/^id:/m);
  });

  test.each(['before anything was sent', 'in a stream'])('is cancelled when its client goes, %s', async (when) => {
    const { post, exchanges, web, reports } = await start(protocol);
    let isGone = false;
    exchanges.onRequest = ({ call }) => {
      call.whenGone(() => (isGone = true));
      if (when === 'in a stream') call.send(notification('notifications/message'));
    };
    const answer = post(...echo);
    await eventually(() => expect(exchanges.begun).toHaveLength(1));
    if (when === 'in a stream') await readUntil((await answer).stream, 'notifications/message');
    web.hangUpAll();
    await eventually(() => expect([isGone, reports.at(-1)?.outcome]).toEqual([true, 'cancelled']));
    expect(exchanges.begun[0]?.call.isOpen()).toBe(false);
    expect(exchanges.begun[0]?.call.absence?.()).toBeUndefined();
  });

  test('with a notification is taken', async () => {
    const { post, exchanges } = await start(protocol);
    const answer = await post({ method: 'x/y' }, { 'mcp-protocol-version': revision });
    expect([answer.status, await answer.body()]).toEqual([202, '']);
    expect(exchanges.notified.map(({ method }) => method)).toEqual(['x/y']);
  });

  test.each([
    [400, -32700],
    [400, -32600],
    [400, -32020],
    [400, -32021],
    [400, -32022],
    [200, -32602],
    [200, -32603],
    [200, -32000],
    [200, -32042],
  ])('is answered with HTTP %i when it fails with %i', async (status, code) => {
    const { post, exchanges } = await start(protocol);
    exchanges.onRequest = ({ call }) => call.fail({ code, message: 'no', data: { why: 1 } });
    const failed = await post(...echo);
    expect([failed.status, await failed.json()]).toEqual([
      status,
      { jsonrpc: '2.0', id: 1, error: { code, message: 'no', data: { why: 1 } } },
    ]);
    exchanges.onRequest = ({ call }) => call.finish(failedResponse(1, { code, message: 'no' }));
    expect(await verdict(await post(...echo))).toEqual([status, code, 1]);
  });

  test('that has begun a stream is answered there, whatever it fails with', async () => {
    const { post, exchanges } = await start(protocol);
    exchanges.onRequest = ({ call }) => {
      call.send(notification('notifications/message'));
      call.fail({ code: -32021, message: 'no' });
    };
    const answer = await post(...echo);
    expect(answer.status).toBe(200);
    expect(eventsIn(await answer.body())).toMatchObject([{}, { id: 1, error: { code: -32021 } }]);
  });

  test.each([
    ['x/y', undefined, 404],
    ['subscriptions/listen', { tools: {} }, 404],
    ['tools/call', undefined, 200],
    ['tools/call', { tools: {} }, 200],
    ['tools/call', { prompts: {} }, 404],
    ['completion/complete', { completions: {} }, 200],
    ['resources/templates/list', {}, 404],
  ])('with %s to a server with %j that does not know the method: HTTP %i', async (method, advertised, status) => {
    const { post, exchanges } = await start(protocol);
    exchanges.advertised = advertised;
    exchanges.onRequest = ({ call }) => call.finish(failedResponse(1, { code: -32601, message: 'no' }));
    expect(await verdict(await post(...asked(method, { notifications: {} })))).toEqual([status, -32601, 1]);
  });

  test('for which there is no room is told when to come again', async () => {
    const { post, exchanges } = await start(protocol);
    exchanges.onRequest = ({ call }) =>
      call.fail({ code: -32603, message: 'no', data: { reason: 'too_many_children' } });
    const answer = await post(...echo);
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '5']);
  });

  test.each([
    ['an envelope with half of it', { id: 1, method: 'tools/list', params: {} }, [400, -32602, 1]],
    ['a response', { id: 1, result: {} }, [400, -32600, null]],
    ['initialize', initialize.json, [400, -32020, 0]],
    ['ping', asked('ping')[0], [404, -32601, 1]],
  ])('with %s is refused', async (_what, message, expected) => {
    const { post, exchanges, upstreams } = await start(protocol);
    const method = 'method' in message ? String(message.method) : '';
    const headers = { 'mcp-protocol-version': revision, ...(method === '' ? {} : { 'mcp-method': method }) };
    expect(await verdict(await post(message, headers))).toEqual(expected);
    expect([exchanges.begun, upstreams]).toEqual([[], []]);
  });

  test('with a tool in the header that is not the one in the body is refused', async () => {
    const { post, exchanges } = await start(protocol);
    const answer = await post(echo[0], { ...echo[1], 'mcp-name': 'read_file' });
    expect(await verdict(answer)).toEqual([400, -32020, 1]);
    expect(exchanges.begun).toEqual([]);
  });

  test.each([
    ['an envelope', JSON.stringify([{ jsonrpc: '2.0', ...echo[0] }]), {}],
    ['the header', '[{"jsonrpc":"2.0","method":"x/y"}]', { 'mcp-protocol-version': revision }],
  ])('in a batch, by %s, is refused', async (_what, batch, headers) => {
    const { post, exchanges, openSession } = await start(protocol);
    const session = await openSession('2025-03-26');
    expect(await verdict(await post(batch, headers))).toEqual([400, -32600, null]);
    expect(await verdict(await post(batch, { ...headers, ...session.headers }))).toEqual([400, -32600, null]);
    expect([exchanges.begun, exchanges.notified]).toEqual([[], []]);
  });

  test('does not stand in the way of a session, nor of its batches', async () => {
    const { post, openSession } = await start(protocol);
    const { headers, upstream } = await openSession('2025-03-26');
    expect((await post('[{"jsonrpc":"2.0","method":"x/y"}]', headers)).status).toBe(202);
    expect((await post({ method: 'notifications/initialized' }, headers)).status).toBe(202);
    expect(upstream.sent.slice(1)).toHaveLength(2);
  });

  test.each(['GET', 'DELETE'])('is not what %s is for', async (method) => {
    const { web, openSession } = await start(protocol);
    const { headers } = await openSession();
    const ask = (more: Headers) => web.ask({ method, headers: { ...clientHeaders, ...more } });
    for (const more of [{}, { 'mcp-protocol-version': revision }, { ...headers, 'mcp-protocol-version': revision }]) {
      // oxlint-disable-next-line no-await-in-loop -- one request after the other
      const answer = await ask(more);
      expect([answer.status, answer.headers['allow']]).toEqual([405, 'POST']);
    }
    expect((await ask({ ...headers, 'mcp-protocol-version': '2025-11-25' })).status).toBe(method === 'GET' ? 200 : 204);
  });

  test('gets the headers that repeat arguments, of a call of a tool', async () => {
    const { post, exchanges } = await start(protocol);
    exchanges.onRequest = ({ call }) => call.finish(response(1));
    await post(echo[0], { ...echo[1], 'Mcp-Param-Region': 'us-west1', 'mcp-param-n': '1', 'x-other': 'x' });
    const [message, headers] = asked('tools/list');
    await post(message, { ...headers, 'mcp-param-n': '1' });
    expect(exchanges.begun.map(({ call }) => call.paramHeaders)).toEqual([
      new Map([
        ['mcp-param-region', 'us-west1'],
        ['mcp-param-n', '1'],
      ]),
      undefined,
    ]);
  });

  test('is not waited for while mcp-expose drains, if it is a subscription', async () => {
    const { post, exchanges, mcp } = await start(protocol);
    exchanges.onRequest = ({ call }) => call.send(notification('notifications/subscriptions/acknowledged'));
    const listening = await post(...asked('subscriptions/listen', { notifications: {} }));
    const calling = post(...echo);
    await eventually(() => expect(exchanges.begun).toHaveLength(2));
    let isDrained = false;
    const drained = mcp.drain().then(() => (isDrained = true));
    expect((await post(...echo)).status).toBe(503);
    expect(isDrained).toBe(false);
    exchanges.begun[1]?.call.finish(response(1));
    await drained;
    expect(await (await calling).body()).toContain('acknowledged');
    exchanges.begun[0]?.call.finish(response(1));
    expect(eventsIn(await listening.body())).toHaveLength(2);
  });

  test('that would be a stream of notifications is refused to a client that takes JSON alone', async () => {
    const { post, exchanges } = await start(protocol);
    const [message, headers] = asked('subscriptions/listen', { notifications: {} });
    const answer = await post(message, { ...headers, accept: 'application/json' });
    expect([answer.status, exchanges.begun]).toEqual([406, []]);
  });

  test('passes on what its caller may use', async () => {
    const policy = createPolicy({ allowTools: ['echo'] });
    const { post, exchanges } = await start(protocol, { policyOf: () => policy });
    exchanges.onRequest = ({ call }) => call.finish(response(1));
    await post(...echo);
    expect(exchanges.begun[0]?.policy).toBe(policy);
  });

  test('without the token is no exchange', async () => {
    const { post, exchanges } = await start(protocol);
    const answer = await post(echo[0], { ...echo[1], authorization: 'Bearer wrong' });
    expect([answer.status, exchanges.begun]).toEqual([401, []]);
  });

  test('with a token for one client is for the first one', async () => {
    const callers = new TokenStore();
    callers.add('anna', { once: true }, token);
    const { post, exchanges, reports } = await start(protocol, { guard: { callers } });
    exchanges.onRequest = ({ call }) => call.finish(response(1));
    const other = { 'io.modelcontextprotocol/clientInfo': { name: 'other', version: '7' } };
    const [message, headers] = asked('tools/list', {}, 1, other);
    expect((await post(...echo)).status).toBe(200);
    const refused = await post(message, headers);
    expect([refused.status, await refused.json()]).toMatchObject([
      401,
      { id: 1, error: { data: { reason: 'token_already_used' } } },
    ]);
    expect((await post(...asked('tools/list'))).status).toBe(200);
    for (const [params, status] of [
      [{}, 401],
      [{ _meta: { ...envelope, ...other } }, 401],
      [{ _meta: envelope }, 202],
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      expect((await post({ method: 'x/y', params }, { 'mcp-protocol-version': revision })).status).toBe(status);
    }
    expect([exchanges.begun.length, exchanges.notified.length]).toEqual([2, 1]);
    expect(reports[1]).toMatchObject({ method: 'tools/list', outcome: 'denied', reason: 'token_already_used' });
  });

  test('with a token for some calls counts them, and a call that needs input once', async () => {
    const callers = new TokenStore();
    callers.add('anna', { maxCalls: 2 }, token);
    const { post, exchanges, reports } = await start(protocol, { guard: { callers } });
    const statuses: number[] = [];
    const call = async (params: object, result: object): Promise<void> => {
      exchanges.onRequest = (begun) => begun.call.finish(response(1, result));
      statuses.push((await post(...asked('tools/call', { name: 'echo', ...params }))).status);
    };
    const [interrupted, complete] = [{ resultType: 'input_required' }, { resultType: 'complete' }];
    await call({ requestState: 'made up' }, complete);
    await call({}, interrupted);
    await call({ requestState: 'x', inputResponses: {} }, interrupted);
    await call({ requestState: 'y' }, complete);
    await call({ requestState: 'y' }, complete);
    statuses.push((await post(...asked('tools/list'))).status);
    expect(statuses).toEqual([200, 200, 200, 200, 401, 200]);
    expect(reports[4]).toMatchObject({ tool: 'echo', outcome: 'denied', reason: 'token_exhausted' });
  });

  test('of a caller whose scope is too small is told to ask for more', async () => {
    const caller = { id: 'anna#1', label: 'anna', stepUp: 'Bearer error="insufficient_scope"' };
    const { post, exchanges } = await start(protocol, { guard: { callers: { find: () => caller } } });
    const error = { code: -32602, message: 'no', data: { reason: 'not_read_only' } };
    exchanges.onRequest = ({ call }) => call.finish(failedResponse(1, error));
    const answer = await post(...echo);
    expect([answer.status, answer.headers['www-authenticate']]).toEqual([403, caller.stepUp]);
  });
});
