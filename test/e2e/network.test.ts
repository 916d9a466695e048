// Only the addresses that I allow reach my server, nobody can forge one, and guessing of tokens locks out nobody.
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { launchExpose, startBehindRelay, startExpose, startRelay, type Exposed } from '../harness/expose.ts';
import { fixture, projectRoot, startProgram, temporaryDirectory } from '../harness/program.ts';
import { send, type RawReply } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest } from '../harness/raw-mcp.ts';
import { exposeBy, ways } from '../harness/ways.ts';

const server = fixture('echo');
const forged: [string, string][] = [
  ['X-Forwarded-For', '127.0.0.2'],
  ['CF-Connecting-IP', '127.0.0.2'],
  ['X-Real-IP', '127.0.0.2'],
  ['Forwarded', 'for=127.0.0.2'],
];

function initialize(
  { url, token }: Pick<Exposed, 'url' | 'token'>,
  { from, more = [], as = token }: { from?: string; more?: [string, string][]; as?: string } = {},
): Promise<RawReply> {
  return send(url, {
    method: 'POST',
    headers: clientHeaders(as, more),
    body: initializeRequest(),
    ...(from === undefined ? {} : { from }),
  });
}

const withoutToken = ({ url }: Exposed, from: string): Promise<RawReply> =>
  send(url, { method: 'POST', headers: [['Content-Type', 'application/json']], body: initializeRequest(), from });

describe.each(ways)('%s, with --allow-ip', (way) => {
  test('a foreign address gets 403, no token 401, and the right token 200', async () => {
    const exposed = await exposeBy(way, { server, args: ['--allow-ip', '127.0.0.2'] });
    const foreign = await initialize(exposed, { from: '127.0.0.3' });
    expect([foreign.status, foreign.json().error]).toEqual([
      403,
      {
        code: -32000,
        message: '127.0.0.3 is not allowed',
        data: { reason: 'address_not_allowed', address: '127.0.0.3' },
      },
    ]);
    expect((await withoutToken(exposed, '127.0.0.3')).status).toBe(403);
    expect((await withoutToken(exposed, '127.0.0.2')).status).toBe(401);
    expect((await initialize(exposed, { from: '127.0.0.2' })).status).toBe(200);
  });

  test('a client cannot forge its address, and this machine is no exception', async () => {
    const exposed = await exposeBy(way, { server, args: ['--allow-ip', '127.0.0.2'] });
    for (const more of [[], forged, ...forged.map((header) => [header])]) {
      // oxlint-disable-next-line no-await-in-loop -- one client after the other
      const reply = await initialize(exposed, { from: '127.0.0.1', more });
      expect([reply.status, reply.json().error?.data]).toEqual([
        403,
        { reason: 'address_not_allowed', address: '127.0.0.1' },
      ]);
    }
    expect((await initialize(exposed, { from: '127.0.0.2', more: [['X-Forwarded-For', '127.0.0.9']] })).status).toBe(
      200,
    );
  });
});

test.each(ways)('a token for some addresses, %s: from elsewhere it gets 403, and other tokens work', async (way) => {
  const exposed = await exposeBy(way, { server });
  const add = (...args: string[]) =>
    startProgram(['token', 'add', ...args], { mark: randomUUID(), home: exposed.home });
  const [anna, wrong] = [add('anna', '--allow-ip', '127.0.0.2'), add('ben', '--allow-ip', 'somewhere')];
  expect(await Promise.all([anna.exited, wrong.exited])).toEqual([0, 2]);
  expect(wrong.stderr()).toContain('it is neither an address nor a range of addresses');
  const as = anna.stdout().trim();
  const session = await initialize(exposed, { as, from: '127.0.0.2' });
  expect(session.status).toBe(200);
  const id: [string, string] = ['Mcp-Session-Id', String(session.headers['mcp-session-id'])];
  for (const more of [[], forged, [id]]) {
    // oxlint-disable-next-line no-await-in-loop -- one client after the other
    const foreign = await initialize(exposed, { as, from: '127.0.0.3', more });
    expect([foreign.status, foreign.json().error?.data]).toEqual([
      403,
      { reason: 'address_not_allowed', address: '127.0.0.3' },
    ]);
  }
  expect((await initialize(exposed, { from: '127.0.0.3' })).status).toBe(200);
});

