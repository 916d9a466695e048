import { describe, expect, test } from 'vitest';
import { ExposeError } from '../../../src/errors.ts';
import { errorOf, issuer, requestOf, share } from './sharing.ts';

describe('the challenge', () => {
  const metadata = `resource_metadata="${issuer}/.well-known/oauth-protected-resource/mcp"`;

  test('R2 R3 R4 without a credential has no error', () => {
    expect(share().server.challenge('/mcp')).toBe(`Bearer scope="mcp", ${metadata}`);
  });

  test('R4 for a token that is not valid', () => {
    expect(share().server.challenge('/mcp', { code: 'invalid_token' })).toBe(
      `Bearer error="invalid_token", scope="mcp", ${metadata}`,
    );
  });

  test('R12 for a scope that is too small names all that are needed', () => {
    expect(share().server.challenge('/mcp', { code: 'insufficient_scope', scope: 'mcp' })).toBe(
      `Bearer error="insufficient_scope", scope="mcp", ${metadata}`,
    );
  });

  test('R2 names the document of its endpoint, below the path of the issuer', () => {
    const own = 'https://relay.example/name';
    const { server } = share({ issuer: own, resources: () => [`${own}/a/mcp`, `${own}/b/mcp`] });
    expect(server.challenge('/b/mcp')).toContain(`"${own}/.well-known/oauth-protected-resource/b/mcp"`);
  });

  test('never holds what a client sent', () => {
    expect(share().server.challenge('/x", error="y')).toBe(
      `Bearer scope="mcp", resource_metadata="${issuer}/.well-known/oauth-protected-resource"`,
    );
  });
});

describe('A21 the issuer', () => {
  test.each(['http://share.example', 'http://192.168.1.5:7801', 'ftp://share.example', 'https://share.example/'])(
    '%s is refused',
    (own) => {
      expect(() => share({ issuer: own })).toThrow(ExposeError);
    },
  );

  test.each(['http://127.0.0.1:7801', 'http://localhost:7801', 'http://[::1]:7801', 'https://relay.example/name'])(
    '%s is accepted',
    (own) => {
      expect(() => share({ issuer: own })).not.toThrow();
    },
  );
});

test.each(['tty', 'both'] as const)('%s needs somebody to ask', (pairing) => {
  expect(() => share({ pairing })).toThrow(`confirm is needed to pair with ${pairing}`);
});

test('what it serves', () => {
  const { server } = share();
  for (const path of ['/authorize', '/token', '/register', '/revoke', '/.well-known/x', '/mcp/.well-known/x']) {
    expect(server.serves(path)).toBe(true);
  }
  for (const path of ['/', '/mcp', '/authorize/', '/token/x', '/well-known/x', '/.well-known', '/mcp/token']) {
    expect(server.serves(path)).toBe(false);
  }
});

test('anything else is 404 in JSON', async () => {
  expect(errorOf(await share().get('/elsewhere'))).toEqual([404, 'not_found']);
});

describe('A23 CORS', () => {
  const paths = ['/token', '/register', '/revoke', '/.well-known/oauth-authorization-server', '/.well-known/x'];

  test.each(paths)('scripts of any origin may read %s, errors too', async (path) => {
    const { headers } = await share().get(path, {}, { origin: 'https://web-client.example' });
    expect(headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-expose-headers': expect.stringContaining('WWW-Authenticate'),
    });
    expect(headers['access-control-allow-credentials']).toBeUndefined();
  });

  test.each(paths)('a preflight for %s is answered', async (path) => {
    const response = await share().send({ method: 'OPTIONS', path, headers: { origin: 'https://web-client.example' } });
    expect(response).toMatchObject({
      status: 204,
      body: '',
      headers: {
        'access-control-allow-origin': '*',
        'access-control-allow-methods': 'GET, POST',
        'access-control-allow-headers': expect.stringContaining('Content-Type'),
      },
    });
  });

  test('but not the consent page', async () => {
    const sharing = share();
    const page = await sharing.get('/authorize', requestOf(await sharing.register()), { origin: 'https://x.example' });
    const preflight = await sharing.send({ method: 'OPTIONS', path: '/authorize' });
    for (const { headers } of [page, preflight]) expect(headers['access-control-allow-origin']).toBeUndefined();
    expect(preflight.status).toBe(405);
  });
});

