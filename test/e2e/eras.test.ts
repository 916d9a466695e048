// The era of a server: asked for before any client comes, told to who runs mcp-expose, and no matter of its sessions.
import { describe, expect, test } from 'vitest';
import { startExpose } from '../harness/expose.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, openSession } from '../harness/raw-mcp.ts';

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
