// The revision of a session, from initialize on.
import { describe, expect, test } from 'vitest';
import { agreement, initialize } from '../bridge/messages.ts';
import { eventually } from '../harness/eventually.ts';
import { parseJson } from '../harness/parse-json.ts';
import { clientHeaders, startGateway } from './gateway.ts';
import { protocols } from './web.ts';

describe.each(protocols)('over %s, initialize', (protocol) => {
  test.each(['2026-07-28', '2099-01-01', '2025-12-01', '1.0', 'banana'])(
    'that asks for %s is put to the server with a revision that is served',
    async (protocolVersion) => {
      const { post, upstreams } = await startGateway(protocol);
      const params = { protocolVersion, capabilities: { x: 1 }, clientInfo: { name: 'test', version: '0' } };
      const answer = await post({ id: 0, method: 'initialize', params });
      expect(await answer.json()).toMatchObject({ result: { protocolVersion: '2025-11-25' } });
      const [sent = ''] = upstreams[0]?.sent ?? [];
      expect(parseJson(sent)).toMatchObject({ id: 0, params: { ...params, protocolVersion: '2025-11-25' } });
      const session = { 'mcp-session-id': String(answer.headers['mcp-session-id']) };
      const versioned = { ...session, 'mcp-protocol-version': '2025-11-25' };
      expect((await post({ method: 'notifications/initialized' }, versioned)).status).toBe(202);
    },
  );

  test.each(['2026-07-28', '2025-10-01', 'draft'])(
    'that the server answers with %s is then served',
    async (revision) => {
      const { post, upstreams, get, web } = await startGateway(protocol, { agreeable: false });
      const opening = post(initialize.json);
      await eventually(() => expect(upstreams[0]?.sent).toHaveLength(1));
      upstreams[0]?.say(agreement(0, revision));
      const session = { 'mcp-session-id': String((await opening).headers['mcp-session-id']) };
      const versioned = { ...session, 'mcp-protocol-version': revision };
      expect((await post({ method: 'notifications/initialized' }, versioned)).status).toBe(202);
      expect((await get(versioned)).status).toBe(200);
      const other = await post({ id: 1, method: 'ping' }, { ...session, 'mcp-protocol-version': '2031-01-01' });
      expect([other.status, await other.json()]).toMatchObject([400, { id: 1, error: { code: -32022 } }]);
      const ended = await web.ask({ method: 'DELETE', headers: { ...clientHeaders, ...versioned } });
      expect(ended.status).toBe(204);
    },
  );
});
