import { describe, expect, test } from 'vitest';
import type { Identity } from '../../../src/auth/oauth/identity-sign-in.ts';
import type { OAuthResponse } from '../../../src/auth/oauth/message.ts';
import { createAllowedUsers } from '../../../src/auth/oidc/allowed-users.ts';
import { openIdentityProvider, type SignInResult } from '../../../src/auth/oidc/identity-provider.ts';
import { startIdentityProvider, type Account } from '../../harness/identity-provider.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { createWebBrowser, type WebBrowser } from '../../harness/web-browser.ts';
import { errorOf, issuer, locationOf, share, textOf, type ConsentPage, type Sharing, type Tokens } from './sharing.ts';

const path = '/oauth-callback';

interface SignInWorld {
  readonly sharing: Sharing;
  readonly host: string;
  /** Opens the page of a client, and presses its button. */
  leave(options?: { clientId?: string; state?: string }): Promise<Leaving>;
  /** Comes back from the provider. */
  comeBack(query: URLSearchParams, cookie: string): Promise<OAuthResponse>;
  /** All of it, up to the page that asks for consent. */
  signIn(name: string): Promise<OAuthResponse & { readonly cookie: string }>;
}

interface Leaving {
  readonly clientId: string;
  readonly response: OAuthResponse;
  /** Of the consent page. */
  readonly pageCookie: string;
  /** Of the sign-in. */
  readonly signInCookie: string;
  /** Both, as the browser sends them. */
  readonly cookie: string;
}

/** A server at which the users of a real provider sign in. */
async function signInWorld(
  accounts: Readonly<Record<string, Account>> = { ada: { email: 'ada@example.com', email_verified: true } },
  users: readonly string[] = ['ada@example.com'],
): Promise<SignInWorld> {
  const real = await startIdentityProvider({ redirectUris: [issuer + path], accounts });
  const provider = await openIdentityProvider({ ...real, env: {}, signal: new AbortController().signal });
  return worldOf({ provider, allows: createAllowedUsers(users) });
}

function worldOf(identity: Identity): SignInWorld {
  const sharing = share({ identity });
  const world: SignInWorld = {
    sharing,
    host: identity.provider.host,
    async leave({ clientId: known, state } = {}) {
      const clientId = known ?? (await sharing.register());
      const from = await sharing.open(clientId, state === undefined ? {} : { state });
      const response = await sharing.submit(from);
      const signInCookie = cookieOf(response);
      return { clientId, response, pageCookie: from.cookie, signInCookie, cookie: `${from.cookie}; ${signInCookie}` };
    },
    comeBack: async (query, cookie) => sharing.get(path, Object.fromEntries(query), { cookie }),
    async signIn(name) {
      const { response, cookie } = await world.leave();
      return { ...(await world.comeBack(await atProvider(response, name), cookie)), cookie };
    },
  };
  return world;
}

const cookieOf = ({ headers }: OAuthResponse): string => headers['set-cookie']?.split(';')[0] ?? '';

/** Signs in there with this name. @returns with what the browser comes back. */
async function atProvider(
  { headers }: OAuthResponse,
  name: string,
  browser: WebBrowser = createWebBrowser(),
): Promise<URLSearchParams> {
  const page = await browser.visit(headers['location'] ?? '', { stopAt: issuer });
  if (page.url.origin === issuer) return page.url.searchParams;
  const back = await browser.submit(page, { name }, { stopAt: issuer });
  return back.url.searchParams;
}

/** The page that asks for consent, as the browser sends it. */
function consentIn({ body, cookie }: OAuthResponse & { readonly cookie: string }): ConsentPage {
  const sealed = /name="request" value="([^"]*)"/.exec(body)?.[1] ?? '';
  return { response: { status: 200, headers: {}, body }, cookie, sealed };
}

