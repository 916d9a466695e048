// Somebody shares a server with clients that sign in with OAuth; their user types the code from the terminal into a page.
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, launchExpose, redialMs, type Running, startBehindRelay, startRelay } from '../harness/expose.ts';
import { freePort } from '../harness/loopback-server.ts';
import { type Chromium, pageText, press, startBrowser, typeCode } from '../harness/oauth-browser.ts';
import { oauthVersions } from '../harness/oauth-clients.ts';
import { codeOf, knock, sharedServer, signIn, startShared, withCode } from '../harness/oauth-sign-in.ts';
import { processesWithMark } from '../harness/processes.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, exchange, initializeRequest, openSession, type Reply } from '../harness/raw-mcp.ts';
import type { SdkClient } from '../harness/sdk-clients.ts';

/** On the first page of the list: `seen` is read-only. */
const allTools: unknown = expect.arrayContaining(['change', 'silent', 'seen']);

let chromium: Chromium;
/** Begins first and is looked at last, since it looks for its public URL for some seconds. */
let unencrypted: Running;
beforeAll(async () => {
  const port = await freePort();
  await startRelay({ port, args: ['--public-url', 'http://relay.example'], lifetime: 'file' });
  const args = ['--oauth', '--tunnel', 'relay', '--relay', `http://127.0.0.1:${port}`];
  unencrypted = launchExpose({ server: sharedServer, args, lifetime: 'file' });
  chromium = await startBrowser();
});

/** Opens a session; each name below `localhost` is this machine. */
function initialize({ url }: Pick<Exposed, 'url'>, token: string): Promise<Reply> {
  const { host } = new URL(url);
  return exchange(url.replace(/[\w.]+(?=:\d)/, '127.0.0.1'), {
    method: 'POST',
    headers: clientHeaders(token, [['Host', host]]),
    body: initializeRequest(),
  });
}

/** The published document of a client that runs on its user's computer; a copy of it is built in. */
const published = 'https://claude.ai/oauth/claude-code-client-metadata';

const ways = {
  locally: () => startShared(),
  'at a relay, named in the path': async () =>
    startBehindRelay(await startRelay({ lifetime: 'file' }), {
      server: sharedServer,
      args: ['--oauth', '--name', 'files'],
      lifetime: 'file',
    }),
  'at a relay, named in the host': async () => {
    const relay = await startRelay({ args: ['--domain', 'relay.localhost'], lifetime: 'file' });
    return startBehindRelay(relay, {
      server: sharedServer,
      args: ['--oauth', '--name', 'files', '--resolve', `files.relay.localhost:${relay.port}:127.0.0.1`],
      lifetime: 'file',
    });
  },
};

describe.each(Object.entries(ways))('official clients %s', (_way, start) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await start();
  });

  describe.each(oauthVersions)('%s', (version) => {
    test.each([undefined, published])('sign in, call, and renew their token (%s)', async (document) => {
      const { client, connected } = await signIn(chromium, exposed, { version, document });
      expect(await connected.tools()).toEqual(allTools);
      expect(await connected.call('change')).toBe('did change');
      expect(client.saved.client?.client_id === document).toBe(document !== undefined);
      const { tokens } = client.saved;
      expect(tokens).toMatchObject({ scope: 'mcp', token_type: 'Bearer', expires_in: 3600 });

      // As it would be after an hour.
      client.saved.tokens = { ...tokens, access_token: 'mcpa_expired', token_type: 'Bearer' };
      expect(await (await client.connect()).tools()).toEqual(allTools);
      expect(client.saved.tokens.access_token).not.toBe('mcpa_expired');
      expect(client.saved.tokens.refresh_token).not.toBe(tokens?.refresh_token);
    });
  });

  test('a token in the header works at the same time, a wrong one does not', async () => {
    expect((await initialize(exposed, exposed.token)).status).toBe(200);
    const refused = await initialize(exposed, 'mcpa_wrong');
    expect(refused.status).toBe(401);
    expect(refused.headers['www-authenticate']).toContain('error="invalid_token"');
  });
});

/** What the two clients say when they cannot get more: the first has asked for it by renewing its token. */
const refusals = { v1: '403 after trying upscoping', v2: 'Unauthorized' };

async function expectReadOnly(connected: SdkClient, version: keyof typeof refusals): Promise<void> {
  expect(await connected.tools()).toContain('seen');
  expect(await connected.tools()).not.toEqual(expect.arrayContaining([expect.stringMatching(/change|silent/)]));
  expect(await connected.call('look')).toBe('did look');
  await expect(connected.call('change')).rejects.toThrow(refusals[version]);
  expect(await connected.call('seen')).not.toContain('change');
}