test('behind a reverse proxy, no token is for some addresses', async () => {
  const exposed = await startExpose({ server, args: ['--domain', 'mcp.example'] });
  const run = startProgram(['token', 'add', 'anna', '--allow-ip', '127.0.0.2'], {
    mark: randomUUID(),
    home: exposed.home,
  });
  expect(await run.exited).toBe(2);
  expect(run.stderr()).toMatch(
    /error: a token cannot be for some addresses, .*\n.*hint: use a tunnel that states them/,
  );
});

test.each([[], ['--no-auth', '--allow-unauthenticated-public']])(
  'the public URL is checked from this machine, whose address is not allowed (%s)',
  async (...args) => {
    const relay = await startRelay();
    const exposed = await startBehindRelay(relay, { server, args: ['--allow-ip', '127.0.0.2', ...args] });
    expect(exposed.ready.tunnel).toMatchObject({ provider: 'relay', verified: true });
    const warnings = exposed.events().filter(({ event }) => event === 'warning');
    expect(
      warnings.filter(({ message }) => !/can read the traffic|no token is required/.test(String(message))),
    ).toEqual([]);
    expect((await initialize(exposed, { from: '127.0.0.1' })).status).toBe(403);
    expect((await initialize(exposed, { from: '127.0.0.2' })).status).toBe(200);
  },
);

test('with --oauth, it holds for what clients call, and not for the page that I open', async () => {
  const exposed = await startExpose({ server, args: ['--oauth', '--allow-ip', '127.0.0.2'] });
  const { origin } = new URL(exposed.url);
  const ask = async (at: string, from: string, method = 'GET'): Promise<number> =>
    (await send(origin + at, { method, from })).status;
  const endpoints: [string, string][] = [
    ['/.well-known/oauth-authorization-server', 'GET'],
    ['/.well-known/oauth-protected-resource/mcp', 'GET'],
    ['/register', 'POST'],
    ['/token', 'POST'],
    ['/revoke', 'POST'],
  ];
  const [strangers, allowed] = await Promise.all(
    ['127.0.0.1', '127.0.0.2'].map((from) => Promise.all(endpoints.map(([at, method]) => ask(at, from, method)))),
  );
  expect(strangers).toEqual(endpoints.map(() => 403));
  expect(allowed).not.toContain(403);
  // It misses its parameters, and nothing else.
  expect([await ask('/authorize', '127.0.0.1'), await ask('/authorize', '127.0.0.1', 'POST')]).not.toContain(403);
  expect(await ask('/authorize', '127.0.0.1')).toBe(await ask('/authorize', '127.0.0.2'));
});

describe('the command for the addresses of OpenAI in docs/access.md', () => {
  const page = readFileSync(path.join(projectRoot, 'docs', 'access.md'), 'utf8');
  const [, command = ''] = /^```sh\n(ips=[\s\S]*?)```$/m.exec(page) ?? [];

  /** Runs it with a curl that prints this, and prints what mcp-expose gets. */
  function run(printed: string, exitCode = 0) {
    const folder = temporaryDirectory();
    const program = (name: string, script: string) =>
      writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    writeFileSync(path.join(folder, 'answer'), printed);
    program('curl', `cat '${folder}/answer'; exit ${exitCode}`);
    program('mcp-expose', `printf '%s' "started: $MCP_EXPOSE_ALLOW_IP"`);
    const PATH = `${folder}:${path.dirname(process.execPath)}:/usr/bin:/bin`;
    return spawnSync('sh', ['-c', command], { env: { PATH }, encoding: 'utf8' });
  }

  test('sets the prefixes, which hold', async () => {
    const prefixes = [
      { ipv4Prefix: '127.0.0.2/32' },
      ...Array.from({ length: 300 }, (_, at) => ({ ipv4Prefix: `198.51.${at >> 4}.${(at & 15) * 16}/28` })),
      { ipv6Prefix: '2001:db8:10::/48' },
    ];
    const { stdout } = run(JSON.stringify({ creationTime: '2026-09-22T18:18:05.915327', prefixes }));
    expect(stdout.split('\n')).toHaveLength(302);
    const ranges = stdout.replace('started: ', '');
    const exposed = await startExpose({ server, env: { MCP_EXPOSE_ALLOW_IP: ranges } });
    expect((await initialize(exposed, { from: '127.0.0.2' })).status).toBe(200);
    expect((await initialize(exposed, { from: '127.0.0.3' })).status).toBe(403);
  });

  test.each([
    ['no answer', '', 22],
    ['a page instead of the list', '<html></html>', 0],
    ['another form', '{"ranges":[]}', 0],
    ['an empty list', '{"prefixes":[]}', 0],
  ])('starts nothing after %s, rather than something open to all', (_what, printed, exitCode) => {
    const { status, stdout } = run(printed, exitCode);
    expect([status === 0, stdout]).toEqual([false, '']);
  });
});

