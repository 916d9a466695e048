// Several tokens, each with its own life, and `mcp-expose token` while it runs.
import { randomUUID } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { startBehindRelay, startExpose, startRelay, type Exposed } from '../harness/expose.ts';
import { within } from '../harness/eventually.ts';
import { textOf, type JsonRpcMessage } from '../harness/json-rpc-message.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture, startProgram } from '../harness/program.ts';
import { clientHeaders, exchange, initializeRequest, openSession, type RawSession } from '../harness/raw-mcp.ts';
import { connectWith } from '../harness/sdk-clients.ts';

const server = fixture('echo');

async function token(exposed: Pick<Exposed, 'home'>, ...args: string[]) {
  return await tokenWith({}, exposed, ...args);
}

async function tokenWith(env: Record<string, string>, exposed: Pick<Exposed, 'home'>, ...args: string[]) {
  const run = startProgram(['token', ...args], { mark: randomUUID(), home: exposed.home, env });
  const code = await run.exited;
  return { code, stdout: run.stdout().trim(), stderr: run.stderr() };
}

const echo = (session: RawSession, id = 7) =>
  session.call(id, 'tools/call', { name: 'echo', arguments: { text: 'hello' } });

const namesOf = ({ result }: JsonRpcMessage): unknown[] => [result?.['tools']].flat().map((tool) => Object(tool).name);

async function refusal(url: string, headers: [string, string][], client = 'raw-mcp') {
  const body = initializeRequest().replace('"raw-mcp"', JSON.stringify(client));
  const reply = await exchange(url, { method: 'POST', headers, body });
  const [message] = await reply.ended;
  return { status: reply.status, challenge: reply.headers['www-authenticate'], error: message?.error };
}

