import { Readable } from 'node:stream';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { agreement, failedResponse, initialize, notification, request, response } from '../bridge/messages.ts';
import { eventually } from '../harness/eventually.ts';
import { parseJson } from '../harness/parse-json.ts';
import { arrivalOf, clientHeaders, startGateway } from './gateway.ts';
import { eventsIn, protocols, readUntil, type Answer } from './web.ts';

const ping = { id: 1, method: 'ping' };

interface Refusal {
  readonly id: unknown;
  readonly error: { readonly code: number; readonly message: string };
}

/** Status, JSON-RPC code and id of a refusal. */
async function verdict(answer: Answer): Promise<[status: number, code: number, id: unknown]> {
  expect(answer.headers['content-type']).toBe('application/json');
  const { id, error } = parseJson<Refusal>(await answer.body());
  return [answer.status, error.code, id];
}

afterEach(() => void vi.useRealTimers());

describe.each(protocols)('over %s', (protocol) => {
  describe('initialize', () => {
    test('is answered with the session id and what the server said', async () => {
      const { post, upstreams } = await startGateway(protocol);
      const { status, headers, body } = await post(initialize.json);
      expect([status, headers['content-type']]).toEqual([200, 'application/json']);
      expect(headers['mcp-session-id']).toMatch(/^[A-Za-z0-9_-]{22}$/);
      expect(await body()).toBe(agreement().bytes.toString());
      expect(upstreams[0]?.sent).toEqual([initialize.bytes.toString()]);
    });

    test('that the server refuses opens no session', async () => {
      const { post, upstreams } = await startGateway(protocol, { agreeable: false });
      const answer = post(initialize.json);
      await eventually(() => expect(upstreams[0]?.sent).toHaveLength(1));
      upstreams[0]?.say(failedResponse(0, { code: -32602, message: 'too old' }));
      const { status, headers, json } = await answer;
      expect([status, await json()]).toMatchObject([200, { error: { code: -32602 } }]);
      expect(upstreams[0]?.closeCalls).toBeGreaterThan(0);
      expect(headers).not.toHaveProperty('mcp-session-id');
    });

    test('may bring a stream when the server says something before', async () => {
      const { post, upstreams } = await startGateway(protocol, { agreeable: false });
      const answer = post(initialize.json);
      await eventually(() => expect(upstreams[0]?.sent).toHaveLength(1));
      upstreams[0]?.say(notification('notifications/message', { data: 'loading' }));
      upstreams[0]?.say(agreement());
      const { headers, body } = await answer;
      expect(headers).toMatchObject({ 'content-type': 'text/event-stream', 'mcp-session-id': expect.any(String) });
      expect(eventsIn(await body())).toMatchObject([{ method: 'notifications/message' }, { id: 0 }]);
    });

    test('beyond the number of sessions is told when to come again', async () => {
      const { post, openSession } = await startGateway(protocol, { maxSessions: 1 });
      const { headers, upstream } = await openSession();
      const busy = post({ id: 1, method: 'tools/call' }, headers);
      await eventually(() => expect(upstream.sent).toHaveLength(2));
      const refused = await post({ ...initialize.json, id: 'x' });
      expect(refused.headers['retry-after']).toBe('5');
      expect(await verdict(refused)).toEqual([503, -32000, 'x']);
      upstream.say(response(1));
      expect((await busy).status).toBe(200);
      expect((await post(initialize.json)).status).toBe(200);
    });

    test.each(['identity', 'Identity', ''])('with Content-Encoding %j is served', async (coding) => {
      const { post } = await startGateway(protocol);
      expect((await post(initialize.json, { 'content-encoding': coding })).status).toBe(200);
    });

    test('with the id of a session that is over is told to leave it out', async () => {
      const { post } = await startGateway(protocol);
      const refused = await post(initialize.json, { 'mcp-session-id': 'x'.repeat(22) });
      expect(refused.status).toBe(404);
      expect(await refused.json()).toMatchObject({
        id: 0,
        error: { code: -32001, message: expect.stringContaining('send initialize without Mcp-Session-Id') },
      });
    });

    test('within a session is refused', async () => {
      const { post, openSession } = await startGateway(protocol);
      const { headers } = await openSession();
      expect(await verdict(await post(initialize.json, headers))).toEqual([400, -32600, null]);
    });

    test('by a client of another era is answered with what is supported', async () => {
      const { post, upstreams } = await startGateway(protocol);
      const refused = await post(initialize.json, { 'mcp-protocol-version': '2026-07-28' });
      expect(await refused.json()).toMatchObject({ id: 0, error: { code: -32022, data: { requested: '2026-07-28' } } });
      expect([refused.status, upstreams]).toEqual([400, []]);
    });
  });

  describe('a POST is refused', () => {
    test.each([undefined, 'text/plain', 'application/jsonp'])('with the Content-Type %j: 415', async (type) => {
      const { web } = await startGateway(protocol);
      const { authorization, accept } = clientHeaders;
      const headers = {
        authorization: authorization ?? '',
        accept: accept ?? '',
        ...(type === undefined ? {} : { 'content-type': type }),
      };
      expect(await verdict(await web.ask({ method: 'POST', headers, body: '{}' }))).toEqual([415, -32000, null]);
    });

    test.each(['gzip', 'br', 'deflate, identity', 'GZIP'])('with Content-Encoding %s: 415', async (coding) => {
      const { post } = await startGateway(protocol);
      const refused = await post(initialize.json, { 'content-encoding': coding });
      expect(refused.headers['accept-encoding']).toBe('identity');
      const { error } = await refused.json<Refusal>();
      expect([refused.status, error.code]).toEqual([415, -32000]);
      expect(error.message).toMatch(/^the body is compressed \(Content-Encoding: .*\): send it uncompressed$/);
    });

    test.each(['text/html', 'application/xml, image/*', 'application/json;q=0', '*/*;q=0'])(
      'with Accept %j: 406',
      async (accept) => {
        const { web } = await startGateway(protocol);
        const { authorization, 'content-type': type } = clientHeaders;
        const headers = {
          authorization: authorization ?? '',
          'content-type': type ?? '',
          accept,
        };
        expect(await verdict(await web.ask({ method: 'POST', headers, body: '{}' }))).toEqual([406, -32000, null]);
      },
    );

    test('when it is too large: 413, announced or not', async () => {
      const { post } = await startGateway(protocol, { maxBodyBytes: 1000 });
      const announced = await post('x'.repeat(1001), { 'content-length': '1001' });
      expect(await verdict(announced)).toEqual([413, -32000, null]);
      const counted = await post('', {}, { body: Readable.from(['x'.repeat(600), 'x'.repeat(600)]) });
      expect(await verdict(counted)).toEqual([413, -32000, null]);
    });

    test.each<[string, string | Buffer, number, unknown]>([
      ['nothing', '', -32700, null],
      ['no JSON', 'hello', -32700, null],
      ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), -32700, null],
      ['an empty array', '[]', -32600, null],
      ['nested too deep', `{"a":${'['.repeat(600)}${']'.repeat(600)}}`, -32600, null],
      ['no JSON-RPC, but with an id', '{"id":"seven","method":"ping"}', -32600, 'seven'],
    ])('when it is %s: 400', async (_what, body, code, id) => {
      const { post, upstreams } = await startGateway(protocol);
      expect(await verdict(await post('', {}, { body }))).toEqual([400, code, id]);
      expect(upstreams).toEqual([]);
    });

    test('without a session id: 400', async () => {
      const { post } = await startGateway(protocol);
      expect(await verdict(await post({ id: 'a', method: 'ping' }))).toEqual([400, -32000, 'a']);
      expect(await verdict(await post({ method: 'notifications/initialized' }))).toEqual([400, -32000, null]);
    });

    test.each(['x'.repeat(22), '__proto__', 'constructor', 'a, b', '../x', '0'])(
      'with the unknown session id %s: 404',
      async (id) => {
        const { post, openSession } = await startGateway(protocol);
        await openSession();
        expect(await verdict(await post(ping, { 'mcp-session-id': id }))).toEqual([404, -32001, 1]);
      },
    );

    test('with a protocol version that nobody knows: 400, with the agreed one or another known one: not', async () => {
      const { post, openSession } = await startGateway(protocol);
      const { headers } = await openSession();
      const initialized = { method: 'notifications/initialized' };
      for (const version of ['1.0', '2025-13-45', '0', 'latest']) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other, on one session
        const refused = await post(initialized, { ...headers, 'mcp-protocol-version': version });
        expect([version, refused.status]).toEqual([version, 400]);
      }
      for (const version of ['2025-11-25', '2025-06-18', '2025-03-26']) {
        // oxlint-disable-next-line no-await-in-loop -- as above
        const taken = await post(initialized, { ...headers, 'mcp-protocol-version': version });
        expect([version, taken.status]).toEqual([version, 202]);
      }
    });

    test('with an id in flight: 400, and the first goes on', async () => {
      const { post, openSession } = await startGateway(protocol);
      const { headers, upstream } = await openSession();
      const first = post({ id: 5, method: 'tools/call' }, headers);
      await eventually(() => expect(upstream.sent).toHaveLength(2));
      // Its id is not answered: a client would take that for the answer to its first.
      expect(await verdict(await post({ id: 5, method: 'tools/call' }, headers))).toEqual([400, -32600, null]);
      upstream.say(response(5, { first: true }));
      expect(await (await first).json()).toMatchObject({ id: 5, result: { first: true } });
    });
  });

  describe('within a session', () => {
    test('a request is answered with what the server said, byte for byte', async () => {
      const { post, openSession } = await startGateway(protocol);
      const { headers, upstream } = await openSession();
      const sent = '{ "jsonrpc": "2.0",\r\n "id": 1,\n "method": "x/unknown", "params": {"n": 1.00} }';
      const arrived = arrivalOf(upstream, 'x/unknown');
      const answer = post(sent, headers);
      await arrived;
      expect(upstream.sent.at(-1)).toBe(sent.replaceAll(/[\r\n]/g, ' '));
      upstream.say(response(1, { odd: [1, { two: null }] }));
      expect(await (await answer).body()).toBe('{"jsonrpc":"2.0","id":1,"result":{"odd":[1,{"two":null}]}}');
      expect((await answer).headers['mcp-session-id']).toBeUndefined();
    });

    test('what comes before the answer makes it a stream', async () => {
      const { post, openSession } = await startGateway(protocol);
      const { headers, upstream } = await openSession();
      const answer = post({ id: 1, method: 'tools/call', params: { _meta: { progressToken: 't' } } }, headers);
      await eventually(() => expect(upstream.sent).toHaveLength(2));
      upstream.say(notification('notifications/progress', { progressToken: 't', progress: 1 }));
      const { stream } = await answer;
      await readUntil(stream, '"progress":1');
      upstream.say(request('ask', 'sampling/createMessage'));
      await readUntil(stream, 'sampling/createMessage');
      expect((await post({ id: 'ask', result: { role: 'assistant' } }, headers)).status).toBe(202);
      expect(upstream.sent.at(-1)).toContain('"ask"');
      upstream.say(response(1));
      await readUntil(stream, '"result":{}');
    });

    test('a notification is accepted without a body', async () => {
      const { post, openSession } = await startGateway(protocol);
      const { headers, upstream } = await openSession();
      const answer = await post({ method: 'notifications/initialized' }, headers);
      expect([answer.status, await answer.body()]).toEqual([202, '']);
      expect(upstream.sent).toHaveLength(2);
    });

    test('a cancelled call ends, and the session goes on', async () => {
      const { post, openSession } = await startGateway(protocol);
      const { headers, upstream } = await openSession();
      const call = post({ id: 1, method: 'tools/call' }, headers);
      await eventually(() => expect(upstream.sent).toHaveLength(2));
      const cancelled = { method: 'notifications/cancelled', params: { requestId: 1 } };
      expect((await post(cancelled, headers)).status).toBe(202);
      expect(eventsIn(await (await call).body())).toEqual([]);
      upstream.say(response(1));
      const again = post({ id: 1, method: 'ping' }, headers);
      await eventually(() => expect(upstream.sent).toHaveLength(4));
      upstream.say(response(1, { second: true }));
      expect(await (await again).json()).toMatchObject({ result: { second: true } });
    });

    test('a server that dies fails what it was asked, and its session is gone', async () => {
      const { post, openSession } = await startGateway(protocol);
      const { headers, upstream } = await openSession();
      const call = post({ id: 1, method: 'tools/call' }, headers);
      await eventually(() => expect(upstream.sent).toHaveLength(2));
      upstream.die({ reason: 'the server exited with code 3', exitCode: 3, stderr: 'disk full' });
      expect(await (await call).json()).toMatchObject({
        id: 1,
        error: {
          code: -32603,
          message: 'the server exited with code 3; its last stderr output: disk full',
          data: { exitCode: 3 },
        },
      });
      expect(await verdict(await post(ping, headers))).toEqual([404, -32001, 1]);
    });

    test('a server that reads nothing fails the request', async () => {
      const { post, openSession } = await startGateway(protocol);
      const { headers, upstream } = await openSession();
      upstream.accepting = false;
      expect(await (await post(ping, headers)).json()).toMatchObject({ id: 1, error: { code: -32603 } });
      expect(await verdict(await post({ method: 'notifications/x' }, headers))).toEqual([400, -32603, null]);
    });

    test('DELETE ends it: 204, then 404', async () => {
      const { web, post, openSession } = await startGateway(protocol);
      const { headers, upstream } = await openSession();
      const all = { ...clientHeaders, ...headers };
      const answer = await web.ask({ method: 'DELETE', headers: all });
      expect([answer.status, await answer.body()]).toEqual([204, '']);
      expect(upstream.closeCalls).toBeGreaterThan(0);
      expect((await web.ask({ method: 'DELETE', headers: all })).status).toBe(404);
      expect((await post(ping, headers)).status).toBe(404);
    });
  });

  describe('the GET stream', () => {
    test('carries what belongs to no call, what came before too, until the session ends', async () => {
      const { web, get, openSession } = await startGateway(protocol);
      const { headers, upstream } = await openSession();
      upstream.say(notification('notifications/tools/list_changed'));
      const { status, headers: head, stream } = await get(headers);
      expect([status, head['content-type']]).toEqual([200, 'text/event-stream']);
      await readUntil(stream, 'tools/list_changed');
      upstream.say(notification('notifications/resources/updated', { uri: 'x' }));
      await readUntil(stream, 'resources/updated');
      const ended = new Promise((resolve) => {
        stream.once('end', resolve);
      });
      stream.resume();
      await web.ask({ method: 'DELETE', headers: { ...clientHeaders, ...headers } });
      await ended;
    });

    test.each(['application/json', 'text/html', 'text/event-stream;q=0'])(
      'needs an Accept that admits it, not %j: 406',
      async (accept) => {
        const { get, openSession } = await startGateway(protocol);
        const { headers } = await openSession();
        expect(await verdict(await get({ ...headers, accept }))).toEqual([406, -32000, null]);
      },
    );

    test('needs a session: 400 without, 404 with an unknown one', async () => {
      const { get } = await startGateway(protocol);
      expect(await verdict(await get())).toEqual([400, -32000, null]);
      expect(await verdict(await get({ 'mcp-session-id': 'x'.repeat(22) }))).toEqual([404, -32001, null]);
    });
  });

  test('DELETE without a session: 400', async () => {
    const { web } = await startGateway(protocol);
    expect(await verdict(await web.ask({ method: 'DELETE', headers: clientHeaders }))).toEqual([400, -32000, null]);
  });

  test.each(['PUT', 'PATCH', 'OPTIONS'])('%s: 405, with what is allowed', async (method) => {
    const { web } = await startGateway(protocol);
    const answer = await web.ask({ method, headers: clientHeaders });
    expect(answer.headers['allow']).toBe('GET, POST, DELETE');
    expect(await verdict(answer)).toEqual([405, -32000, null]);
  });

  describe('draining', () => {
    test('refuses what is new and waits for what is under way', async () => {
      const { mcp, post, openSession } = await startGateway(protocol);
      const { headers, upstream } = await openSession();
      const call = post({ id: 1, method: 'tools/call' }, headers);
      await eventually(() => expect(upstream.sent).toHaveLength(2));
      let drained = false;
      const draining = mcp.drain().then(() => (drained = true));
      expect(await verdict(await post(ping, headers))).toEqual([503, -32000, null]);
      expect(drained).toBe(false);
      upstream.say(response(1));
      await draining;
      expect((await call).status).toBe(200);
    });

    test('without anything under way is done at once', async () => {
      const { mcp, openSession } = await startGateway(protocol);
      await openSession();
      await expect(mcp.drain()).resolves.toBeUndefined();
    });
  });

  test('every request is reported when it is over, with its method', async () => {
    const { post, openSession, reports } = await startGateway(protocol);
    const { headers, upstream } = await openSession();
    const answer = post({ id: 1, method: 'tools/call' }, headers);
    await eventually(() => expect(upstream.sent).toHaveLength(2));
    expect(reports.map(({ method }) => method)).toEqual(['initialize']);
    upstream.say(response(1));
    await answer;
    expect(reports.map(({ method }) => method)).toEqual(['initialize', 'tools/call']);
    expect(reports.every(({ durationMs }) => durationMs >= 0)).toBe(true);
  });
});

