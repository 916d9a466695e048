// What initialize agrees to is served from then on, whatever client and server know of.
import { beforeAll, describe, expect, test } from 'vitest';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { fixture } from '../harness/program.ts';
import { clientHeaders, exchange, initializeRequest } from '../harness/raw-mcp.ts';

const served = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07'];

/** Opens a session, uses what it agreed on, and returns that. */
async function agreedBy(exposed: Exposed, asked: string): Promise<unknown> {
  const headers = clientHeaders(exposed.token);
  const opened = await exchange(exposed.url, { method: 'POST', headers, body: initializeRequest(asked) });
  const agreed = String((await opened.next(({ id }) => id === 1)).result?.protocolVersion);
  const inSession: [string, string][] = [
    ...headers,
    ['Mcp-Session-Id', String(opened.headers['mcp-session-id'])],
    ['MCP-Protocol-Version', agreed],
  ];
  const post = (message: object) =>
    exchange(exposed.url, {
      method: 'POST',
      headers: inSession,
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
  expect((await post({ method: 'notifications/initialized' })).status).toBe(202);
  const reply = await post({ id: 2, method: 'tools/call', params: { name: 'echo', arguments: { text: asked } } });
  expect(textOf(await reply.next(({ id }) => id === 2))).toBe(asked);
  return agreed;
}

describe.each(['session', 'shared'])('isolation %s', (isolation) => {
  const start = (...args: string[]): Promise<Exposed> =>
    startExpose({ server: fixture('revision', ...args), args: ['--isolation', isolation], lifetime: 'file' });

  describe('a server that agrees to everything', () => {
    let exposed: Exposed;
    beforeAll(async () => {
      exposed = await start();
    });

    test.each(['2026-07-28', '2099-01-01', '1999-12-31', 'banana'])(
      'and a client that asks for %s come to terms on what is served',
      async (asked) => {
        expect(await agreedBy(exposed, asked)).toBe(served[0]);
      },
    );

    test.each(served)('and a client that asks for %s', async (asked) => {
      expect(await agreedBy(exposed, asked)).toBe(asked);
    });

    test.each([
      ['2026-07-28', {}, { code: -32602, data: { reason: 'malformed_envelope' } }],
      [
        '2099-01-01',
        { 'io.modelcontextprotocol/clientCapabilities': {}, 'io.modelcontextprotocol/protocolVersion': '2099-01-01' },
        { code: -32022, data: { supported: ['2026-07-28'], requested: '2099-01-01' } },
      ],
    ])('say what is wrong to a client of another era: %s %j', async (revision, meta, error) => {
      const reply = await exchange(exposed.url, {
        method: 'POST',
        headers: clientHeaders(exposed.token, [
          ['MCP-Protocol-Version', revision],
          ['Mcp-Method', 'server/discover'],
        ]),
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'server/discover', params: { _meta: meta } }),
      });
      expect(reply.status).toBe(400);
      expect(await reply.next(({ id }) => id === 1)).toMatchObject({ error });
    });
  });

  test.each(['2026-07-28', '2025-10-01'])('a server that insists on %s is served with it', async (insists) => {
    expect(await agreedBy(await start(insists), '2025-11-25')).toBe(insists);
  });
});