describe('mcp-expose token', () => {
  test('adds, lists, rotates and revokes; what ends takes its sessions and streams along within a second', async () => {
    const exposed = await startExpose({ server });
    const anna = await token(exposed, 'add', 'anna', '--expires', '1h', '--max-calls', '9');
    expect(anna).toMatchObject({ code: 0, stderr: '' });
    expect(anna.stdout).toMatch(/^mcpx_[\w-]{43}$/);
    const [first, own] = await Promise.all([
      openSession(exposed.url, anna.stdout),
      openSession(exposed.url, exposed.token),
    ]);
    const stream = await first.listen();
    expect(textOf(await echo(first))).toBe('hello');
    expect((await token(exposed, 'list')).stdout).toMatch(
      /^default +valid\nanna +valid +until (?:\d{4}-\d\d-\d\d )?\d\d:\d\d, for 9 tool calls, 1 made$/,
    );

    const rotated = await token(exposed, 'rotate', 'anna');
    await within(1000, 'the end of the stream', stream.ended);
    expect(await refusal(exposed.url, clientHeaders(anna.stdout))).toMatchObject({
      status: 401,
      challenge: 'Bearer error="invalid_token"',
      error: { message: 'the bearer token was revoked', data: { reason: 'token_revoked' } },
    });
    expect(textOf(await echo(await openSession(exposed.url, rotated.stdout)))).toBe('hello');

    expect((await token(exposed, 'revoke', 'anna')).code).toBe(0);
    expect((await refusal(exposed.url, clientHeaders(rotated.stdout))).status).toBe(401);
    expect(parseJson<object[]>((await token(exposed, 'list', '--json')).stdout)).toMatchObject([
      { name: 'default', state: 'valid' },
      { name: 'anna', state: 'revoked' },
    ]);
    // Nobody else has noticed.
    expect(textOf(await echo(own))).toBe('hello');
    expect(exposed.events().filter(({ event }) => event === 'token')).toEqual([
      { event: 'token', name: 'anna', change: 'added' },
      { event: 'token', name: 'anna', change: 'rotated' },
      { event: 'token', name: 'anna', change: 'added' },
      { event: 'token', name: 'anna', change: 'revoked' },
    ]);
    expect(exposed.stdout() + exposed.stderr()).not.toContain(anna.stdout.slice(5));
  });

  test('adds a token that allows only what the server marks as read-only', async () => {
    const exposed = await startExpose({ server: fixture('flips-hint') });
    const reading = await openSession(exposed.url, (await token(exposed, 'add', 'anna', '--read-only')).stdout);
    const full = await openSession(exposed.url, exposed.token);
    const [all, some] = await Promise.all([full.call(5, 'tools/list'), reading.call(5, 'tools/list')]);
    expect(namesOf(all)).toContain('change');
    expect(namesOf(some)).not.toContain('change');
    expect(namesOf(some).length).toBeLessThan(namesOf(all).length);
    expect((await token(exposed, 'list')).stdout).toMatch(/^anna +valid +read-only access$/m);
  });

  test('tells clients whose call is under way that the credential has ended', async () => {
    const exposed = await startExpose({ server: fixture('slow') });
    const { stdout } = await token(exposed, 'add', 'anna');
    const session = await openSession(exposed.url, stdout);
    const params = { name: 'wait', _meta: { progressToken: 1 } };
    const reply = await session.post({ jsonrpc: '2.0', id: 3, method: 'tools/call', params });
    await reply.next(({ method }) => method === 'notifications/progress');
    await token(exposed, 'revoke', 'anna');
    expect(await reply.next(({ id }) => id === 3)).toMatchObject({ error: { data: { reason: 'credential_ended' } } });
  });

  test('is told what is wrong', async () => {
    const exposed = await startExpose({ server });
    expect(await token(exposed, 'revoke', 'nobody')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/error: no valid token has the name nobody\n.*hint: the tokens are: default/),
    });
    expect(await token(exposed, 'add', 'default')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('there is a token with the name default already'),
    });
    expect(await token(exposed, 'add')).toMatchObject({ code: 2, stderr: expect.stringContaining('needs the name') });
    expect(await token(exposed, 'rotate', 'default', '--once')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('token rotate takes no --once'),
    });
    const names = ['', 'a\u202Eb', 'x'.repeat(100_000)];
    const shown = ['""', String.raw`"a\u202eb"`, `"${'x'.repeat(80)}"`];
    for (const [at, name] of names.entries()) {
      // oxlint-disable-next-line no-await-in-loop -- each is a process
      expect(await token(exposed, 'add', name)).toMatchObject({
        code: 2,
        stderr: `mcp-expose: error: a token cannot have the name ${shown[at]}\nmcp-expose: hint: use 1 to 64 letters, digits, blanks and . _ @ -\n`,
      });
    }
    expect(await token(exposed, 'revoke', 'x'.repeat(100_000))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`no valid token has the name "${'x'.repeat(80)}"\n`),
    });
    expect(await token(exposed, 'revoke', '')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no valid token has the name ""\n'),
    });
    // A profile may set limits for runs.
    expect(await tokenWith({ MCP_EXPOSE_EXPIRES: '1h' }, exposed, 'list')).toMatchObject({ code: 0 });
    expect(await token(exposed, 'remove', 'x')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('list, add, revoke, rotate'),
    });
    expect(await token({ home: path.join(exposed.home, 'nowhere') }, 'list')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('mcp-expose is not running'),
    });
  });

  test('several runs are told apart by pid or server, and what a dead one left behind is removed', async () => {
    const one = await startExpose({ server });
    const [other, dead] = await Promise.all([
      startExpose({ server: fixture('progress'), home: one.home }),
      startExpose({ server, home: one.home }),
    ]);
    await dead.stop('SIGKILL');
    expect(await token(one, 'list')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/2 runs are possible: choose one\n.*--run \d+: fixture-\w+ at http/),
    });
    const names = (run: string) => token(one, 'list', '--json', '--run', run);
    expect((await names('fixture-progress')).code).toBe(0);
    await token(one, 'add', 'anna', '--run', String(other.pid));
    expect((await names(String(other.pid))).stdout).toContain('anna');
    expect((await names(String(one.pid))).stdout).not.toContain('anna');
    const folder = path.join(one.home, 'config', 'mcp-expose', 'run');
    const sockets = () => readdirSync(folder).map((name) => Number(/-(\d+)\.sock$/.exec(name)?.[1]));
    expect(new Set(sockets())).toEqual(new Set([one.pid, other.pid]));
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(path.join(folder, readdirSync(folder)[0] ?? '')).mode & 0o777).toBe(0o600);
    await one.stop('SIGTERM');
    expect(sockets()).toEqual([other.pid]);
  });

  test.each(['/dev/null', `/tmp/${'x'.repeat(100)}`])(
    'a socket that cannot be made (%s): a warning, and the run goes on',
    async (where) => {
      const exposed = await startExpose({ server, env: { XDG_CONFIG_HOME: where } });
      await exposed.waitForStderr(/warning: mcp-expose token cannot change the tokens of this run/);
      expect(textOf(await echo(await openSession(exposed.url, exposed.token)))).toBe('hello');
    },
  );
});

