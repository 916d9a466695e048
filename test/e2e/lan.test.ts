// Colleagues on the same network reach my server without any account; I am told that this path is not encrypted.
import { expect, test } from 'vitest';
import { startExpose } from '../harness/expose.ts';
import { processesWithMark } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest } from '../harness/raw-mcp.ts';
import { connectV1, connectV2 } from '../harness/sdk-clients.ts';

const lan = ['--tunnel', 'lan', '--lan-address', '127.0.0.1'];

test('both official clients use it through the URL for the network', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: lan });
  expect(exposed.ready.tunnel.provider).toBe('lan');
  expect(exposed.publicUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/.*mcp$/);
  const clients = await Promise.all([connectV1(exposed.url, exposed.token), connectV2(exposed.url, exposed.token)]);
  const texts = await Promise.all(clients.map((client) => client.call('echo', { text: 'over the network' })));
  expect(texts).toEqual(['over the network', 'over the network']);
});

test('it says plainly that this path is not encrypted', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: lan });
  await expect(exposed.waitForStderr(/not encrypted|unencrypted/)).resolves.toBeDefined();
});

test('the guard holds on the network too', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: lan });
  const post = (headers: [string, string][]) =>
    send(exposed.url, { method: 'POST', headers, body: initializeRequest() });
  expect((await post(clientHeaders('wrong'))).status).toBe(401);
  expect((await post(clientHeaders(exposed.token, [['Host', 'evil.example']]))).status).toBe(403);
  expect((await post(clientHeaders(exposed.token, [['Origin', 'http://evil.example']]))).status).toBe(403);
});

test('it ends with everything that belongs to it', async () => {
  const exposed = await startExpose({ server: fixture('ignores-sigterm'), args: lan });
  expect(await exposed.stop('SIGINT')).toBe(130);
  expect(processesWithMark(exposed.mark)).toEqual([]);
});
