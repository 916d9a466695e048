// Somebody shares a server with people who have an account at an OpenID provider: they sign in there instead of typing a code.
import { randomUUID } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, launchExpose, redialMs, startBehindRelay, startExpose, startRelay } from '../harness/expose.ts';
import { startFakeIdentityProvider } from '../harness/fake-identity-provider.ts';
import { startIdentityProvider, type TestIdentityProvider } from '../harness/identity-provider.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { freePort } from '../harness/loopback-server.ts';
import { type Chromium, pageText, press, pressToLeave, startBrowser } from '../harness/oauth-browser.ts';
import { oauthVersions } from '../harness/oauth-clients.ts';
import { knock, sharedServer } from '../harness/oauth-sign-in.ts';
import { parseJson } from '../harness/parse-json.ts';
import { allProcesses, descendants, environmentOf, processesWithMark } from '../harness/processes.ts';
import { fixture, startProgram, temporaryDirectory } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { startOnTerminal } from '../harness/terminal.ts';
import { createWebBrowser, type Visit, type WebBrowser } from '../harness/web-browser.ts';

const accounts = {
  ada: { email: 'ada@example.com', email_verified: true },
  eve: { email: 'ada@example.com.evil.org', email_verified: true },
};

const secretVariable = 'MCP_EXPOSE_OIDC_CLIENT_SECRET';

const argsFor = ({ issuer, clientId }: Pick<TestIdentityProvider, 'issuer' | 'clientId'>, ...further: string[]) => [
  '--oauth',
  '--allow-user',
  'ada@example.com',
  '--oidc-issuer',
  issuer,
  '--oidc-client-id',
  clientId,
  ...further,
];

interface Shared {
  readonly exposed: Exposed;
  readonly provider: TestIdentityProvider;
}

/** A run on this machine, and the provider at which its redirect URI is registered. */
async function startShared(server: string[] = sharedServer, ...args: string[]): Promise<Shared> {
  const port = await freePort();
  const provider = await startIdentityProvider({ redirectUris: [`http://127.0.0.1:${port}/oauth-callback`], accounts });
  const exposed = await startExpose({
    server,
    args: argsFor(provider, '--port', String(port), ...args),
    env: { [secretVariable]: provider.clientSecret },
  });
  return { exposed, provider };
}

/** From the consent page to the provider, and back with this name. */
async function signInAs(browser: WebBrowser, url: string, name: string): Promise<Visit> {
  const signInPage = await browser.submit(await browser.visit(url), { decision: 'approve' });
  return await browser.submit(signInPage, { name });
}

describe.each(oauthVersions)('the official client %s', (version) => {
  test('signs in, calls, and renews its token, in the name of its user', async () => {
    const file = path.join(temporaryDirectory(), 'audit.jsonl');
    const { exposed, provider } = await startShared(sharedServer, '--audit', file);
    const { host } = new URL(provider.issuer);
    const redirectUri = new URL('/oauth-callback', exposed.url).href;
    expect(exposed.ready).toMatchObject({ identityProvider: { host, redirectUri } });
    expect(exposed.ready).not.toHaveProperty('pairingCode');

    const { client, callback, url } = await knock(exposed, { version, name: 'Some App' });
    const browser = createWebBrowser();
    const page = await signInAs(browser, url, 'ada');
    expect(page.body).toContain('ada@example.com');
    const [consented, params] = await Promise.all([
      browser.submit(page, { decision: 'approve', scope: 'mcp' }),
      callback.next(),
    ]);
    expect(consented.status).toBe(200);
    const connected = await client.finish(params);
    expect(await connected.call('change')).toBe('did change');
    client.saved.tokens = { ...client.saved.tokens, access_token: 'mcpa_expired', token_type: 'Bearer' };
    expect(await (await client.connect()).tools()).toContain('seen');

    const returns = new URL(callback.url).host;
    const who = `"Some App" (name not verified, returns to ${returns}, from 127.0.0.1`;
    await exposed.waitForStderr(/has signed in/);
    expect(exposed.stderr()).toContain(`mcp-expose: ${who}) asks for full access at ${exposed.url}\n`);
    expect(exposed.stderr()).toContain(
      `mcp-expose: ${who}, user ada@example.com) now has full access at ${exposed.url}\n`,
    );
    expect(exposed.stderr()).toContain('mcp-expose: "Some App (ada@example.com)" has signed in\n');
    await exposed.stop();
    const caller = 'Some App (ada@example.com)';
    const lines = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => parseJson<Record<string, unknown>>(line));
    expect(lines).toContainEqual(
      expect.objectContaining({ event: 'oauth', change: 'approved', caller, user: 'ada@example.com' }),
    );
    expect(lines).toContainEqual(expect.objectContaining({ event: 'call', tool: 'change', caller, outcome: 'ok' }));
    const everything = exposed.stdout() + exposed.stderr() + readFileSync(file, 'utf8');
    expect(everything).not.toContain(provider.clientSecret);
    expect(everything).not.toContain(params.get('code'));
  });
});

