// A web page that somebody visits cannot reach my server by DNS rebinding, and a client that I invited can.
import { beforeAll, describe, expect, test } from 'vitest';
import { launchExpose, type Exposed } from '../harness/expose.ts';
import { childrenWithMark } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest } from '../harness/raw-mcp.ts';
import { settledChildren } from '../harness/settled-children.ts';
import { exposeBy, ways } from '../harness/ways.ts';

describe.each(ways)('%s', (way) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await exposeBy(way, { server: fixture('echo'), args: ['--warm', '1'], lifetime: 'file' });
  });

  const initialize = (more: [string, string][]) =>
    send(exposed.url, {
      method: 'POST',
      headers: clientHeaders(exposed.token, more),
      body: initializeRequest(),
    });

  test.each([
    ['Host', 'evil.example'],
    ['Host', 'evil.example:80'],
    ['Host', '127.0.0.1.evil.example'],
    ['Host', 'localhost.evil.example'],
    ['Host', '169.254.169.254'],
    ['Origin', 'http://evil.example'],
    ['Origin', 'https://127.0.0.1.evil.example'],
    ['Origin', 'null'],
    ['Origin', 'file://'],
    ['Origin', 'http://localhost@evil.example'],
  ])('%s: %s is answered with 403, even with the token', async (name, value) => {
    const before = await settledChildren(exposed);
    const reply = await initialize([[name, value]]);
    expect(reply.status).toBe(403);
    expect(reply.json()).toMatchObject({ jsonrpc: '2.0', error: { message: expect.any(String) } });
    expect(reply.headers['access-control-allow-origin']).toBeUndefined();
    expect(childrenWithMark(exposed.mark).map(({ pid }) => pid)).toEqual(before);
  });

  test('the origin of the URL itself is welcome', async () => {
    expect((await initialize([['Origin', new URL(exposed.url).origin]])).status).toBe(200);
  });

  test('two Host headers are refused', async () => {
    const { host } = new URL(exposed.url);
    const reply = await initialize([
      ['Host', host],
      ['Host', 'evil.example'],
    ]);
    expect(reply.status).toBeGreaterThanOrEqual(400);
  });
});

test.each(ways)(
  '%s, an app, an extension and a web view that I allow may send whatever header they need',
  async (way) => {
    const allowed = ['tauri://localhost', 'vscode-webview://*', 'https://*.app.example:443'];
    const args = allowed.flatMap((origin) => ['--allow-origin', origin]);
    const exposed = await exposeBy(way, { server: fixture('echo'), args });
    for (const origin of ['tauri://localhost', 'vscode-webview://0abc', 'https://team.app.example']) {
      const asked = 'authorization,content-type,traceparent,ngrok-skip-browser-warning,proxy-authorization';
      // oxlint-disable-next-line no-await-in-loop -- one page after the other
      const preflight = await send(exposed.url, {
        method: 'OPTIONS',
        headers: [
          ['Origin', origin],
          ['Access-Control-Request-Method', 'POST'],
          ['Access-Control-Request-Headers', asked],
        ],
      });
      expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([204, origin]);
      const names = preflight.headers['access-control-allow-headers'] ?? '';
      expect(names).toMatch(/Authorization.*traceparent, ngrok-skip-browser-warning$/);
      // oxlint-disable-next-line no-await-in-loop -- one page after the other
      const reply = await send(exposed.url, {
        method: 'POST',
        headers: clientHeaders(exposed.token, [['Origin', origin]]),
        body: initializeRequest(),
      });
      expect([reply.status, reply.headers['access-control-allow-origin']]).toEqual([200, origin]);
    }
  },
);

test('an origin that no page has is refused at the start, with what to write instead', async () => {
  const run = launchExpose({ server: fixture('echo'), args: ['--allow-origin', 'https://*.*.example'] });
  expect(await run.exited).toBe(2);
  expect(run.stderr()).toContain('https://*.app.example');
});

test.each(['localhost', '127.0.0.1', '[::1]', 'LOCALHOST'])('locally, Host %s is a loopback name', async (name) => {
  const exposed = await exposeBy('locally', { server: fixture('echo') });
  const { port } = new URL(exposed.url);
  const reply = await send(exposed.url, {
    method: 'POST',
    headers: clientHeaders(exposed.token, [
      ['Host', `${name}:${port}`],
      ['Origin', `http://${name}:${port}`],
    ]),
    body: initializeRequest(),
  });
  expect(reply.status).toBe(200);
});
