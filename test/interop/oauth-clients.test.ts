// Clients of others that sign in with OAuth: they open a browser, which is a script here that says what it was given.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import type { Exposed } from '../harness/expose.ts';
import { runInterop } from '../harness/interop.ts';
import { freePort } from '../harness/loopback-server.ts';
import { type Chromium, startBrowser, typeCode } from '../harness/oauth-browser.ts';
import { startShared, withCode } from '../harness/oauth-sign-in.ts';
import { parseJson } from '../harness/parse-json.ts';
import { temporaryDirectory } from '../harness/program.ts';
import { connectToRemote } from './client-stories.ts';

let chromium: Chromium;
let exposed: Exposed;
beforeAll(async () => {
  chromium = await startBrowser();
  exposed = await startShared();
});

/** What programs start as the browser of the desktop, and the URL that it was given. */
function fakeBrowser(): { env: Record<string, string>; url: () => Promise<string> } {
  const folder = temporaryDirectory();
  const file = path.join(folder, 'url');
  const script = path.join(folder, 'xdg-open');
  writeFileSync(script, `#!/bin/sh\nprintf '%s\\n' "$1" >'${file}'\n`, { mode: 0o755 });
  return {
    // The script that comes with the package `open` starts $BROWSER.
    env: { BROWSER: script, PATH: `${folder}:${process.env['PATH'] ?? ''}` },
    url: async () =>
      eventually(() => {
        const url = existsSync(file) ? readFileSync(file, 'utf8') : '';
        if (!url.endsWith('\n')) throw new Error('no browser was opened');
        return url.trim();
      }, 20_000),
  };
}

async function approve(url: string): Promise<void> {
  const page = await chromium.open(url);
  await withCode(exposed, (code) => typeCode(page, code));
}

test('mcp-remote', async () => {
  const browser = fakeBrowser();
  const args = [exposed.url, String(await freePort()), '--transport', 'http-only'];
  const connecting = connectToRemote(args, { env: browser.env });
  const [{ client, call }] = await Promise.all([connecting, browser.url().then(approve)]);
  expect((await client.listTools()).tools.map(({ name }) => name)).toContain('change');
  expect(await call('change')).toBe('did change');
});

test('MCP Inspector', async () => {
  const browser = fakeBrowser();
  const callback = `http://127.0.0.1:${await freePort()}/oauth/callback`;
  const server = ['--cli', exposed.url, '--transport', 'http', '--callback-url', callback];
  const args = [...server, '--format', 'json', '--method', 'tools/call', '--tool-name', 'look'];
  // Without a terminal it opens a browser only if it is told to.
  const env = { ...browser.env, MCP_AUTO_OPEN_ENABLED: 'true' };
  const [{ stdout }] = await Promise.all([runInterop('mcp-inspector', args, { env }), browser.url().then(approve)]);
  expect(parseJson(stdout)).toMatchObject({ result: { content: [{ type: 'text', text: 'did look' }] } });
});
