// What I ask for on the command line or in the environment is what I get.
import { expect, test } from 'vitest';
import { startExpose, startRelay } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { freePort } from '../harness/loopback-server.ts';
import { parseJson } from '../harness/parse-json.ts';
import { bin, fixture, projectRoot } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';

const echo = { name: 'echo', arguments: { text: 'hello' } };

test('--port and --host choose where it listens', async () => {
  const port = await freePort();
  const exposed = await startExpose({
    server: fixture('echo'),
    args: ['--host', '127.0.0.1', '--port', String(port)],
  });
  expect(exposed.localUrl).toBe(`http://127.0.0.1:${port}/mcp`);
  const session = await openSession(exposed.localUrl, exposed.token);
  expect(textOf(await session.call(1, 'tools/call', echo))).toBe('hello');
});

test('every option has an environment twin, and the command line wins', async () => {
  const [port, other] = [await freePort(), await freePort()];
  const relay = await startRelay();
  const env = {
    MCP_EXPOSE_STDIO: fixture('echo').join(' '),
    MCP_EXPOSE_PORT: String(other),
    MCP_EXPOSE_RELAY: relay.url,
    MCP_EXPOSE_TUNNEL: 'relay',
    MCP_EXPOSE_NAME: 'from-the-environment',
  };
  const exposed = await startExpose({ env, args: ['--port', String(port)] });
  expect(exposed.localUrl).toBe(`http://127.0.0.1:${port}/mcp`);
  expect(exposed.publicUrl).toBe(`${relay.url}/from-the-environment/mcp`);
  expect(exposed.ready.servers).toMatchObject([{ name: 'fixture-echo' }]);
});

test('mcp-expose in front of mcp-expose’s own arguments: options after -- belong to the server', async () => {
  const exposed = await startExpose({ server: fixture('environment', '--help', '--version', '--', '--json') });
  const session = await openSession(exposed.url, exposed.token);
  const argv = textOf(await session.call(1, 'tools/call', { name: 'argv', arguments: {} }));
  expect(parseJson(argv)).toEqual(['--help', '--version', '--', '--json']);
});

test('it can be started from any directory, and the server starts in that one', async () => {
  const exposed = await startExpose({ server: fixture('environment'), cwd: '/tmp' });
  expect(bin.startsWith(projectRoot)).toBe(true);
  const session = await openSession(exposed.url, exposed.token);
  expect(textOf(await session.call(1, 'tools/call', { name: 'cwd', arguments: {} }))).toBe('/tmp');
});
