import { describe, expect, test } from 'vitest';
import { SignIn } from '../../src/expose/oauth.ts';
import { atEnd } from '../harness/lifetime.ts';

function signIn(): SignIn {
  const created = new SignIn({
    pairing: 'code',
    confirm: undefined,
    once: false,
    expiresInMs: undefined,
    canStepUp: true,
    isTaken: () => false,
    endpoints: () => ['/mcp'],
    sharedName: () => 'files',
    onEvent: () => {},
    onEnd: () => {},
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

  test.each(['https://a.example', 'https://b.example'])('%s does not open again what has ended', (url) => {
    const clients = signIn();
    clients.setIssuer('https://a.example');
    clients.close();
    expect(clients.setIssuer(url)).toBe(false);
    expect(clients.serves('/authorize')).toBe(false);
    expect(clients.pairingCode).toBeUndefined();
  });
});
