// Known faults of other bridges that are attacked here:
// - supergateway: sessions are never idle while a half-open stream exists (its issue 160); string ids come back as null
// - tunnels that hold the head of a response back until its first byte (mcp-proxy issue 55, supergateway issue 30)
// - sparfenyuk/mcp-proxy, mcp-proxy (its issue 8): notifications that the bridge does not know are swallowed or end its loop
// - mcp-proxy issue 108, mcp-remote issue 106, ToolHive issue 4425: after a restart clients are told anything but that
//   their session has gone
import { describe, expect, test } from 'vitest';
import { eventually, within } from '../harness/eventually.ts';
import { startExpose, type Exposed } from '../harness/expose.ts';
import type { JsonRpcMessage } from '../harness/json-rpc-message.ts';
import { freePort } from '../harness/loopback-server.ts';
import { childrenWithMark } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { openRequest, send } from '../harness/raw-http.ts';
import { clientHeaders, openSession } from '../harness/raw-mcp.ts';
import { inlineServer } from './inline-server.ts';
import { openLegacySession } from './legacy-client.ts';

const start = (server: string[], ...args: string[]): Promise<Exposed> =>
  startExpose({ server, args: ['--tunnel', 'none', ...args] });

/** The first bytes of a response on which nobody has anything to say yet. */
async function firstBytes(url: string, headers: [string, string][]): Promise<string> {
  const response = await within(3000, 'the head of the response', openRequest(url, { headers }));
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toMatch(/^text\/event-stream/);
  expect(response.headers['cache-control']).toMatch(/no-transform/);
  expect(response.headers['x-accel-buffering']).toBe('no');
  const first = new Promise<string>((resolve) => {
    response.once('data', (chunk: Buffer) => resolve(chunk.toString()));
  });
  const bytes = await within(3000, 'the first bytes', first);
  response.destroy();
  return bytes;
}

describe('a stream', () => {
  test.each(['2025-03-26', '2025-06-18', '2025-11-25'])(
    'of revision %s begins with bytes at once',
    async (revision) => {
      const exposed = await start(fixture('echo'));
      const session = await openSession(exposed.url, exposed.token, { protocolVersion: revision });
      const bytes = await firstBytes(exposed.url, session.headers);
      // A comment, or an event that has no message.
      expect(bytes).toMatch(/^(?::|id:|retry:)/);
      expect(bytes).not.toMatch(/^data: ?\S/m);
    },
  );

  test('of the older transport begins with the address at once', async () => {
    const exposed = await start(fixture('echo'));
    const url = exposed.url.replace(/\/mcp$/, '/sse');
    expect(await firstBytes(url, clientHeaders(exposed.token))).toMatch(/^event: ?endpoint\n/);
  });

  test.each(['as it should', 'as one whose network has gone, which takes nothing and never says goodbye'])(
    'that a client keeps open %s does not keep its session or its process',
    async (how) => {
      const exposed = await start(fixture('echo'), '--idle-timeout', '500ms', '--warm', '0');
      const session = await openSession(exposed.url, exposed.token);
      const stream = await openRequest(exposed.url, { headers: session.headers });
      const legacy = await openLegacySession(exposed.url, exposed.token);
      if (how === 'as it should') stream.resume();
      else legacy.freeze();
      expect(childrenWithMark(exposed.mark).length).toBeGreaterThanOrEqual(2);
      await eventually(() => expect(childrenWithMark(exposed.mark)).toEqual([]), 10_000);
      const after = await send(exposed.url, { method: 'POST', headers: session.headers, body: ping });
      expect(after.status).toBe(404);
      stream.destroy();
    },
  );
});

const ping = JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'ping' });

const known = (messages: JsonRpcMessage[]) =>
  messages.filter(({ method }) => method !== undefined).map(({ method, params }) => [method, params]);

describe('notifications that nobody knows', () => {
  const announcing = inlineServer(
    `{
      announce: { call: (args, { notify }) => {
        notify('notifications/x-future/during', { n: 1, deep: [{ uri: 'x' }] });
        setTimeout(() => notify('notifications/x-future/after', { n: 2 }), 50);
        return 'announced';
      } },
    }`,
  );
  const expected = [
    ['notifications/x-future/during', { n: 1, deep: [{ uri: 'x' }] }],
    ['notifications/x-future/after', { n: 2 }],
  ];
  const announce = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'announce', arguments: {} } };

  test('reach the client, whether or not a call is under way', async () => {
    const exposed = await start(announcing);
    const session = await openSession(exposed.url, exposed.token);
    const standalone = await session.listen();
    const call = await session.post(announce);
    await standalone.next(({ method }) => method === 'notifications/x-future/after');
    expect(known([...(await call.ended), ...standalone.messages])).toEqual(expected);
  });

  test('reach the client of the older transport', async () => {
    const exposed = await start(announcing);
    const session = await openLegacySession(exposed.url, exposed.token);
    await session.post(announce);
    await session.next(({ method }) => method === 'notifications/x-future/after');
    expect(known(session.messages)).toEqual(expected);
  });

  test('reach the server, and the session goes on', async () => {
    const exposed = await start(fixture('unknown-methods'));
    const session = await openLegacySession(exposed.url, exposed.token);
    const sent = { jsonrpc: '2.0', method: 'notifications/x-future/of-the-client', params: { a: [null, { b: 1 }] } };
    await session.post(sent);
    const { result } = await session.call(2, 'test/log');
    expect(result?.log).toContainEqual(sent);
  });
});

test('ids come back as they were over the older transport, strings too', async () => {
  const exposed = await start(fixture('echo'));
  const session = await openLegacySession(exposed.url, exposed.token);
  const ids = ['abc', '', '7', 7, 0, -1, 1.5, 'x'.repeat(300)];
  const answers = await Promise.all(ids.map((id) => session.call(id, 'ping')));
  expect(answers).toEqual(ids.map((id) => ({ jsonrpc: '2.0', id, result: {} })));
});

test('after a restart, a client is told that its session has gone, and begins a new one', async () => {
  const port = String(await freePort());
  const env = { MCP_EXPOSE_TOKEN: 'the-same-token-after-the-restart' };
  const options = { server: fixture('echo'), args: ['--tunnel', 'none', '--port', port], env };
  const before = await startExpose(options);
  const { id, headers } = await openSession(before.url, before.token);
  await before.stop();
  const exposed = await startExpose(options);
  const replies = await Promise.all([
    send(exposed.url, { method: 'POST', headers, body: ping }),
    send(exposed.url, { headers }),
    send(exposed.url, { method: 'DELETE', headers }),
  ]);
  for (const [at, reply] of replies.entries()) {
    expect(reply.status).toBe(404);
    expect(reply.headers['content-type']).toMatch(/^application\/json/);
    expect(reply.headers['www-authenticate']).toBeUndefined();
    expect(reply.json()).toMatchObject({ jsonrpc: '2.0', id: at === 0 ? 2 : null, error: { code: -32001 } });
  }
  const next = await openSession(exposed.url, exposed.token);
  expect(next.id).not.toBe(id);
  expect(await next.call(2, 'tools/list')).toHaveProperty('result');
});
