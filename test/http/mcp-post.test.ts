import { describe, expect, test } from 'vitest';
import { agreement, failedResponse, initialize, notification, request, response } from '../bridge/messages.ts';
import { eventually } from '../harness/eventually.ts';
import { arrivalOf, clientHeaders, startGateway, verdict } from './gateway.ts';
import { eventsIn, protocols, readUntil } from './web.ts';

const ping = { id: 1, method: 'ping' };

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
  });
});
