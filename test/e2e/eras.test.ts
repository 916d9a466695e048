// The era of a server: asked for before any client comes, told to who runs mcp-expose, and no matter of its sessions.
import { describe, expect, test } from 'vitest';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { fixture } from '../harness/program.ts';
import { send, type RawReply } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest, openSession } from '../harness/raw-mcp.ts';

interface ReadyDetails {
  readonly servers: readonly object[];
}

describe('a legacy server', () => {
  test('is sent nothing modern by a session', async () => {
    const exposed = await startExpose({ server: fixture('unknown-methods') });
    const session = await openSession(exposed.url, exposed.token);
    const { result } = await session.call('log', 'test/log');
    expect(result?.log?.map(({ method }) => method)).toEqual(['initialize', 'notifications/initialized', 'test/log']);
  });

  test.each(['exits-on-discover', 'wedges-on-discover'])(
    'that bears no question of the other era works: %s',
    async (name) => {
      const exposed = await startExpose({ server: fixture(name), args: ['--start-timeout', '8s'] });
      expect(exposed.ready.servers).toMatchObject([{ name: `fixture-${name}`, era: 'legacy', tools: 1 }]);
      const session = await openSession(exposed.url, exposed.token);
      const { result } = await session.call('1', 'tools/call', { name: 'echo', arguments: { text: 'hello' } });
      expect(result?.content).toEqual([{ type: 'text', text: 'hello' }]);
    },
  );
});

const envelope = (revision: string): object => ({
  'io.modelcontextprotocol/protocolVersion': revision,
  'io.modelcontextprotocol/clientCapabilities': {},
});

/** Sends one request of MCP 2026-07-28. */
function exchange(exposed: Exposed, method: string, params: object = {}, name?: string): Promise<RawReply> {
  const body = { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: envelope('2026-07-28') } };
  const named: [string, string][] = name === undefined ? [] : [['Mcp-Name', name]];
  return send(exposed.url, {
    method: 'POST',
    headers: clientHeaders(exposed.token, [['MCP-Protocol-Version', '2026-07-28'], ['Mcp-Method', method], ...named]),
    body: JSON.stringify(body),
  });
}

describe('a modern client of a legacy server', () => {
  test('is served, and the operator sees how', async () => {
    const exposed = await startExpose({ server: fixture('echo') });
    const discovered = (await exchange(exposed, 'server/discover')).json();
    expect(discovered.result).toMatchObject({ supportedVersions: ['2026-07-28'], resultType: 'complete' });
    const called = await exchange(exposed, 'tools/call', { name: 'echo', arguments: { text: 'hi' } }, 'echo');
    expect(called.json().result).toMatchObject({ content: [{ type: 'text', text: 'hi' }], resultType: 'complete' });
    const ready = await send<ReadyDetails>(exposed.localUrl.replace('/mcp', '/readyz'), {
      headers: clientHeaders(exposed.token),
    });
    expect(ready.json().servers).toMatchObject([{ era: 'legacy', sessions: 0, translation: { parked: 0 } }]);
  });

  test('is refused with --strict-era', async () => {
    const exposed = await startExpose({ server: fixture('echo'), args: ['--strict-era'] });
    const reply = await exchange(exposed, 'server/discover');
    const { error } = reply.json();
    expect([reply.status, error?.code]).toEqual([400, -32022]);
    expect(error?.data).toMatchObject({ requested: '2026-07-28', supported: expect.arrayContaining(['2025-11-25']) });
  });
});

test('a legacy client of a modern server is refused with --strict-era', async () => {
  const exposed = await startExpose({ server: fixture('answers-discover'), args: ['--strict-era'] });
  const reply = await send(exposed.url, {
    method: 'POST',
    headers: clientHeaders(exposed.token),
    body: initializeRequest('2025-06-18'),
  });
  const { error } = reply.json();
  expect([reply.status, error?.code]).toEqual([400, -32022]);
  expect(error?.data).toEqual({ requested: '2025-06-18', supported: ['2026-07-28'] });
});

test('a modern client is told by the status that the server has no such method, though it has not asked what it is', async () => {
  const exposed = await startExpose({ server: fixture('answers-discover') });
  const reply = await exchange(exposed, 'prompts/list');
  expect([reply.status, reply.json().error?.code]).toEqual([404, -32601]);
});

test('/readyz tells the era and the revision to who has the token', async () => {
  const exposed = await startExpose({ server: fixture('answers-discover') });
  expect(exposed.ready.servers).toMatchObject([
    { name: 'fixture-answers-discover', era: 'modern', protocolVersion: '2026-07-28', tools: 1 },
  ]);
  const reply = await send<ReadyDetails>(exposed.localUrl.replace('/mcp', '/readyz'), {
    headers: clientHeaders(exposed.token),
  });
  expect(reply.json().servers).toMatchObject([{ era: 'modern', protocolVersion: '2026-07-28' }]);
});
