import type { Identity } from '../auth/oauth/identity-sign-in.ts';
import { createAllowedUsers } from '../auth/oidc/allowed-users.ts';
import { openIdentityProvider, type IdentityProvider } from '../auth/oidc/identity-provider.ts';
import { ExposeError } from '../errors.ts';
import { readPrivateFile } from '../platform/private-file.ts';
import type { AccessOptions } from './options.ts';

/** Largest file with the secret of the client, in bytes. */
const maxSecretBytes = 4096;

/** Where the users of a run sign in, and who of them may. */
export interface RunIdentity extends Identity {
  readonly provider: IdentityProvider;
}

/**
 * Opens the OpenID provider of a run.
 * @param issuer `access.oidcIssuer`.
 * @throws ExposeError `usage`, `identity_provider_unusable`, or the signal's reason.
 */
export async function openIdentity(issuer: string, access: AccessOptions, signal: AbortSignal): Promise<RunIdentity> {
  const { oidcClientId: clientId, allowUsers = [], pairing = 'code' } = access;
  if (clientId === undefined || clientId === '') {
    throw new ExposeError('usage', '--oidc-issuer needs --oidc-client-id', {
      hints: ['register mcp-expose at the provider as a web application, which gives it a client id'],
    });
  }
  if (pairing !== 'code') {
    throw new ExposeError('usage', `--pairing ${pairing} cannot be combined with --oidc-issuer`, {
      hints: ['omit one of the two'],
    });
  }
  const allows = createAllowedUsers(allowUsers);
  const clientSecret = await readSecret(access);
  return { provider: await openIdentityProvider({ issuer, clientId, clientSecret, env: process.env, signal }), allows };
}

async function readSecret({
  oidcClientSecret,
  oidcClientSecretFile: file,
}: AccessOptions): Promise<string | undefined> {
  if (file === undefined) return oidcClientSecret;
  if (oidcClientSecret !== undefined) {
    throw new ExposeError(
      'usage',
      'the client secret is given twice: MCP_EXPOSE_OIDC_CLIENT_SECRET, --oidc-client-secret-file',
      {
        hints: ['omit one of the two'],
      },
    );
  }
  const text = await readPrivateFile(file, {
    what: 'client secret file',
    code: 'usage',
    maxBytes: maxSecretBytes,
    missingHint: 'write the client secret, as the provider shows it, into a file that only you can read',
  });
  const secret = text.trim();
  if (secret === '') throw new ExposeError('usage', `the client secret file ${file} is empty`);
  return secret;
}
