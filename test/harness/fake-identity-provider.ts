// An OpenID provider that does what no real one does: it follows the specification but for what a test changes.
import { createHash, createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { listenOnLoopback } from './loopback-server.ts';

export type Endpoint = 'metadata' | 'keys' | 'token' | 'userinfo';

export interface FakeOptions {
  readonly metadata?: object;
  /** Claims of the ID token that differ; undefined leaves one out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly userInfo?: Readonly<Record<string, unknown>>;
  /** How the ID token is signed: by its own key, by another one of the same name, with the secret of the client, or not at all. */
  readonly signedBy?: 'own key' | 'other key' | 'secret' | 'nobody';
  readonly withoutIdToken?: boolean;
  /** Answers in its place. */
  readonly instead?: Partial<Record<Endpoint, (response: ServerResponse) => void>>;
}

export interface FakeIdentityProvider {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** What it was asked, with the body and the credentials. */
  readonly asked: {
    readonly endpoint: Endpoint | 'other';
    readonly form: URLSearchParams;
    readonly authorization: string;
  }[];
  /** Where the browser comes back to after the sign-in. */
  signIn(page: URL): URL;
}

const clientId = 'mcp-expose';
const clientSecret = 'the secret of the client';

export async function startFakeIdentityProvider(options: FakeOptions = {}): Promise<FakeIdentityProvider> {
  const { claims = {}, signedBy = 'own key', instead = {} } = options;
  const [own, other] = [newKey(), newKey()];
  const asked: FakeIdentityProvider['asked'] = [];
  let nonce = '';
  const server = createServer((request, response) => void answer(request, response));
  const issuer = `http://127.0.0.1:${await listenOnLoopback(server)}`;

  const idToken = (): string => {
    const now = Math.floor(Date.now() / 1000);
    const about = { iss: issuer, aud: clientId, sub: '1', iat: now, exp: now + 60, nonce, email: 'ada@example.com' };
    const head = { alg: { secret: 'HS256', nobody: 'none' }[signedBy as string] ?? 'ES256', kid: 'key' };
    const signed = [head, { ...about, email_verified: true, ...claims }].map(encoded).join('.');
    return `${signed}.${signatures[signedBy](signed)}`;
  };
  const signatures = {
    'own key': (content: string) => signature(content, own.privateKey),
    'other key': (content: string) => signature(content, other.privateKey),
    secret: (content: string) => createHmac('sha256', clientSecret).update(content).digest('base64url'),
    nobody: () => '',
  };

  const answers: Record<Endpoint, () => object> = {
    metadata: () => ({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      userinfo_endpoint: `${issuer}/userinfo`,
      jwks_uri: `${issuer}/keys`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256', 'HS256', 'none'],
      ...options.metadata,
    }),
    keys: () => ({ keys: [{ ...createPublicKey(own.publicKey).export({ format: 'jwk' }), kid: 'key', use: 'sig' }] }),
    token: () => ({
      access_token: 'an access token',
      token_type: 'Bearer',
      ...(options.withoutIdToken === true ? {} : { id_token: idToken() }),
    }),
    userinfo: () => ({ sub: '1', ...options.userInfo }),
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const endpoint = paths.get(request.url ?? '') ?? 'other';
    const { authorization = '' } = request.headers;
    asked.push({ endpoint, form: new URLSearchParams(await text(request)), authorization });
    const custom = endpoint === 'other' ? undefined : instead[endpoint];
    if (endpoint === 'other') response.writeHead(404).end();
    else if (custom !== undefined) custom(response);
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answers[endpoint]()));
  }

  return {
    issuer,
    clientId,
    clientSecret,
    asked,
    signIn({ searchParams }) {
      nonce = searchParams.get('nonce') ?? '';
      const back = new URL(searchParams.get('redirect_uri') ?? '');
      back.searchParams.set('code', 'a code');
      back.searchParams.set('state', searchParams.get('state') ?? '');
      return back;
    },
  };
}

/** S256 (RFC 7636 §4.2). */
export function challengeOf(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url');
}

const paths: ReadonlyMap<string, Endpoint> = new Map([
  ['/.well-known/openid-configuration', 'metadata'],
  ['/keys', 'keys'],
  ['/token', 'token'],
  ['/userinfo', 'userinfo'],
]);

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

/** ES256 (RFC 7518 §3.4). */
function signature(content: string, key: string): string {
  return sign('sha256', Buffer.from(content), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
}

function newKey(): { publicKey: string; privateKey: string } {
  return generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}
