import { describe, expect, test } from 'vitest';
import { SignIn, type SignInOptions } from '../../src/expose/oauth.ts';
import { createFakeClock } from '../harness/fake-clock.ts';
import { atEnd } from '../harness/lifetime.ts';

function signIn(options: Partial<SignInOptions> = {}): SignIn {
  const created = new SignIn({
    pairing: 'code',
    confirm: undefined,
    identity: undefined,
    once: false,
    expiresInMs: undefined,
    canStepUp: true,
    isTaken: () => false,
    endpoints: () => ['/mcp'],
    sharedName: () => 'files',
    onEvent: () => {},
    onEnd: () => {},
    ...options,
  });
  atEnd('test', () => created.close());
  return created;
}

describe('the public URL', () => {
  test('a new one replaces the authorization server, the same one does not', () => {
    const clients = signIn();
    expect(clients.setIssuer('https://a.example')).toBe(false);
    const code = clients.pairingCode;
    expect(clients.setIssuer('https://a.example')).toBe(false);
    expect(clients.pairingCode).toBe(code);
    expect(clients.setIssuer('https://b.example')).toBe(true);
    expect(clients.pairingCode).not.toBe(code);
  });

  test('one that is not https ends what was issued for the last one', () => {
    const clients = signIn();
    clients.setIssuer('https://a.example');
    expect(() => clients.setIssuer('http://a.example')).toThrow('the URL must be https');
    expect(clients.serves('/token')).toBe(false);
    expect(clients.setIssuer('https://a.example')).toBe(false);
    expect(clients.serves('/token')).toBe(true);
  });

  test.each(['https://a.example', 'https://b.example'])('%s does not open again what has ended', (url) => {
    const clients = signIn();
    clients.setIssuer('https://a.example');
    clients.close();
    expect(clients.setIssuer(url)).toBe(false);
    expect(clients.serves('/authorize')).toBe(false);
    expect(clients.pairingCode).toBeUndefined();
  });
});

describe('with an identity provider', () => {
  const provider = {
    host: 'accounts.example',
    signInUrl: async () => new URL('https://accounts.example'),
    signedIn: async () => ({ kind: 'unverified' }) as const,
  };
  const identity = { provider, allows: () => true };

  test('the redirect URI belongs to the public URL, and there is no pairing code', () => {
    const clients = signIn({ identity });
    expect(clients.identityProvider).toBeUndefined();
    clients.setIssuer('https://a.example');
    const redirectUri = 'https://a.example/oauth-callback';
    expect(clients.identityProvider).toEqual({ host: 'accounts.example', redirectUri });
    expect(clients.pairingCode).toBeUndefined();
    clients.setIssuer('https://b.example');
    expect(clients.identityProvider?.redirectUri).toBe('https://b.example/oauth-callback');
    expect(signIn().identityProvider).toBeUndefined();
  });

  test('a public URL with a path is refused, and nothing is served', () => {
    const clients = signIn({ identity });
    clients.setIssuer('https://a.example');
    expect(() => clients.setIssuer('https://relay.example/files')).toThrow('users cannot sign in');
    expect(clients.serves('/authorize')).toBe(false);
    expect(clients.identityProvider).toBeUndefined();
  });

  test('the browser of the user may come from any address', () => {
    const clients = signIn({ identity });
    expect(['/authorize', '/oauth-callback', '/token'].map((path) => clients.isForOwner(path))).toEqual([
      true,
      true,
      false,
    ]);
  });
});

test('what is shared for a time ends then, or when a machine wakes up after it', () => {
  const clock = createFakeClock();
  const clients = signIn({ expiresInMs: 3_600_000, clock });
  clients.setIssuer('https://a.example');
  clock.advance(3_599_999);
  expect(clients.serves('/authorize')).toBe(true);
  clock.advance(1);
  expect(clients.serves('/authorize')).toBe(false);

  const asleep = signIn({ expiresInMs: 7_200_000, clock });
  asleep.setIssuer('https://a.example');
  clock.jump(7_200_000);
  expect(asleep.serves('/authorize')).toBe(false);
});

test('a clock that is set back does not lengthen the time for which something is shared', () => {
  const clock = createFakeClock();
  const clients = signIn({ expiresInMs: 3_600_000, clock });
  clients.setIssuer('https://a.example');
  clock.setBack(86_400_000);
  clock.advance(3_599_999);
  expect(clients.serves('/authorize')).toBe(true);
  clock.advance(60_001);
  expect(clients.serves('/authorize')).toBe(false);
});