describe.each(['local', 'relay'] as const)('limits of the token, %s', (way) => {
  const start = async (args: string[]) =>
    way === 'local' ? startExpose({ server, args }) : startBehindRelay(await startRelay(), { server, args });

  test('--expires: refused from then on, and its streams end', async () => {
    // It counts from the start, which can take seconds.
    const exposed = await start(['--expires', '8s']);
    const session = await openSession(exposed.url, exposed.token);
    const stream = await session.listen();
    await stream.ended;
    expect(await refusal(exposed.url, clientHeaders(exposed.token))).toMatchObject({
      status: 401,
      error: { message: 'the bearer token has expired' },
    });
    await exposed.waitForStderr(/the token default has expired/);
  });

  test('--once: the first client keeps it, another one is refused', async () => {
    const exposed = await start(['--once', '--token-name', 'anna']);
    // Neither a probe without the token nor a request that is no initialize uses it up.
    expect(
      (await exchange(exposed.url, { method: 'POST', headers: clientHeaders('x'), body: initializeRequest() })).status,
    ).toBe(401);
    expect((await exchange(exposed.url, { method: 'GET', headers: clientHeaders(exposed.token) })).status).toBe(405);
    const session = await openSession(exposed.url, exposed.token);
    // The same client again: its first answer may have been lost.
    await openSession(exposed.url, exposed.token);
    expect(await refusal(exposed.url, clientHeaders(exposed.token), 'another')).toMatchObject({
      status: 401,
      challenge: 'Bearer error="invalid_token"',
      error: { message: expect.stringMatching(/^token already used/), data: { reason: 'token_already_used' } },
    });
    expect(textOf(await echo(session))).toBe('hello');
    await exposed.waitForStderr(/the token anna is now for the client that has connected/);
  });

  test('--max-calls: the last call is answered, one more is refused', async () => {
    const exposed = await start(['--max-calls', '2']);
    const session = await openSession(exposed.url, exposed.token);
    for (const id of [11, 12]) expect(textOf(await echo(session, id))).toBe('hello'); // oxlint-disable-line no-await-in-loop -- in order
    const reply = await session.post({ jsonrpc: '2.0', id: 13, method: 'tools/call', params: { name: 'echo' } });
    expect(reply.status).toBe(401);
    expect((await reply.ended)[0]?.error?.message).toBe('the bearer token allows no more calls');
    await exposed.waitForStderr(/the token default allows no more calls/);
  });

  test('X-API-Key in the place of Authorization, never beside it', async () => {
    const exposed = await start([]);
    const rest = clientHeaders('').slice(1);
    const byKey: [string, string][] = [['X-API-Key', exposed.token], ...rest];
    const reply = await exchange(exposed.url, { method: 'POST', headers: byKey, body: initializeRequest() });
    expect(reply.status).toBe(200);
    const both = await refusal(exposed.url, [...clientHeaders(exposed.token), ['X-API-Key', exposed.token]]);
    expect(both).toMatchObject({ status: 400, challenge: 'Bearer error="invalid_request"' });
    const inUrl = await exchange(`${exposed.url}?access_token=${exposed.token}`, {
      method: 'POST',
      headers: rest,
      body: initializeRequest(),
    });
    expect(inUrl.status).toBe(401);
  });
});

test('limits hold over HTTP+SSE, too', async () => {
  const exposed = await startExpose({ server, args: ['--max-calls', '1'] });
  const client = await connectWith['v1 over HTTP+SSE'](exposed.localUrl, exposed.token);
  expect(await client.call('echo', { text: 'hello' })).toBe('hello');
  await expect(client.call('echo', { text: 'again' })).rejects.toThrow(/401|no more calls/);
});

test.each(['--expires', '--token-name', '--max-calls'])(
  '%s has no effect with --no-auth, and says so',
  async (option) => {
    const value = option === '--expires' ? '1h' : '3';
    const run = startProgram(['--no-auth', option, value, '--', ...server], { mark: randomUUID() });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toContain(`${option} has no effect with --no-auth`);
  },
);
