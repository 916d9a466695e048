import { describe, expect, test } from 'vitest';
import { startGateway, verdict } from './gateway.ts';
import { protocols } from './web.ts';

const ping = { id: 1, method: 'ping' };

describe.each(protocols)('a request over %s is refused', (protocol) => {
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
});