test.each(['/authorize', '/token', '/register', '/revoke'])('%s refuses more than 64 KiB', async (path) => {
  const sharing = share();
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const body = 'ü'.repeat(32 * 1024);
  expect((await sharing.send({ method: 'POST', path, body, headers })).status).not.toBe(413);
  expect((await sharing.send({ method: 'POST', path, body: `${body}x`, headers })).status).toBe(413);
});

test('revoke ends a grant at once', async () => {
  const sharing = share();
  const { access_token: token } = await sharing.connect();
  const grant = sharing.server.verify(token, '/mcp');
  expect(sharing.server.revoke(grant?.id ?? '')).toBe(true);
  expect(sharing.server.verify(token, '/mcp')).toBeUndefined();
  expect(sharing.server.revoke(grant?.id ?? '')).toBe(false);
  expect(sharing.eventsOf('grant_revoked')).toMatchObject([{ reason: 'revoked_by_owner', grantId: grant?.id }]);
});

describe('a client that stops halfway is reported', () => {
  const minute = 60_000;

  test('after its registration', async () => {
    const sharing = share();
    await sharing.register();
    sharing.clock.advance(minute);
    expect(sharing.eventsOf('client_silent')).toEqual([
      { kind: 'client_silent', clientName: 'Some App', after: 'registration' },
    ]);
  });

  test('but not while somebody looks at the consent page', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    await sharing.open(clientId);
    sharing.clock.advance(5 * minute);
    expect(sharing.eventsOf('client_silent')).toEqual([]);
  });

  test('claude-ai-mcp#518: after approval, without asking for a token', async () => {
    const sharing = share();
    await sharing.authorize(await sharing.register());
    sharing.clock.advance(minute);
    expect(sharing.eventsOf('grant_revoked')).toMatchObject([{ clientName: 'Some App', reason: 'not_exchanged' }]);
    expect(sharing.eventsOf('client_silent')).toEqual([]);
  });

  test('claude-ai-mcp#654: after its first token, without a call', async () => {
    const sharing = share();
    await sharing.connect();
    sharing.clock.advance(minute);
    expect(sharing.eventsOf('client_silent')).toMatchObject([{ after: 'token' }]);
  });

  test('not if it calls, nor when it later renews its token', async () => {
    const sharing = share();
    const tokens = await sharing.connect();
    sharing.server.verify(tokens.access_token, '/mcp');
    sharing.clock.advance(minute);
    await sharing.refresh(tokens.clientId, tokens.refresh_token);
    sharing.clock.advance(minute);
    expect(sharing.eventsOf('client_silent')).toEqual([]);
  });
});

describe('a clock that is set back by a day', () => {
  const day = 86_400_000;

  test('lengthens the life of no token', async () => {
    const sharing = share();
    const { access_token: token } = await sharing.connect();
    sharing.clock.setBack(day);
    expect(sharing.server.verify(token, '/mcp')).toBeDefined();
    sharing.clock.jump(3_600_000);
    expect(sharing.server.verify(token, '/mcp')).toBeUndefined();
  });

  test('lengthens the life of no code and no page', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    const page = await sharing.open(clientId);
    const code = await sharing.authorize(clientId);
    sharing.clock.setBack(day);
    expect(sharing.server.pairingCode).not.toBe('');
    sharing.clock.jump(10 * 60_000);
    expect(errorOf(await sharing.exchange(clientId, code))).toEqual([400, 'invalid_grant']);
    expect((await sharing.submit(page)).status).toBe(400);
  });

  test('locks nobody out for a day', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    const pages = await Promise.all([sharing.open(clientId), sharing.open(clientId)]);
    for (let tries = 0; tries < 10; tries++) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      await sharing.submit(pages[tries % 2] ?? pages[0], { code: 'ZZZZ-ZZZZ' });
    }
    expect((await sharing.submit(await sharing.open(clientId))).status).toBe(429);
    sharing.clock.setBack(day);
    expect((await sharing.submit(await sharing.open(clientId))).status).toBe(429);
    sharing.clock.jump(30_000);
    expect((await sharing.submit(await sharing.open(clientId))).status).toBe(303);
  });
});

test('close leaves no timer', async () => {
  const sharing = share();
  await sharing.register();
  await sharing.connect();
  await sharing.authorize(await sharing.register());
  expect(sharing.clock.pending).toBeGreaterThan(3);
  sharing.server.close();
  expect(sharing.clock.pending).toBe(0);
});
