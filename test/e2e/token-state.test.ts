// The tokens of a run that are kept for the next one.
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture, startProgram, temporaryDirectory } from '../harness/program.ts';
import { clientHeaders, exchange, initializeRequest, openSession, type RawSession } from '../harness/raw-mcp.ts';

const server = fixture('echo');

async function token(exposed: Pick<Exposed, 'home'>, ...args: string[]) {
  const run = startProgram(['token', ...args], { mark: randomUUID(), home: exposed.home });
  const code = await run.exited;
  return { code, stdout: run.stdout().trim(), stderr: run.stderr() };
}

const echo = (session: RawSession) => session.call(7, 'tools/call', { name: 'echo', arguments: { text: 'hello' } });

async function refusal(url: string, headers: [string, string][]) {
  const reply = await exchange(url, { method: 'POST', headers, body: initializeRequest() });
  const [message] = await reply.ended;
  return { status: reply.status, error: message?.error };
}

const entry = `{"name":"a","digest":"${'A'.repeat(43)}=","state":"valid","createdAt":1,"calls":0}`;

const startWith = (state: string, env = {}) => startExpose({ server, args: ['--state', state], env });

describe('--state', () => {
  test('keeps the tokens over a restart, as digests, with what was revoked', async () => {
    const state = path.join(temporaryDirectory(), 'tokens.json');
    const first = await startWith(state);
    const [anna, ben] = [await token(first, 'add', 'anna', '--expires', '1h'), await token(first, 'add', 'ben')];
    await token(first, 'revoke', 'ben');
    await first.stop('SIGTERM');
    const kept = readFileSync(state, 'utf8');
    expect(statSync(state).mode & 0o777).toBe(0o600);
    for (const secret of [first.token, anna.stdout, ben.stdout]) expect(kept).not.toContain(secret.slice(5));

    const second = await startWith(state);
    expect(second.ready.token).toBeNull();
    for (const secret of [first.token, anna.stdout]) {
      expect(textOf(await echo(await openSession(second.url, secret)))).toBe('hello'); // oxlint-disable-line no-await-in-loop -- in order
    }
    expect(await refusal(second.url, clientHeaders(ben.stdout))).toMatchObject({
      status: 401,
      error: { data: { reason: 'token_revoked' } },
    });
    const listed = parseJson<object[]>((await token(second, 'list', '--json')).stdout);
    expect(listed).toMatchObject([
      { name: 'default' },
      { name: 'anna', expiresAt: expect.any(Number) },
      { name: 'ben' },
    ]);
  });

  test('a token that expired between two runs is replaced by a new one', async () => {
    const state = path.join(temporaryDirectory(), 'tokens.json');
    const stored = entry.replace('"a"', '"default"').replace('}', ',"expiresAt":2}');
    writeFileSync(state, `{"version":2,"tokens":[${stored}]}`, { mode: 0o600 });
    const exposed = await startWith(state);
    expect(exposed.ready.token).toMatch(/^mcpx_/);
    expect(textOf(await echo(await openSession(exposed.url, exposed.token)))).toBe('hello');
  });

  test('a token of the user replaces the stored one', async () => {
    const state = path.join(temporaryDirectory(), 'tokens.json');
    const first = await startWith(state);
    await first.stop('SIGTERM');
    const own = 'mcpx_a-token-that-the-user-has-chosen-for-this';
    const second = await startWith(state, { MCP_EXPOSE_TOKEN: own });
    expect((await refusal(second.url, clientHeaders(first.token))).status).toBe(401);
    expect(textOf(await echo(await openSession(second.url, own)))).toBe('hello');
  });

  test('a file that others can read is refused', async () => {
    const open = path.join(temporaryDirectory(), 'tokens.json');
    const content = '{"version":1,"tokens":[]}';
    writeFileSync(open, content);
    chmodSync(open, 0o644);
    const run = startProgram(['--tunnel', 'none', '--state', open, '--', ...server], { mark: randomUUID() });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toContain('can be read or changed by other users (mode 0644)');
    expect(run.stderr()).toContain(`hint: make it private: chmod 600 ${open}`);
    expect(readFileSync(open, 'utf8')).toBe(content);
  });

  test('the file cannot be that of --audit, however that is named', async () => {
    const folder = temporaryDirectory();
    const state = path.join(folder, 'tokens.json');
    symlinkSync(folder, path.join(folder, 'link'));
    const refusedWith = async (audit: string) => {
      const files = ['--state', state, '--audit', audit];
      const run = startProgram(['--tunnel', 'none', ...files, '--', ...server], { mark: randomUUID() });
      expect(await run.exited).toBe(2);
      expect(run.stderr()).toContain(`error: --state and --audit are the same file, ${state}`);
    };
    await refusedWith(state);
    await refusedWith(path.join(folder, 'link', 'tokens.json'));
    expect(readdirSync(folder)).toEqual(['link']);
    await (await startWith(state)).stop('SIGTERM');
    symlinkSync(state, path.join(folder, 'audit.jsonl'));
    await refusedWith(path.join(folder, 'audit.jsonl'));
  });

  test('what was answered survives a kill, one change after the other', async () => {
    const state = path.join(temporaryDirectory(), 'tokens.json');
    const first = await startWith(state);
    const { stdout: anna } = await token(first, 'add', 'anna');
    await Promise.all(['default', 'anna'].map((name) => token(first, 'revoke', name)));
    const { stdout: ben } = await token(first, 'add', 'ben');
    await first.stop('SIGKILL');
    const second = await startWith(state);
    for (const revoked of [first.token, anna])
      expect((await refusal(second.url, clientHeaders(revoked))).status).toBe(401); // oxlint-disable-line no-await-in-loop -- in order
    expect(textOf(await echo(await openSession(second.url, ben)))).toBe('hello');
  });

  test('a change that cannot be saved is in effect, and says so', async () => {
    const state = path.join(temporaryDirectory(), 'tokens.json');
    const exposed = await startWith(state);
    const draft = `${state}.${exposed.pid}.new`;
    mkdirSync(draft);
    expect(await token(exposed, 'revoke', 'default')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /revoked default.*\n.*error: the change is in effect, but could not be saved: a restart undoes it\n.*hint: the output of the run says why/,
      ),
    });
    expect((await refusal(exposed.url, clientHeaders(exposed.token))).status).toBe(401);
    const added = await token(exposed, 'add', 'anna', '--json');
    expect(added.code).toBe(1);
    expect(parseJson(added.stdout.split('\n')[0] ?? '')).toMatchObject({ name: 'anna', isSaved: false });
    rmSync(draft, { recursive: true });
    expect(await token(exposed, 'add', 'ben')).toMatchObject({ code: 0, stderr: '' });
  });

  test.each([
    ['--audit', '/dev/null/audit.jsonl'],
    ['--token-name', 'an/na'],
  ])('a start that fails later (%s %s) leaves no lock', async (...args) => {
    const state = path.join(temporaryDirectory(), 'tokens.json');
    const run = startProgram(['--tunnel', 'none', '--state', state, ...args, '--', ...server], { mark: randomUUID() });
    expect(await run.exited).toBe(2);
    expect(readdirSync(path.dirname(state))).toEqual(['tokens.json']);
  });

  test('a second run is refused while the first lives, and takes over when it was killed', async () => {
    const state = path.join(temporaryDirectory(), 'tokens.json');
    const first = await startWith(state);
    const run = startProgram(['--tunnel', 'none', '--state', state, '--', ...server], { mark: randomUUID() });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toContain(`another mcp-expose (pid ${first.pid}) uses ${state}`);
    expect(run.stderr()).toContain('hint: give each run a --state of its own');
    await first.stop('SIGKILL');
    const second = await startWith(state);
    expect(textOf(await echo(await openSession(second.url, first.token)))).toBe('hello');
    await second.stop('SIGTERM');
    expect(readdirSync(path.dirname(state))).toEqual(['tokens.json']);
  });

  test.each([
    ['damaged', 'cannot be read, or is damaged', '{"version":1,"tokens":[{"name":"a"'],
    ['of a newer version', 'was written by a newer mcp-expose', '{"version":3,"tokens":[]}'],
    ['with a broken entry', 'is damaged', '{"version":1,"tokens":[{"name":"a"}]}'],
    [
      'with a rule that is misspelled',
      'is damaged',
      `{"version":2,"tokens":[${entry.replace('}', ',"denyTool":["x"]}')}]}`,
    ],
  ])('a file that is %s is an error, and stays as it is', async (_what, words, content) => {
    const state = path.join(temporaryDirectory(), 'tokens.json');
    writeFileSync(state, content, { mode: 0o600 });
    const run = startProgram(['--tunnel', 'none', '--state', state, '--', ...server], { mark: randomUUID() });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toMatch(
      new RegExp(`error: the state of the tokens ${state} ${words}\n.*hint: restore it, or delete it`),
    );
    expect(readFileSync(state, 'utf8')).toBe(content);
  });
});