describe('a start is refused', () => {
  test.each([
    [['--allow-ip', 'openai'], 'https://openai.com/chatgpt-connectors.json'],
    [['--allow-ip', '192.0.2.0/99'], 'it is neither an address nor a range of addresses'],
    [
      ['--allow-ip', '127.0.0.1', '--tunnel', 'serveo'],
      '--allow-ip cannot be used with --tunnel serveo: it does not state the address of the client',
    ],
    [['--allow-ip', '127.0.0.1', '--tunnel', 'serveo'], 'cloudflared'],
    [
      ['--allow-ip', '127.0.0.1', '--tunnel', 'none', '--public-url', 'https://mcp.example'],
      'the reverse proxy of --public-url',
    ],
    [['--allow-ip', '127.0.0.1', '--tunnel', 'none', '--domain', 'mcp.example'], 'the reverse proxy of --domain'],
  ])('%j', async (args, words) => {
    const run = launchExpose({ server, args });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toContain(words);
    expect(run.events()[0]).toMatchObject({ event: 'error', code: 'usage' });
  });
});

test('--tunnel auto skips tunnels that do not state the address of the client', async () => {
  const run = await startExpose({
    server,
    args: ['--tunnel', 'auto', '--tunnel-order', 'serveo,localhost.run', '--allow-ip', '127.0.0.1', '--verbose'],
  });
  for (const name of ['serveo', 'localhost.run'])
    expect(run.stderr()).toContain(`${name}: it does not state the address of the client`);
  expect(run.publicUrl).toBeNull();
});

describe.each(ways)('%s, wrong tokens', (way) => {
  test('are answered with 429 after ten in a minute, an alert says so, and the right token passes', async () => {
    const exposed = await exposeBy(way, { server });
    const statuses: number[] = [];
    // oxlint-disable-next-line no-await-in-loop -- one guess after the other
    for (let guess = 0; guess < 12; guess++) statuses.push((await initialize(exposed, { as: `wrong${guess}` })).status);
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
    const limited = await initialize(exposed, { as: 'wrong' });
    expect([limited.headers['retry-after'], limited.json().error?.data]).toEqual([
      '6',
      { reason: 'too_many_wrong_tokens' },
    ]);
    expect((await initialize(exposed)).status).toBe(200);
    // Another network is not affected.
    expect((await initialize(exposed, { from: '127.0.0.2', as: 'wrong' })).status).toBe(401);
    await exposed.waitForStderr(/wrong tokens from 127\.0\.0\.1: 11 in a minute/);
    expect(exposed.stderr().match(/wrong tokens/g)).toHaveLength(1);
    expect(exposed.events()).toContainEqual({
      event: 'alert',
      kind: 'guessing',
      network: '127.0.0.1',
      count: 11,
    });
  });
});

test('--rate-limit limits one caller, and neither another one nor the check of the public URL', async () => {
  const relay = await startRelay();
  const exposed = await startBehindRelay(relay, {
    server,
    args: ['--rate-limit', '1', '--no-auth', '--allow-unauthenticated-public'],
  });
  expect(exposed.ready.tunnel).toMatchObject({ verified: true });
  const replies = await Promise.all(Array.from({ length: 8 }, () => initialize(exposed)));
  const limited = replies.filter(({ status }) => status === 429);
  expect(limited.length).toBeGreaterThan(0);
  expect([limited[0]?.headers['retry-after'], limited[0]?.json().error]).toEqual([
    '1',
    { code: -32000, message: 'too many requests', data: { reason: 'too_many_requests' } },
  ]);
  expect((await initialize(exposed, { from: '127.0.0.2' })).status).toBe(200);
});