describe('who is not allowed', () => {
  test('gets a page that says so, the owner a line, and the client nothing', async () => {
    const { exposed, provider } = await startShared();
    const { callback, url } = await knock(exposed, { name: 'Some App' });
    const browser = createWebBrowser();
    const refused = await signInAs(browser, url, 'eve');
    expect(refused.status).toBe(403);
    expect(refused.body).toContain('ada@example.com.evil.org may not use this server');
    await exposed.waitForStderr(/user ada@example\.com\.evil\.org\) was refused: no --allow-user names this user\n/);

    await browser.submit(refused, { decision: 'deny' });
    expect((await callback.next()).get('error')).toBe('access_denied');

    // Nobody at all: the provider says so itself.
    const cancelled = await signInAs(createWebBrowser(), (await knock(exposed, { callback })).url, 'nobody');
    expect(cancelled.body).toContain(`${new URL(provider.issuer).host} did not confirm who you are`);
    await exposed.waitForStderr(
      /was refused: the identity provider did not confirm the user: it answered access_denied\n/,
    );
  });

  test('another browser than the one that began', async () => {
    const { exposed } = await startShared();
    const { url } = await knock(exposed);
    const [attacker, victim] = [createWebBrowser(), createWebBrowser()];
    const signInPage = await attacker.submit(await attacker.visit(url), { decision: 'approve' });
    // The victim opens the provider's page that the attacker was sent to, and signs in there.
    const back = await attacker.submit(signInPage, { name: 'ada' }, { stopAt: new URL(exposed.url).origin });
    expect(back.url.searchParams.get('code')).toMatch(/./);
    const arrived = await victim.visit(back.url.href);
    expect([arrived.status, arrived.body]).toEqual([400, expect.stringContaining('cannot be used any more')]);
    expect(exposed.stderr()).not.toContain('now has');
  });

  test('a second client, with --once', async () => {
    const { exposed } = await startShared(sharedServer, '--once');
    const [first, second] = [await knock(exposed), await knock(exposed)];
    const [browser, late] = [createWebBrowser(), createWebBrowser()];
    const waiting = await late.submit(await late.visit(second.url), { decision: 'approve' });
    const page = await signInAs(browser, first.url, 'ada');
    const [params] = await Promise.all([first.callback.next(), browser.submit(page, { decision: 'approve' })]);
    await first.client.finish(params);
    const refused = await late.submit(waiting, { name: 'ada' });
    expect([refused.status, refused.body]).toEqual([403, expect.stringContaining('another one was first')]);
  });
});