describe('the way in', () => {
  test('the page leads to the provider, and says who asks', async () => {
    const { sharing, host } = await signInWorld();
    const { response } = await sharing.open(await sharing.register());
    expect(textOf(response.body)).toContain(`Sign in with ${host}`);
    expect(textOf(response.body)).toContain('Some App');
    expect(response.body).toContain('<dd class="host">app.example</dd>');
    expect(response.body).not.toMatch(/name="(?:code|scope)"/);
  });

  test('after the sign-in, consent is a click on a page that says who signed in, who asks, and where the code goes', async () => {
    const world = await signInWorld();
    const page = await world.signIn('ada');
    expect(page.status).toBe(200);
    expect(page.headers['location']).toBeUndefined();
    expect(textOf(page.body)).toMatch(/Some App.*self-declared.*signed in as ada@example\.com.*app\.example/);
    expect(page.body).toContain('name="scope"');
    expect(world.sharing.eventsOf('access_approved')).toEqual([]);

    const { sharing } = world;
    const approved = await sharing.submit(consentIn(page), { scope: 'mcp:read' });
    expect(approved.status).toBe(303);
    expect(locationOf(approved).searchParams.get('iss')).toBe(issuer);
    expect(sharing.eventsOf('access_approved')).toMatchObject([
      { request: { clientName: 'Some App', user: 'ada@example.com', redirectHost: 'app.example', scope: 'mcp:read' } },
    ]);
    expect((await sharing.submit(consentIn(page))).status).toBe(400);
  });

  test('the tokens are those of the user', async () => {
    const world = await signInWorld();
    const { sharing } = world;
    const { clientId, response, cookie } = await world.leave();
    const page = { ...(await world.comeBack(await atProvider(response, 'ada'), cookie)), cookie };
    const code = locationOf(await sharing.submit(consentIn(page))).searchParams.get('code') ?? '';
    const { access_token: token } = parseJson<Tokens>((await sharing.exchange(clientId, code)).body);
    expect(sharing.server.verify(token, '/mcp')?.clientName).toBe('Some App (ada@example.com)');
  });

  test('the name of the client is cut before that of its user', async () => {
    const world = await signInWorld();
    const { sharing } = world;
    const clientId = await sharing.register({ client_name: `Claude ${'x'.repeat(93)}` });
    const { response, cookie } = await world.leave({ clientId });
    const page = { ...(await world.comeBack(await atProvider(response, 'ada'), cookie)), cookie };
    await sharing.submit(consentIn(page));
    expect(sharing.eventsOf('access_approved')).toMatchObject([
      { clientName: `Claude ${'x'.repeat(33)} (ada@example.com)` },
    ]);
  });

  test('the user can still say no', async () => {
    const world = await signInWorld();
    const denied = await world.sharing.submit(consentIn(await world.signIn('ada')), { decision: 'deny' });
    expect(locationOf(denied).searchParams.get('error')).toBe('access_denied');
    expect(world.sharing.eventsOf('access_refused')).toMatchObject([
      { reason: 'denied_in_browser', request: { user: 'ada@example.com' } },
    ]);
  });

  test('a browser that is signed in there already needs no name, and its consent all the same', async () => {
    const world = await signInWorld();
    const browser = createWebBrowser();
    await atProvider((await world.leave()).response, 'ada', browser);
    const { response, cookie } = await world.leave();
    const page = await world.comeBack(await atProvider(response, 'nobody', browser), cookie);
    expect(textOf(page.body)).toContain('ada@example.com');
    expect(world.sharing.eventsOf('access_approved')).toEqual([]);
  });

  test('no pairing code counts, and none is announced', async () => {
    const world = await signInWorld();
    const { sharing } = world;
    const response = await sharing.submit(await sharing.open(await sharing.register()));
    expect(locationOf(response).host).toBe(world.host);
    sharing.clock.advance(11 * 60_000);
    expect(sharing.eventsOf('pairing_code_changed')).toEqual([]);
  });
});

describe('who is not let in', () => {
  const accounts = {
    suffix: { email: 'ada@example.com.evil.org', email_verified: true },
    prefix: { email: 'evil-ada@example.com', email_verified: true },
    local: { email: 'ADA@example.com', email_verified: true },
    below: { email: 'ada@eng.example.org', email_verified: true },
    markup: { email: '"<script>alert(1)</script>"@evil.org', email_verified: true },
    unverified: { email: 'ada@example.com', email_verified: false },
    text: { email: 'ada@example.com', email_verified: 'true' },
    unsaid: { email: 'ada@example.com' },
    missing: { email_verified: true },
    domain: { email: 'ada@EXAMPLE.com', email_verified: true },
    anybody: { email: 'bob@example.org', email_verified: true },
  };
  const users = ['ada@example.com', '*@example.org'];

  test.each([
    ['suffix', 'user_not_allowed'],
    ['prefix', 'user_not_allowed'],
    ['local', 'user_not_allowed'],
    ['below', 'user_not_allowed'],
    ['markup', 'user_not_allowed'],
    ['unverified', 'email_not_verified'],
    ['text', 'email_not_verified'],
    ['unsaid', 'email_not_verified'],
    ['missing', 'email_not_verified'],
    ['a name without an account', 'sign_in_failed'],
  ] as const)('%s: %s, on a clear page, and the owner is told', async (name, reason) => {
    const world = await signInWorld(accounts, users);
    const page = await world.signIn(name);
    expect(page.status).toBe(403);
    expect(page.headers['location']).toBeUndefined();
    expect(page.body).toMatch(/<p class="error" id="error" role="alert">/);
    expect(page.body).not.toContain('<script');
    const { email } = (accounts as Readonly<Record<string, Account>>)[name] ?? {};
    const user = reason === 'user_not_allowed' ? { user: email } : {};
    expect(world.sharing.eventsOf('access_refused')).toMatchObject([{ reason, request: user }]);
    // Its form leads to the provider again.
    const again = await world.sharing.submit(consentIn(page));
    expect(locationOf(again).host).toBe(world.host);
    expect(world.sharing.eventsOf('access_approved')).toEqual([]);
  });

  test.each(['domain', 'anybody'])('but %s is', async (name) => {
    const world = await signInWorld(accounts, users);
    expect((await world.signIn(name)).status).toBe(200);
  });
});