describe('what a client may do', () => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await startShared();
  });

  test.each(oauthVersions)('%s asks for reading only', async (version) => {
    const { client, callback, url } = await knock(exposed, { version });
    // The SDK asks for what the challenge says; other clients ask for less.
    const asked = new URL(url);
    asked.searchParams.set('scope', 'mcp:read');
    const page = await chromium.open(asked.href);
    expect(await pageText(page)).not.toContain('Everything');
    await withCode(exposed, (code) => typeCode(page, code));
    await expectReadOnly(await client.finish(await callback.next()), version);
    expect(client.saved.tokens?.scope).toBe('mcp:read');
  });

  test.each(oauthVersions)('%s is given less than it asks for, by keyboard', async (version) => {
    const { client, callback, url } = await knock(exposed, { version });
    const page = await chromium.open(url);
    await page.keyboard.down('Shift');
    await press(page, 'Tab');
    await page.keyboard.up('Shift');
    await press(page, 'ArrowDown', 'Tab');
    await withCode(exposed, (code) => typeCode(page, code));
    await expectReadOnly(await client.finish(await callback.next()), version);
    expect(client.saved.tokens?.scope).toBe('mcp:read');
  });
});

test('a client that asks for more, upon a call that needs it, gets it when its user has approved that, too', async () => {
  const exposed = await startShared({ lifetime: 'test' });
  const { client, callback, url } = await knock(exposed, { version: 'v2' });
  const less = new URL(url);
  less.searchParams.set('scope', 'mcp:read');
  const first = await chromium.open(less.href);
  await withCode(exposed, (code) => typeCode(first, code));
  const connected = await client.finish(await callback.next());
  await expect(connected.call('change')).rejects.toThrow('Unauthorized');
  const second = await chromium.open(client.page() ?? '');
  expect(await pageText(second)).toContain('Everything that is shared');
  await withCode(exposed, (code) => typeCode(second, code));
  expect(await (await client.finish(await callback.next())).call('change')).toBe('did change');
});

describe('what limits it', () => {
  test('--expires: neither token is accepted after it, and streams end', async () => {
    const exposed = await startShared({ args: ['--expires', '15s'], lifetime: 'test' });
    const { client } = await signIn(chromium, exposed);
    const tokens = [exposed.token, client.saved.tokens?.access_token ?? ''];
    const streams = await Promise.all(tokens.map(async (token) => (await openSession(exposed.url, token)).listen()));
    expect(streams.map(({ status }) => status)).toEqual([200, 200]);
    await Promise.all(streams.map(async ({ ended }) => ended));
    for (const token of tokens) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is enough
      expect((await initialize(exposed, token)).status).toBe(401);
    }
    const metadata = await send(new URL('/.well-known/oauth-authorization-server', exposed.url).href);
    expect(metadata.status).toBe(404);
  });

  test('--once: when one client is in, no other can register, or be approved', async () => {
    const exposed = await startShared({ args: ['--once'], lifetime: 'test' });
    const second = await knock(exposed);
    const page = await chromium.open(second.url);
    const { connected } = await signIn(chromium, exposed, { version: 'v2' });
    await typeCode(page, codeOf(exposed));
    expect(await pageText(page)).toContain('the server is shared with one client, and another one was first');
    await expect(knock(exposed)).rejects.toThrow(/shared with one client/);
    const registration = await send<{ error: string }>(new URL('/register', exposed.url).href, {
      method: 'POST',
      headers: [['Content-Type', 'application/json']],
      body: JSON.stringify({ redirect_uris: [second.callback.url] }),
    });
    expect([registration.status, registration.json().error]).toEqual([403, 'access_denied']);
    expect(await connected.call('look')).toBe('did look');
  });

  test(
    'a relay that changes to a URL without https ends what was signed in, not the run',
    { timeout: 2 * redialMs },
    async () => {
      const relay = await startRelay();
      const exposed = await startBehindRelay(relay, { server: sharedServer, args: ['--oauth'] });
      const { client } = await signIn(chromium, exposed);
      await relay.stop();
      await startRelay({ port: relay.port, args: ['--public-url', 'http://relay.example'] });
      const warning = /warning: clients cannot sign in with OAuth at http:\/\/relay\.example\/\w+:/;
      await exposed.waitForStderr(warning, redialMs);
      const local = { url: exposed.localUrl };
      expect((await initialize(local, exposed.token)).status).toBe(200);
      expect((await initialize(local, client.saved.tokens?.access_token ?? '')).status).toBe(401);
    },
  );

  test('a public URL without https: it does not start, and leaves nothing', async () => {
    const run = unencrypted;
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toMatch(
      /error: clients cannot sign in with OAuth at http:\/\/relay\.example\/\w+: the URL must be https/,
    );
    expect(run.stderr()).toContain('hint: use a tunnel with https');
    expect(processesWithMark(run.mark)).toEqual([]);
  });
});