describe('in Chromium', () => {
  let chromium: Chromium;
  beforeAll(async () => {
    chromium = await startBrowser();
  });

  test('at a relay with names in the host, by keyboard', async () => {
    const relay = await startRelay({ args: ['--domain', 'relay.localhost'] });
    const origin = `http://files.relay.localhost:${relay.port}`;
    const provider = await startIdentityProvider({ redirectUris: [`${origin}/oauth-callback`], accounts });
    const resolve = ['--name', 'files', '--resolve', `files.relay.localhost:${relay.port}:127.0.0.1`];
    const exposed = await startBehindRelay(relay, {
      server: sharedServer,
      args: argsFor(provider, ...resolve),
      env: { [secretVariable]: provider.clientSecret },
    });
    const { client, callback, url } = await knock(exposed, { version: 'v2', name: 'Some App' });
    const page = await chromium.open(url);
    expect(await pageText(page)).toContain(`Sign in with ${new URL(provider.issuer).host}`);
    await pressToLeave(page, 'Tab', 'Enter');
    await page.keyboard.type('ada');
    await pressToLeave(page, 'Enter');
    expect(new URL(page.url()).origin).toBe(origin);
    expect(await pageText(page)).toMatch(/You have signed in as\s+ada@example\.com/);
    await press(page, 'Tab', 'ArrowDown');
    await pressToLeave(page, 'Tab', 'Enter');
    const connected = await client.finish(await callback.next());
    expect(client.saved.tokens?.scope).toBe('mcp:read');
    expect(await connected.call('look')).toBe('did look');
  });
});

test('the terminal says what to register', async () => {
  const fake = await startFakeIdentityProvider();
  const terminal = startOnTerminal(['--tunnel', 'none', ...argsFor(fake), '--', ...sharedServer]);
  const [, local = ''] = await terminal.waitFor(/(http:\/\/127\.0\.0\.1:\d+)\/mcp/);
  await terminal.waitFor(new RegExp(`Sign in: +at ${new URL(fake.issuer).host}, for clients that use OAuth`));
  await terminal.waitFor(new RegExp(`register this redirect URI there: ${local}/oauth-callback`));
  expect(terminal.screen()).not.toContain('Pairing:');
});

test('without a terminal, a line says so', async () => {
  const fake = await startFakeIdentityProvider();
  const args = ['--tunnel', 'none', ...argsFor(fake), '--', ...sharedServer];
  const run = startProgram(args, { mark: randomUUID() });
  const [, local = ''] = await run.waitForStdout(/ready at (\S+)\/mcp/, 20_000);
  const { host } = new URL(fake.issuer);
  await run.waitForStderr(new RegExp(`mcp-expose: redirect URI to register at ${host}: ${local}/oauth-callback\n`));
  expect(run.stderr()).not.toContain('pairing code');
});

test('a public URL that changes: the owner is told what to register now', { timeout: 2 * redialMs }, async () => {
  const relay = await startRelay({ args: ['--domain', 'relay.localhost'] });
  const fake = await startFakeIdentityProvider();
  const resolve = ['relay', 'other'].flatMap((domain) => [
    '--resolve',
    `files.${domain}.localhost:${relay.port}:127.0.0.1`,
  ]);
  const exposed = await startBehindRelay(relay, {
    server: sharedServer,
    args: argsFor(fake, '--name', 'files', ...resolve),
  });
  const { host } = new URL(fake.issuer);
  const before = `http://files.relay.localhost:${relay.port}/oauth-callback`;
  expect(exposed.ready.identityProvider).toEqual({ host, redirectUri: before });
  await relay.stop();
  await startRelay({ port: relay.port, args: ['--domain', 'other.localhost'] });
  const now = `http://files.other.localhost:${relay.port}/oauth-callback`;
  await exposed.waitForStderr(new RegExp(`warning: register the new redirect URI at ${host}: ${now}\n`), redialMs);
});

test('the secret of the client is in no argv and in no environment of a child, be it inherited', async () => {
  const { exposed, provider } = await startShared(fixture('environment'), '--inherit-env');
  const session = await openSession(exposed.url, exposed.token);
  const environment = textOf(await session.call(1, 'tools/call', { name: 'env', arguments: {} }));
  expect(environment).not.toContain(provider.clientSecret);
  expect(allProcesses().filter(({ command }) => command.some((word) => word.includes(provider.clientSecret)))).toEqual(
    [],
  );
  for (const { pid } of descendants(exposed.pid)) {
    expect(environmentOf(pid).filter((pair) => pair.includes(provider.clientSecret))).toEqual([]);
  }
});

