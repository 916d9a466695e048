import { describe, expect, test } from 'vitest';
import { failedResponse, initialize, response } from '../bridge/messages.ts';
import { startGateway, verdict } from './gateway.ts';
import { join, oldClient, open } from './sse-client.ts';
import { protocols } from './web.ts';

const ping = { id: 1, method: 'ping' };

describe.each(protocols)('over %s', (protocol) => {
  describe('a POST', () => {
    test.each(['', '?sessionId=', `?sessionId=${'x'.repeat(22)}`, '?sessionId=__proto__', '?other=1'])(
      'to /messages%s is refused: 404',
      async (query) => {
        const gateway = await startGateway(protocol);
        await join(gateway);
        const answer = await gateway.post(initialize.json, {}, { path: `/messages${query}` });
        expect(await verdict(answer)).toEqual([404, -32001, null]);
        expect(gateway.upstreams).toEqual([]);
      },
    );

    test('of what cannot be read is refused, without harm to the rest', async () => {
      const client = await oldClient(protocol, { maxBodyBytes: 1000 });
      const upstream = await open(client);
      expect(await verdict(await client.send('hello'))).toEqual([400, -32700, null]);
      expect(await verdict(await client.send('[]'))).toEqual([400, -32600, null]);
      expect(await verdict(await client.send('x'.repeat(1001)))).toEqual([413, -32000, null]);
      expect(await verdict(await client.send(ping, { 'content-type': 'text/plain' }))).toEqual([415, -32000, null]);
      const batch = JSON.stringify([{ jsonrpc: '2.0', ...ping }]);
      expect(await verdict(await client.send(batch))).toEqual([400, -32600, null]);
      expect(upstream.sent).toHaveLength(1);
    });

    test('before initialize is refused: 400', async () => {
      const client = await oldClient(protocol, { agreeable: false });
      expect(await verdict(await client.send(ping))).toEqual([400, -32000, null]);
      await client.send(initialize.json);
      expect(await verdict(await client.send(ping))).toEqual([400, -32000, null]);
    });

    test('of a request that is not served is answered on the stream', async () => {
      const client = await oldClient(protocol);
      const upstream = await open(client);
      const again = client.next('initialized already');
      expect((await client.send({ ...initialize.json, id: 'again' })).status).toBe(202);
      expect(await again).toContain('"id":"again"');
      const modern = client.next('-32022');
      const params = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } };
      expect((await client.send({ id: 'modern', method: 'tools/list', params })).status).toBe(202);
      expect(await modern).toContain('"id":"modern"');
      expect(await verdict(await client.send({ method: 'notifications/x', params }))).toEqual([400, -32022, null]);
      expect(upstream.sent).toHaveLength(1);
    });

    test('with an id in flight fails on the stream, and the first goes on', async () => {
      const client = await oldClient(protocol);
      const upstream = await open(client);
      await client.send(ping);
      const refused = client.next('still in flight');
      expect((await client.send(ping)).status).toBe(202);
      expect(await refused).toContain('"id":null');
      const first = client.next('"first"');
      upstream.say(response(1, { first: true }));
      await first;
    });
  });

  describe('initialize', () => {
    test('that the server refuses may be tried again', async () => {
      const client = await oldClient(protocol, { agreeable: false });
      const { upstreams } = client.gateway;
      await client.send(initialize.json);
      const refused = client.next('too old');
      upstreams[0]?.say(failedResponse(0, { code: -32602, message: 'too old' }));
      await refused;
      expect((await client.send(initialize.json)).status).toBe(202);
      expect(upstreams).toHaveLength(2);
    });

    test('beyond the number of sessions is told when to come again', async () => {
      const client = await oldClient(protocol, { maxSessions: 1 });
      const upstream = await open(client);
      await client.send(ping);
      const other = await join(client.gateway);
      const refused = await other.send(initialize.json);
      expect(refused.headers['retry-after']).toBe('5');
      expect(await verdict(refused)).toEqual([503, -32000, 0]);
      const answered = client.next('"result":{}');
      upstream.say(response(1));
      await answered;
      await open(other);
    });
  });
});