/** A provider that signs everybody in. */
function willing(result: SignInResult = { kind: 'user', email: 'ada@example.com' }): Identity & { asked: URL[] } {
  const asked: URL[] = [];
  return {
    asked,
    allows: () => true,
    provider: {
      host: 'accounts.example',
      signInUrl: async (_redirectUri, { state }) => new URL(`https://accounts.example/?state=${state}`),
      signedIn: async (returned) => {
        asked.push(returned);
        return result;
      },
    },
  };
}

/** With what a provider would send the browser back. */
const answerTo = ({ response }: Leaving): URLSearchParams =>
  new URLSearchParams({ code: 'a code', state: locationOf(response).searchParams.get('state') ?? '' });

describe('a browser that comes back', () => {
  test('with what it left with is let in', async () => {
    const identity = willing();
    const world = worldOf(identity);
    const left = await world.leave();
    expect((await world.comeBack(answerTo(left), left.cookie)).status).toBe(200);
    expect(identity.asked.map(({ href }) => href.split('?')[0])).toEqual([issuer + path]);
  });

  const attacks: [string, (own: Leaving, other: Leaving) => [Leaving, string]][] = [
    ['without cookies', (own) => [own, '']],
    ['without the cookie of the sign-in', (own) => [own, own.pageCookie]],
    ['without the cookie of the page', (own) => [own, own.signInCookie]],
    ['with the state of another browser', (own, other) => [other, own.cookie]],
    ['with the sign-in of another browser', (own, other) => [other, `${own.pageCookie}; ${other.signInCookie}`]],
    ['with the page of another browser', (own, other) => [own, `${other.pageCookie}; ${own.signInCookie}`]],
    ['with a changed cookie', (own) => [own, own.cookie.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))]],
  ];
  test.each(attacks)('%s is refused, and the provider is not asked', async (_what, attack) => {
    const identity = willing();
    const world = worldOf(identity);
    const [answer, cookie] = attack(await world.leave(), await world.leave());
    const response = await world.comeBack(answerTo(answer), cookie);
    expect(response.status).toBe(400);
    expect(identity.asked).toEqual([]);
    expect(world.sharing.eventsOf('access_refused')).toEqual([]);
  });

  test.each([undefined, '', 'wrong', 's'.repeat(43)])('with the state %s is refused', async (state) => {
    const identity = willing();
    const world = worldOf(identity);
    const left = await world.leave();
    const query = new URLSearchParams({ code: 'a code', ...(state === undefined ? {} : { state }) });
    expect((await world.comeBack(query, left.cookie)).status).toBe(400);
    expect(identity.asked).toEqual([]);
  });

  test('twice, also at the same time, is let in once', async () => {
    const identity = willing();
    const world = worldOf(identity);
    const left = await world.leave();
    const both = await Promise.all([1, 2].map(async () => world.comeBack(answerTo(left), left.cookie)));
    expect(both.map(({ status }) => status)).toEqual([200, 400]);
    expect((await world.comeBack(answerTo(left), left.cookie)).status).toBe(400);
    expect(identity.asked).toHaveLength(1);
  });

  test('after ten minutes is too late', async () => {
    const identity = willing();
    const world = worldOf(identity);
    const left = await world.leave();
    world.sharing.clock.advance(10 * 60_000);
    expect((await world.comeBack(answerTo(left), left.cookie)).status).toBe(400);
    expect(identity.asked).toEqual([]);
  });

  test('a page cannot be given a user, or that of another browser', async () => {
    const world = worldOf(willing());
    const { sharing } = world;
    const page = await sharing.open(await sharing.register());
    const [content = '', signature = ''] = page.sealed.split('.');
    const form = parseJson<object>(Buffer.from(content, 'base64url').toString());
    const forged = Buffer.from(JSON.stringify({ ...form, user: 'ada@example.com' })).toString('base64url');
    expect((await sharing.submit({ ...page, sealed: `${forged}.${signature}` })).status).toBe(400);
    const left = await world.leave();
    const signedIn = { ...(await world.comeBack(answerTo(left), left.cookie)), cookie: page.cookie };
    expect((await sharing.submit(consentIn(signedIn))).status).toBe(400);
    expect(sharing.eventsOf('access_approved')).toEqual([]);
  });

  test('by POST is not served', async () => {
    expect(errorOf(await worldOf(willing()).sharing.post(path, {}))).toEqual([405, 'invalid_request']);
  });
});

