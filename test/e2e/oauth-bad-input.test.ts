// What strangers send to a server with OAuth harms neither its owner, who reads the terminal, nor those who have a token.
import { beforeAll, describe, expect, test } from 'vitest';
import { approve, endpointOf, postForm, register } from '../harness/oauth-form.ts';
import { codeOf, startShared } from '../harness/oauth-sign-in.ts';
import { eventually } from '../harness/eventually.ts';
import type { Exposed } from '../harness/expose.ts';
import { parseJson } from '../harness/parse-json.ts';
import { send, type RawReply } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest } from '../harness/raw-mcp.ts';

const redirectUri = 'http://127.0.0.1:3000/callback';

const start = (): Promise<Exposed> => startShared({ lifetime: 'test' });

const withToken = (exposed: Exposed) =>
  send(exposed.url, { method: 'POST', headers: clientHeaders(exposed.token), body: initializeRequest() });

const registration = (exposed: Exposed, body: string) =>
  send(endpointOf(exposed, 'register'), { method: 'POST', headers: [['Content-Type', 'application/json']], body });

function pageUrl(exposed: Exposed, clientId: string): string {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  });
  return `${endpointOf(exposed, 'authorize')}?${query.toString()}`;
}

/** The form of a consent page, with the cookie of the browser that has opened it. */
async function openPage(url: string): Promise<{ request: string; cookie: string; body: string }> {
  const { headers, body } = await send(url);
  const [cookie = ''] = headers['set-cookie']?.[0]?.split(';') ?? [];
  return { request: /name="request" value="([^"]*)"/.exec(body)?.[1] ?? '', cookie, body };
}

/** Control characters except the end of a line, and those that turn text around. */
const unsafe = /[^\P{Cc}\n]|\p{Bidi_Control}/u;

test.each([
  ['control characters', 'Claude\u001b[2J\u001b]0;title\u0007\r\nmcp-expose: fake line\u0000\u009b31m'],
  ['right-to-left marks', '\u202Eeduaolc\u2066.evil\u2069\u200F'],
  ['markup', `"><script>alert(1)</script><img src=x onerror='x'>`],
  ['40,000 characters', 'x'.repeat(40_000)],
  ['lone surrogates', '\ud800Claude\udfff'],
])('a name with %s is harmless on the page, on the terminal, in events and in the list', async (_what, name) => {
  const exposed = await start();
  const answer = await registration(exposed, JSON.stringify({ client_name: name, redirect_uris: [redirectUri] }));
  expect(answer.status).toBe(201);
  const url = pageUrl(exposed, parseJson<{ client_id: string }>(answer.body).client_id);
  const { body } = await openPage(url);
  expect(body).toContain('name="code"');
  expect(body).not.toMatch(unsafe);
  expect(body).not.toMatch(/<script|<img/);
  await approve(exposed, url);
  await exposed.waitForStderr(/now has full access/);
  expect(exposed.stderr()).not.toMatch(unsafe);
  expect(
    Math.max(
      ...exposed
        .stderr()
        .split('\n')
        .map((line) => line.length),
    ),
  ).toBeLessThan(400);
  expect(exposed.stderr()).not.toMatch(/^mcp-expose: fake line/m);
  for (const { request } of exposed.events() as { request?: { clientName?: string } }[]) {
    expect(request?.clientName ?? '').not.toMatch(unsafe);
    expect((request?.clientName ?? '').length).toBeLessThanOrEqual(100);
  }
});

test('a name that looks like the words of mcp-expose stays in its quotes', async () => {
  const exposed = await start();
  const name = 'Claude" (claude.ai, returns to claude.ai) now has full access; \u201Cx\u201D "';
  const answer = await registration(exposed, JSON.stringify({ client_name: name, redirect_uris: [redirectUri] }));
  await openPage(pageUrl(exposed, parseJson<{ client_id: string }>(answer.body).client_id));
  await exposed.waitForStderr(/asks for/);
  const [line = ''] = /^.*asks for.*$/m.exec(exposed.stderr()) ?? [];
  expect(line).toMatch(
    /^mcp-expose: "[^"]*" \(name not verified, returns to 127\.0\.0\.1:3000, from 127\.0\.0\.1\) asks for /,
  );
});

