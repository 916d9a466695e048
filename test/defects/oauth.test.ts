// Known faults of other OAuth servers and of the clients in front of them that are attacked here, over HTTP:
// - workers-oauth-provider: CVE-2025-4143 (redirect URI of the request not compared), CVE-2025-4144 (PKCE left out at the token
//   endpoint), its issues 80 and 98 (javascript: redirect URIs), 224 (no-store), 240 (content type), 246 (resource), 252 (error
//   without a token)
// - mcp-remote: CVE-2025-6514, a URL of the metadata that a shell executes
// - MCP Inspector: CVE-2025-49596, a control port that every web page reaches
// - claude-ai-mcp 136, 299, 716, 878; plane-mcp-server 165; claude-code 37747: what makes clients fail without a word
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { approve, endpointOf, postForm, register, signInByForm } from '../harness/oauth-form.ts';
import { startShared } from '../harness/oauth-sign-in.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture, projectRoot } from '../harness/program.ts';
import { type RawReply, send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest } from '../harness/raw-mcp.ts';

let exposed: Exposed;
beforeAll(async () => {
  exposed = await startShared();
});

/** Of the verifier in RFC 7636 appendix B. */
const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';

const redirectUri = 'https://app.example/callback';

function authorizeUrl(clientId: string, more: Record<string, string> = {}): string {
  const query = { response_type: 'code', client_id: clientId, redirect_uri: redirectUri, code_challenge: challenge };
  const params = new URLSearchParams({ ...query, code_challenge_method: 'S256', ...more });
  return `${endpointOf(exposed, 'authorize')}?${params.toString()}`;
}

const errorIn = ({ status, body }: RawReply): unknown[] => [status, parseJson<{ error: unknown }>(body).error];

test.each([
  'https://app.example/callback/',
  'https://app.example/callback?next=https://evil.example',
  'https://app.example/callbackevil',
  'https://app.example.evil.example/callback',
  'https://evil.example/?https://app.example/callback',
  'https://app.example:444/callback',
  'https://APP.example/callback',
  'http://app.example/callback',
  'https://app.example/%63allback',
  'https://app.example/x/../callback',
])('CVE-2025-4143: nobody is sent to %s, which is almost what was registered', async (uri) => {
  const clientId = await register(exposed, redirectUri);
  const reply = await send(authorizeUrl(clientId, { redirect_uri: uri }));
  expect([reply.status, reply.headers.location]).toEqual([400, undefined]);
});

test.each([
  ['no verifier', {}],
  ['an empty one', { code_verifier: '' }],
  ['the challenge', { code_verifier: challenge }],
  ['the method plain', { code_verifier: challenge, code_challenge_method: 'plain' }],
])('CVE-2025-4144: PKCE cannot be left out, with %s', async (_what, form) => {
  const clientId = await register(exposed, redirectUri);
  const { searchParams } = await approve(exposed, authorizeUrl(clientId));
  const reply = await postForm(endpointOf(exposed, 'token'), {
    grant_type: 'authorization_code',
    client_id: clientId,
    redirect_uri: redirectUri,
    code: searchParams.get('code') ?? '',
    ...form,
  });
  expect(errorIn(reply)).toEqual([400, 'invalid_grant']);
});

test.each(['javascript:alert(1)', 'JaVaScRiPt://x/%0aalert(1)', 'data:text/html,x', 'vbscript:x', ' javascript:x'])(
  'workers-oauth-provider#80, #98: a client cannot register %j',
  async (uri) => {
    const reply = await send(endpointOf(exposed, 'register'), {
      method: 'POST',
      headers: [['Content-Type', 'application/json']],
      body: JSON.stringify({ redirect_uris: [uri] }),
      from: '127.0.0.7',
    });
    expect(errorIn(reply)).toEqual([400, 'invalid_redirect_uri']);
  },
);

test('workers-oauth-provider#240: a content type that cannot be read is the fault of the client', async () => {
  for (const type of ['', ';', '/', 'application/json', 'text/html; charset', '"', 'multipart/form-data']) {
    // oxlint-disable-next-line no-await-in-loop -- in order
    const reply = await send(endpointOf(exposed, 'token'), {
      method: 'POST',
      headers: [['Content-Type', type]],
      body: 'grant_type=refresh_token',
    });
    expect(errorIn(reply)).toEqual([400, 'invalid_request']);
  }
});

