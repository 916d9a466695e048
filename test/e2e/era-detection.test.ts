// How the era of a server is found out while clients already come, and what whoever runs mcp-expose is told of it.
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { launchExpose, startExpose } from '../harness/expose.ts';
import { startHttpFixture } from '../harness/http-fixture.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { modernClient } from '../harness/modern-client.ts';
import { freePort } from '../harness/loopback-server.ts';
import { fixture, startProgram, temporaryDirectory } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, openSession, type RawSession } from '../harness/raw-mcp.ts';
import { startTcpProxy } from '../harness/tcp-proxy.ts';

const echoOf = async (session: RawSession, text: string): Promise<string> =>
  textOf(await session.call(`echo-${text}`, 'tools/call', { name: 'echo', arguments: { text } }));

/** A server that says nothing for this long after its start. */
function lateServer(name: string, delayMs: number): string[] {
  const [node = '', file = ''] = fixture(name);
  return [node, '-e', `setTimeout(() => void import(${JSON.stringify(pathToFileURL(file).href)}), ${delayMs})`];
}

test.each([
  ['legacy-only', { era: 'legacy', translatedFor: 'modern' }],
  ['dual-era', { era: 'modern', translatedFor: 'unknown' }],
])('the ready event claims no translation that %s may not need', async (name, report) => {
  const exposed = await startExpose({ server: fixture(name) });
  expect(exposed.ready.servers).toMatchObject([report]);
});

test('the line without a terminal names the era of the server', async () => {
  const program = startProgram(['--tunnel', 'none', '--', ...fixture('dual-era')], { mark: randomUUID() });
  await program.waitForStdout(/\n/, 20_000);
  expect(program.stdout()).toMatch(/^mcp-expose: ready at \S+ \(\d+ tools, MCP 2026-07-28, older clients too\)\n$/);
});

async function urlOf(era: 'legacy' | 'modern'): Promise<string> {
  return (await startHttpFixture(`${era}-http`, { args: ['reject'] })).http;
}

describe('a server at a URL is replaced by one of the other era', () => {
  test.each(['legacy', 'modern'] as const)(
    'and was %s: clients of both eras are served as soon as one was not',
    async (era) => {
      const proxy = await startTcpProxy(await urlOf(era));
      const exposed = await startExpose({ running: { kind: 'http', url: proxy.through('http://127.0.0.1/mcp') } });
      const client = modernClient(exposed.url, exposed.token);
      const before = await openSession(exposed.url, exposed.token);
      const echoed = { content: [{ type: 'text', text: 'hi' }] };
      expect((await client.call(1, 'echo', { text: 'hi' })).result).toMatchObject(echoed);

      const now = era === 'legacy' ? 'modern' : 'legacy';
      proxy.leadTo(await urlOf(now));
      expect(await client.call(2, 'echo', { text: 'hi' })).toHaveProperty('error');
      await eventually(
        async () => expect((await client.call(3, 'echo', { text: 'hi' })).result).toMatchObject(echoed),
        10_000,
      );
      const told = `warning: the server was replaced by one of the ${now} era: its clients have to connect again`;
      await exposed.waitForStderr(new RegExp(told));
      expect(await echoOf(await openSession(exposed.url, exposed.token), 'again')).toBe('again');
      const { body } = await send(exposed.localUrl.replace('/mcp', '/readyz'), {
        headers: clientHeaders(exposed.token),
      });
      expect(body.includes('"translation"')).toBe(now === 'legacy');
      await eventually(
        async () => expect((await before.post({ jsonrpc: '2.0', id: 9, method: 'ping' })).status).toBe(404),
        10_000,
      );
    },
  );
});

describe('a session that is opened before the server has said what it is', () => {
  test('waits for that, and is translated where it has to be', async () => {
    const [port, token] = [await freePort(), 'secret-token-of-the-test-0123456789'];
    const args = ['--port', String(port), '--isolation', 'shared'];
    const running = launchExpose({
      server: lateServer('modern-only', 1500),
      args,
      env: { MCP_EXPOSE_TOKEN: token },
    });
    const url = `http://127.0.0.1:${port}`;
    await eventually(async () => {
      const { body } = await send(`${url}/readyz`, { headers: clientHeaders(token) });
      expect(body).toContain('"servers":[{');
    }, 20_000);
    expect(running.stdout()).toBe('');
    const session = await openSession(`${url}/mcp`, token);
    expect(await echoOf(session, 'early')).toBe('early');
  });

  test('and that could not be asked at first finds what it is by then', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}/mcp`;
    const proxy = await startTcpProxy(nobody);
    const [command, ...args] = fixture('echo');
    const file = path.join(temporaryDirectory(), 'mcp.json');
    const mcpServers = { local: { command, args }, late: { type: 'http', url: proxy.through(nobody) } };
    await writeFile(file, JSON.stringify({ mcpServers }));
    const exposed = await startExpose({ config: file });
    expect(exposed.ready.servers).toMatchObject([{ era: 'legacy' }, { era: null }]);

    proxy.leadTo((await startHttpFixture('modern-http', { args: ['reject'] })).http);
    const session = await openSession(`${exposed.localUrl}/late/mcp`, exposed.token);
    expect(await echoOf(session, 'late')).toBe('late');
  });
});