test('silence is broken by keep-alive comments, on calls and on the GET stream', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { post, get, openSession } = await startGateway('HTTP/1.1');
  const { headers, upstream } = await openSession();
  const listening = await get(headers);
  const call = post({ id: 1, method: 'tools/call' }, headers);
  await eventually(() => expect(upstream.sent).toHaveLength(2));
  vi.advanceTimersByTime(20_000);
  await readUntil(listening.stream, ': keep-alive');
  await readUntil((await call).stream, ': keep-alive');
});

test('calls and initialize begin to be answered within five seconds, and silence is broken within fifteen', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { post, upstreams } = await startGateway('HTTP/1.1', { agreeable: false });
  const opening = post(initialize.json);
  await eventually(() => expect(upstreams[0]?.sent).toHaveLength(1));
  vi.advanceTimersByTime(5000);
  const { headers, stream } = await opening;
  expect(headers).toMatchObject({ 'content-type': 'text/event-stream', 'mcp-session-id': expect.any(String) });
  await readUntil(stream, ': listening');
  vi.advanceTimersByTime(15_000);
  await readUntil(stream, ': keep-alive');
  upstreams[0]?.say(agreement());
  await readUntil(stream, '"protocolVersion"');
  const call = post({ id: 1, method: 'tools/call' }, { 'mcp-session-id': String(headers['mcp-session-id']) });
  await eventually(() => expect(upstreams[0]?.sent).toHaveLength(2));
  vi.advanceTimersByTime(5000);
  await readUntil((await call).stream, 'retry: ');
});
