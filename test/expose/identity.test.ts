import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openIdentity } from '../../src/expose/identity.ts';
import { startFakeIdentityProvider } from '../harness/fake-identity-provider.ts';
import { atEnd } from '../harness/lifetime.ts';
import { temporaryDirectory } from '../harness/program.ts';

const access = { oidcClientId: 'x', allowUsers: ['ada@example.com'] };
const { signal } = new AbortController();

test.each([
  ['no client id', { ...access, oidcClientId: '' }, '--oidc-issuer needs --oidc-client-id'],
  ['no users', { ...access, allowUsers: [] }, '--oidc-issuer needs --allow-user'],
  ['pairing', { ...access, pairing: 'both' as const }, '--pairing both cannot be combined with --oidc-issuer'],
  [
    'a secret and a file',
    { ...access, oidcClientSecret: 'a secret', oidcClientSecretFile: '/nowhere/secret' },
    'the client secret is given twice: MCP_EXPOSE_OIDC_CLIENT_SECRET, --oidc-client-secret-file',
  ],
  ['a missing file', { ...access, oidcClientSecretFile: '/nowhere/secret' }, 'there is no client secret file /nowhere'],
])('%s is an error before the provider is asked', async (_what, options, message) => {
  const fake = await startFakeIdentityProvider();
  await expect(openIdentity(fake.issuer, options, signal)).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining(message),
    hints: [expect.any(String)],
  });
  expect(fake.asked).toEqual([]);
});

test('an empty file of the secret is an error, and not a client without a secret', async () => {
  const fake = await startFakeIdentityProvider();
  const file = path.join(temporaryDirectory(), 'secret');
  writeFileSync(file, '\n', { mode: 0o600 });
  await expect(openIdentity(fake.issuer, { ...access, oidcClientSecretFile: file }, signal)).rejects.toThrow(
    `the client secret file ${file} is empty`,
  );
});

test('users of the list are allowed, and no others', async () => {
  const fake = await startFakeIdentityProvider();
  const { allows, provider } = await openIdentity(fake.issuer, access, signal);
  atEnd('test', () => provider.close());
  expect(['ada@example.com', 'eve@example.com'].map(allows)).toEqual([true, false]);
});