describe('a consent form', () => {
  test.each<[string, (cookie: string) => [string, string][]]>([
    ['without the cookie', () => []],
    ['with the cookie of another browser', (cookie) => [['Cookie', cookie.replace(/=.*/, `=${'x'.repeat(43)}`)]]],
    [
      'from another origin',
      (cookie) => [
        ['Cookie', cookie],
        ['Origin', 'https://evil.example'],
      ],
    ],
    [
      'from a sandboxed frame',
      (cookie) => [
        ['Cookie', cookie],
        ['Origin', 'null'],
      ],
    ],
  ])('%s is refused, and uses up no code', async (_what, headersFor) => {
    const exposed = await start();
    const { request, cookie } = await openPage(pageUrl(exposed, await register(exposed, redirectUri)));
    const code = codeOf(exposed);
    const submit = (headers: [string, string][]): Promise<RawReply> =>
      postForm(endpointOf(exposed, 'authorize'), { request, code, decision: 'approve' }, headers);
    const refused = await submit(headersFor(cookie));
    expect([refused.status, refused.headers.location]).toEqual([400, undefined]);
    const accepted = await submit([['Cookie', cookie]]);
    expect([accepted.status, accepted.headers.location]).toEqual([303, expect.stringContaining('code=')]);
    // Nor can it be sent twice.
    await eventually(() => expect(codeOf(exposed)).not.toBe(code));
    const again = await postForm(
      endpointOf(exposed, 'authorize'),
      {
        request,
        code: codeOf(exposed),
        decision: 'approve',
      },
      [['Cookie', cookie]],
    );
    expect([again.status, again.headers.location]).toEqual([400, undefined]);
  });
});

test('200 registrations from one network: 20 are accepted, the others told to wait, and the token works', async () => {
  const exposed = await start();
  const body = JSON.stringify({ client_name: 'x', redirect_uris: [redirectUri] });
  const replies = await Promise.all(Array.from({ length: 200 }, () => registration(exposed, body)));
  expect(replies.filter(({ status }) => status === 201)).toHaveLength(20);
  const limited = replies.filter(({ status }) => status === 429);
  expect(limited).toHaveLength(180);
  expect(Number(limited[0]?.headers['retry-after'])).toBeGreaterThan(0);
  expect((await withToken(exposed)).status).toBe(200);
});

describe('what is refused', () => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await startShared();
  });

  test.each([
    'https://localhost/client.json',
    'https://127.0.0.1/client.json',
    'https://[::1]/client.json',
    'https://[::ffff:a00:1]/client.json',
    'https://169.254.169.254/latest/meta-data',
    'https://192.168.1.1/client.json',
  ])('the document at %s is not fetched; only the terminal is told why', async (clientId) => {
    const reply = await send(pageUrl(exposed, clientId));
    expect(reply.status).toBe(400);
    expect(reply.body).not.toContain('public Internet');
    await eventually(() =>
      expect(exposed.stderr()).toContain(`the client ${clientId} was refused: its host is not on the public Internet`),
    );
  });

  test.each(['', '{', '[]', 'null', '"x"', '{"redirect_uris":{}}', '{"redirect_uris":[{}]}', '['.repeat(60_000)])(
    'a registration that cannot be read (%#) is 400 in JSON',
    async (body) => {
      const reply = await registration(exposed, body);
      expect([reply.status, parseJson<object>(reply.body)]).toEqual([
        400,
        expect.objectContaining({ error: 'invalid_client_metadata' }),
      ]);
    },
  );

  test('a body that is too large', async () => {
    expect((await registration(exposed, 'x'.repeat(70_000))).status).toBe(413);
    expect((await withToken(exposed)).status).toBe(200);
  });
});
