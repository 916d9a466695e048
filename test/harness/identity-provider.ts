// An OpenID provider (oidc-provider, certified) with accounts and one client, and a person who signs in there.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { Provider } from 'oidc-provider';
import { vi } from 'vitest';
import { listenOnLoopback } from './loopback-server.ts';

/** What the provider says of an account. */
export interface Account {
  readonly email?: string;
  readonly email_verified?: unknown;
}

export interface IdentityProviderOptions {
  readonly redirectUris: string[];
  /** By the name that is typed to sign in. */
  readonly accounts: Readonly<Record<string, Account>>;
  /** Where the e-mail address is: only there, as the specification has it for the code flow, or in the ID token. */
  readonly emailIn?: 'id_token' | 'userinfo';
  readonly authMethod?: 'client_secret_basic' | 'client_secret_post' | 'none';
}

export interface TestIdentityProvider {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

export async function startIdentityProvider(options: IdentityProviderOptions): Promise<TestIdentityProvider> {
  const { redirectUris, accounts, emailIn = 'id_token', authMethod = 'client_secret_basic' } = options;
  const [clientId, clientSecret] = ['mcp-expose at the provider', 'a secret: of/the+client'];
  const server = createServer((request, response) => void answer(request, response));
  const port = await listenOnLoopback(server);
  const issuer = `http://127.0.0.1:${port}`;
  const known = new Map(Object.entries(accounts));
  // That its store is in memory is what a test wants.
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        ...(authMethod === 'none' ? {} : { client_secret: clientSecret }),
        token_endpoint_auth_method: authMethod,
        redirect_uris: redirectUris,
      },
    ],
    clientAuthMethods: [authMethod],
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: emailIn === 'userinfo',
    features: { devInteractions: { enabled: false } },
    pkce: { required: () => true, methods: ['S256'] },
    interactions: { url: (_context: unknown, { uid }: { uid: string }) => `/sign-in/${uid}` },
    findAccount: (_context: unknown, accountId: string) => ({
      accountId,
      claims: () => ({ sub: accountId, ...known.get(accountId) }),
    }),
    // This person has agreed before.
    async loadExistingGrant({ oidc }: { oidc: { client: { clientId: string }; session: { accountId: string } } }) {
      const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope('openid email');
      await grant.save();
      return grant;
    },
    jwks: { keys: [(key ??= newKey())] },
    cookies: { keys: ['a key for tests'] },
    ttl: { Interaction: 600, Session: 600, Grant: 600, AccessToken: 600, IdToken: 600 },
  });
  const serve = provider.callback();
  warn.mockRestore();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!(request.url ?? '').startsWith('/sign-in/')) {
      serve(request, response);
      return;
    }
    if (request.method === 'GET') {
      response
        .writeHead(200, { 'content-type': 'text/html' })
        .end('<main><form method="post"><input name="name" autofocus><button>Sign in</button></form></main>');
      return;
    }
    const name = new URLSearchParams(await text(request)).get('name') ?? '';
    const result = known.has(name) ? { login: { accountId: name } } : { error: 'access_denied' };
    await provider.interactionFinished(request, response, result);
  }

  return { issuer, clientId, clientSecret };
}

/** Takes a second to generate. */
let key: object | undefined;

function newKey(): object {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { ...createPrivateKey(privateKey).export({ format: 'jwk' }), alg: 'RS256', use: 'sig' };
}