test('the secret can be in a file', async () => {
  const port = await freePort();
  const provider = await startIdentityProvider({ redirectUris: [`http://127.0.0.1:${port}/oauth-callback`], accounts });
  const file = path.join(temporaryDirectory(), 'secret');
  writeFileSync(file, `${provider.clientSecret}\n`, { mode: 0o600 });
  const args = argsFor(provider, '--port', String(port), '--oidc-client-secret-file', file);
  const exposed = await startExpose({ server: sharedServer, args });
  const { url } = await knock(exposed);
  expect((await signInAs(createWebBrowser(), url, 'ada')).status).toBe(200);
});

describe('it does not start', () => {
  test.each<[string, string[], string]>([
    [
      'without --allow-user',
      ['--oidc-issuer', 'https://a.example', '--oidc-client-id', 'x'],
      '--oidc-issuer needs --allow-user',
    ],
    [
      'without a client id',
      ['--oidc-issuer', 'https://a.example', '--allow-user', 'a@b.example'],
      '--oidc-issuer needs --oidc-client-id',
    ],
    [
      'for users that are no addresses',
      ['--oidc-issuer', 'https://a.example', '--oidc-client-id', 'x', '--allow-user', '*'],
      '--allow-user * is neither an e-mail address nor *@ and a domain',
    ],
    [
      'with an issuer without TLS',
      ['--oidc-issuer', 'http://a.example', '--oidc-client-id', 'x', '--allow-user', 'a@b.example'],
      '--oidc-issuer must be an https URL without user name, query and fragment',
    ],
  ])('%s', async (_what, args, message) => {
    const run = launchExpose({ server: sharedServer, args: ['--oauth', ...args] });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toContain(`mcp-expose: error: ${message}`);
    expect(run.stderr()).toContain('mcp-expose: hint: ');
    expect(processesWithMark(run.mark)).toEqual([]);
  });

  test('with MCP_EXPOSE_PAIRING=tty', async () => {
    const fake = await startFakeIdentityProvider();
    const run = launchExpose({ server: sharedServer, args: argsFor(fake), env: { MCP_EXPOSE_PAIRING: 'tty' } });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toContain('error: --pairing tty cannot be combined with --oidc-issuer');
  });

  test('with a secret in the environment and in a file', async () => {
    const fake = await startFakeIdentityProvider();
    const file = path.join(temporaryDirectory(), 'secret');
    writeFileSync(file, 'one secret', { mode: 0o600 });
    const env = { [secretVariable]: 'another secret' };
    const run = launchExpose({ server: sharedServer, args: argsFor(fake, '--oidc-client-secret-file', file), env });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toContain(
      `error: the client secret is given twice: ${secretVariable}, --oidc-client-secret-file`,
    );
    expect(run.stderr()).not.toMatch(/(?:one|another) secret/);
  });

  test('with a secret that others can read', async () => {
    const fake = await startFakeIdentityProvider();
    const file = path.join(temporaryDirectory(), 'secret');
    writeFileSync(file, 'a secret');
    chmodSync(file, 0o644);
    const run = launchExpose({ server: sharedServer, args: argsFor(fake, '--oidc-client-secret-file', file) });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toContain(`error: the client secret file ${file} can be read by other users (mode 0644)`);
  });

  test('at a wrong issuer', async () => {
    const fake = await startFakeIdentityProvider({ metadata: { issuer: 'https://another.example' } });
    const run = launchExpose({ server: sharedServer, args: argsFor(fake) });
    expect(await run.exited).toBe(1);
    expect(run.stderr()).toContain(`error: cannot use the OpenID provider ${fake.issuer}: `);
    expect(run.stderr()).toContain('hint: check --oidc-issuer');
    expect(run.events()[0]).toMatchObject({ event: 'error', code: 'identity_provider_unusable' });
    expect(processesWithMark(run.mark)).toEqual([]);
  });

  test('at a relay where names are in the path: their pages share an origin', async () => {
    const fake = await startFakeIdentityProvider();
    const relay = await startRelay();
    const run = launchExpose({
      server: sharedServer,
      args: ['--tunnel', 'relay', '--relay', relay.url, '--name', 'files', ...argsFor(fake)],
    });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toContain(`error: users cannot sign in at an identity provider for ${relay.url}/files: `);
    expect(run.stderr()).toContain('hint: use a relay with --domain');
    expect(processesWithMark(run.mark)).toEqual([]);
  });
});