/** Begins so many. @returns the statuses of the answers. */
async function begin({ sharing }: SignInWorld, count: number): Promise<number[]> {
  const statuses: number[] = [];
  const page = await sharing.open(await sharing.register());
  for (let at = 0; at < count; at++) {
    statuses.push((await sharing.submit(page)).status); // oxlint-disable-line no-await-in-loop -- in order
  }
  return statuses;
}

describe('sign-ins that are begun', () => {
  test.each([
    ['203.0.113.66', 60],
    [undefined, 300],
  ])('from %s: %i an hour, and who began before comes in', async (address, most) => {
    const identity = willing();
    const world = worldOf(identity);
    world.sharing.address = address;
    const left = await world.leave();
    expect(await begin(world, most)).toEqual([...Array.from({ length: most - 1 }, () => 303), 429]);
    expect(identity.asked).toEqual([]);
    expect((await world.comeBack(answerTo(left), left.cookie)).status).toBe(200);
    expect(await begin(world, 2)).toEqual([303, 429]);
    world.sharing.clock.advance(60_000);
    expect(await begin(world, 1)).toEqual([303]);
    // Another network is not affected.
    await begin(world, most);
    world.sharing.address = '198.51.100.7';
    expect(await begin(world, 1)).toEqual([303]);
  });

  test('those of users who are let in do not count', async () => {
    const world = worldOf(willing());
    const clientId = await world.sharing.register();
    for (let count = 0; count < 100; count++) {
      const left = await world.leave({ clientId }); // oxlint-disable-line no-await-in-loop -- in order
      expect((await world.comeBack(answerTo(left), left.cookie)).status).toBe(200); // oxlint-disable-line no-await-in-loop -- in order
    }
  });

  test.each<SignInResult>([{ kind: 'failed', reason: 'it answered invalid_grant' }, { kind: 'unverified' }])(
    'those that end otherwise do: %j',
    async (result) => {
      const identity = willing(result);
      const world = worldOf(identity);
      const clientId = await world.sharing.register();
      for (let count = 0; count < 60; count++) {
        const left = await world.leave({ clientId }); // oxlint-disable-line no-await-in-loop -- in order
        await world.comeBack(answerTo(left), left.cookie); // oxlint-disable-line no-await-in-loop -- in order
      }
      const { response } = await world.leave({ clientId });
      expect(response.status).toBe(429);
      expect(textOf(response.body)).toContain('Too many sign-ins were begun from your network.');
      expect(identity.asked).toHaveLength(60);
    },
  );
});

test('a request that is too long for a cookie is refused in words', async () => {
  const world = worldOf(willing());
  const { response } = await world.leave({ state: 'x'.repeat(4000) });
  expect(response.status).toBe(400);
  expect(textOf(response.body)).toContain('more than fits into a cookie');
});

test('the owner is told what the provider answered, and the browser is not', async () => {
  const world = worldOf(willing({ kind: 'failed', reason: 'it answered invalid_client at its token endpoint' }));
  const left = await world.leave();
  const response = await world.comeBack(answerTo(left), left.cookie);
  expect(response.status).toBe(403);
  expect(response.body).not.toContain('invalid_client');
  expect(world.sharing.eventsOf('access_refused')).toMatchObject([
    { reason: 'sign_in_failed', detail: 'it answered invalid_client at its token endpoint' },
  ]);
});

test('an origin that others share is refused: their pages could sign in in the name of the user', () => {
  expect(() => share({ issuer: 'https://relay.example/files', identity: willing() })).toThrow(
    'users cannot sign in at an identity provider for https://relay.example/files',
  );
});

test('without an identity provider, nothing is served there', () => {
  expect(share().server.serves(path)).toBe(false);
});