describe('what clients send', () => {
  test.each([
    ['claude.ai', ['https://claude.ai/api/mcp/auth_callback', 'https://claude.com/api/mcp/auth_callback']],
    ['plane-mcp-server#165: ChatGPT', ['https://chatgpt.com/connector_platform_oauth_redirect']],
    ['plane-mcp-server#165: ChatGPT without iss', ['https://chatgpt.com/connector/oauth/cb_0123']],
    ['Claude Code', ['http://localhost:49152/callback']],
    [
      'Cursor',
      [
        'http://localhost:8787/callback',
        'https://www.cursor.com/agents/mcp/oauth/callback',
        'cursor://anysphere.cursor-mcp/oauth/callback',
      ],
    ],
    ['VS Code', ['http://127.0.0.1:33418/', 'https://vscode.dev/redirect']],
    ['Gemini CLI', ['http://localhost:7777/oauth/callback']],
    ['Codex', ['http://127.0.0.1:1455/callback']],
    ['mcp-remote', ['http://localhost:3334/oauth/callback']],
    ['MCP Inspector', ['http://localhost:6274/oauth/callback', 'http://127.0.0.1:6276/oauth/callback']],
  ])('%s can register, with each of its redirect URIs', async (_client, uris) => {
    const reply = await send(endpointOf(exposed, 'register'), {
      method: 'POST',
      headers: [['Content-Type', 'application/json']],
      body: JSON.stringify({
        client_name: 'x',
        redirect_uris: uris,
        application_type: 'native',
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
        response_types: ['code'],
        token_endpoint_auth_method: 'client_secret_post',
      }),
      from: '127.0.0.8',
    });
    expect(reply.status).toBe(201);
    const { client_id: clientId } = parseJson<{ client_id: string }>(reply.body);
    for (const uri of uris) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      expect((await send(authorizeUrl(clientId, { redirect_uri: uri }))).status).toBe(200);
    }
  });

  test.each(['http://127.0.0.1:52163/callback', 'http://localhost:1/callback'])(
    'claude-code#37747: a published client without a port gets in at %s',
    async (uri) => {
      const clientId = 'https://claude.ai/oauth/claude-code-client-metadata';
      expect((await send(authorizeUrl(clientId, { redirect_uri: uri }))).status).toBe(200);
    },
  );
});

test.each(['/mcp', '/mcp/', '/'])(
  'claude-ai-mcp#299, #878: the token for /mcp is accepted at %s, where clients send it',
  async (suffix) => {
    const { access_token: token } = await signInByForm(exposed, { resource: exposed.url });
    const url = exposed.url.replace(/\/mcp$/, suffix);
    const reply = await send(url, { method: 'POST', headers: clientHeaders(token), body: initializeRequest() });
    expect(reply.status).toBe(200);
  },
);

test('claude-ai-mcp#136, #716: whatever path is asked, the challenge is absolute, and what it names exists', async () => {
  for (const suffix of ['/mcp', '/mcp/', '/', '/sse']) {
    // oxlint-disable-next-line no-await-in-loop -- in order
    const reply = await send(exposed.url.replace(/\/mcp$/, suffix), { method: 'POST', body: '{}' });
    const [, named = ''] = /resource_metadata="([^"]*)"/.exec(reply.headers['www-authenticate'] ?? '') ?? [];
    expect([reply.status, named]).toEqual([401, expect.stringMatching(/^http:\/\//)]);
    // oxlint-disable-next-line no-await-in-loop -- in order
    expect((await send(named)).status).toBe(200);
  }
});

/** Source files in which something is found, in other than whole lines of comments. */
function filesWith(pattern: RegExp): string[] {
  const folder = path.join(projectRoot, 'src');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => {
    if (!file.endsWith('.ts')) return false;
    const text = readFileSync(path.join(folder, file), 'utf8');
    return pattern.test(text.replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, ''));
  });
}

describe('CVE-2025-6514: nothing that comes from outside is executed', () => {
  test('no source file has a shell execute text, save the command line that the user gives', () => {
    const shells = filesWith(/\bshell: (?!false)|\bexecSync\(|\bexec\('|\bspawn\('(?:sh|cmd|bash)/);
    expect(shells).toEqual([path.join('bridge', 'upstream', 'stdio', 'stdio.ts')]);
  });

  test('no source file opens a browser', () => {
    expect(filesWith(/xdg-open|'open'\s*,\s*\[|rundll32|from 'open'|start ""/)).toEqual([]);
  });
});

/** The ports on which a process listens: each socket is an inode among its open files. */
function listeningPorts(pid: number): number[] {
  const own = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  const lines = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n'));
  return lines.flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    return state === '0A' && own.has(inode) ? Number.parseInt(local.split(':')[1] ?? '', 16) : [];
  });
}

test('CVE-2025-49596: what controls the process is no port, so that no web page reaches it', async () => {
  const run = await startExpose({ server: fixture('echo') });
  expect(listeningPorts(run.pid)).toEqual([Number(new URL(run.localUrl).port)]);
});
