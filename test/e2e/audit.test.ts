// The owner of a server reads later who called what: every call and decision has a line, and no secret is in any.
import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { launchExpose, startExpose, type Exposed } from '../harness/expose.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture, startProgram, temporaryDirectory } from '../harness/program.ts';
import { clientHeaders, exchange, openSession } from '../harness/raw-mcp.ts';
import { connectWith } from '../harness/sdk-clients.ts';

const server = fixture('fails-as-told');

type Entry = Record<string, unknown>;

const entriesIn = (file: string): Entry[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => parseJson<Entry>(line));

const callsIn = (file: string): Entry[] => entriesIn(file).filter(({ event }) => event === 'call');

const auditFile = (): string => path.join(temporaryDirectory('test'), 'audit.jsonl');

const start = (file: string, ...args: string[]): Promise<Exposed> =>
  startExpose({ server, args: ['--audit', file, '--verbose', ...args] });

const tool = (id: number, name: string, args: object = {}): object => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});

const end = (exposed: Exposed): Promise<unknown> => exposed.stop('SIGTERM');

async function audit(...args: string[]) {
  const run = startProgram(['audit', ...args], { mark: randomUUID() });
  const code = await run.exited;
  return { code, stdout: run.stdout(), stderr: run.stderr() };
}

test('calls, outcomes, sessions and tokens have a line each, with names and sizes', async () => {
  const file = auditFile();
  const exposed = await start(file, '--deny-tool', 'hidden', '--token-name', 'anna');
  const session = await openSession(exposed.url, exposed.token, { protocolVersion: '2025-03-26' });
  await session.call(2, 'tools/call', { name: 'echo', arguments: { text: 'hello' } });
  await session.call(3, 'tools/call', { name: 'fail' });
  await session.call(4, 'tools/call', { name: 'throw' });
  await session.call(5, 'tools/call', { name: 'hidden' });
  await session.call(6, 'resources/read', { uri: 'https://user:password@example.com/a?key=1' });
  const batch = await session.post([tool(7, 'echo', { text: 'one' }), tool(8, 'hidden'), tool(9, 'fail')]);
  await batch.ended;
  const waiting = await session.post({ ...tool(10, 'wait'), params: { name: 'wait', _meta: { progressToken: 1 } } });
  await session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 10 } });
  await waiting.ended;
  await exchange(exposed.url, { method: 'POST', headers: clientHeaders('mcpx_wrong'), body: '{}' });
  await exchange(exposed.url, { method: 'POST', headers: clientHeaders('').slice(1), body: '{}' });
  await session.end();
  const older = await connectWith['v1 over HTTP+SSE'](exposed.url, exposed.token);
  await older.call('echo', { text: 'over SSE' });
  await older.close();
  await end(exposed);

  const who = { event: 'call', caller: 'anna', client: '127.0.0.1', clientInfo: { name: 'raw-mcp', version: '0' } };
  const digest = expect.stringMatching(/^[\da-f]{8}$/) as unknown;
  const sizes = { requestBytes: expect.any(Number) as unknown, responseBytes: expect.any(Number) as unknown };
  const calls = callsIn(file).filter(({ clientInfo }) => JSON.stringify(clientInfo).includes('raw-mcp'));
  expect(calls[0]).toMatchObject({ ...who, ...sizes, method: 'initialize', outcome: 'ok', session: digest });
  const ofTools = calls
    .slice(1)
    .map(({ tool: name, resource, outcome, code, reason }) => [name ?? resource, outcome, code ?? reason]);
  expect(ofTools.slice(0, 5)).toEqual([
    ['echo', 'ok', undefined],
    ['fail', 'tool_error', undefined],
    ['throw', 'error', -32_000],
    ['hidden', 'denied', 'not_allowed'],
    ['https://…@example.com/a?…', 'error', -32_601],
  ]);
  const batched = ofTools.slice(5, 8);
  expect(batched).toHaveLength(3);
  expect(batched).toContainEqual(['echo', 'ok', undefined]);
  expect(batched).toContainEqual(['fail', 'tool_error', undefined]);
  expect(batched).toContainEqual(['hidden', 'denied', 'not_allowed']);
  expect(ofTools.slice(8)).toEqual([['wait', 'cancelled', undefined]]);
  expect(calls[1]).toEqual({
    ...who,
    ...sizes,
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as unknown,
    method: 'tools/call',
    tool: 'echo',
    outcome: 'ok',
    durationMs: expect.any(Number) as unknown,
    session: calls[0]?.['session'],
  });
  const sse = callsIn(file).slice(calls.length);
  expect(sse.map(({ method, tool: name, outcome }) => [method, name, outcome])).toEqual([
    ['initialize', undefined, 'ok'],
    ['tools/call', 'echo', 'ok'],
  ]);
  expect(sse[1]).toMatchObject({ caller: 'anna', session: sse[0]?.['session'], clientInfo: sse[0]?.['clientInfo'] });
  const others = entriesIn(file).filter(({ event }) => event !== 'call');
  expect(others.map(({ event, change, reason, kind }) => [event, change ?? reason ?? kind])).toEqual([
    ['session', 'opened'],
    ['admission', 'token_unknown'],
    ['admission', 'token_missing'],
    ['session', 'closed'],
    ['alert', 'new_client'],
    ['session', 'opened'],
    ['session', 'closed'],
  ]);
  expect(others[0]).toMatchObject({ caller: 'anna', client: '127.0.0.1', session: calls[0]?.['session'] });
  expect(others[1]).toMatchObject({ outcome: 'denied', client: '127.0.0.1' });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  // The events say the same.
  expect(exposed.events().filter(({ event }) => event === 'request')).toEqual(
    callsIn(file).map(({ time: _time, event: _event, ...report }) => ({ event: 'request', ...report })),
  );
});

const canary = (where: string): string => `canary-${where}-7Xq2`;

test('no secret is in the file or in the output', async () => {
  const file = auditFile();
  const exposed = await startExpose({
    server,
    args: ['--audit', file, '--verbose', '--env', `SECRET=${canary('env')}`, '--oauth'],
    env: { MCP_EXPOSE_TOKEN: `mcpx_${canary('token')}-0123456789` },
  });
  const session = await openSession(exposed.url, exposed.token);
  const headers: [string, string][] = [
    ['X-Secret', canary('header')],
    ['Cookie', canary('cookie')],
  ];
  const body = JSON.stringify(tool(2, 'echo', { text: canary('argument'), [canary('name')]: 1 }));
  await (
    await exchange(exposed.url, { method: 'POST', headers: [...session.headers, ...headers], body })
  ).ended;
  await session.call(3, 'tools/call', { name: 'environment' });
  await session.call(4, 'tools/call', { name: 'throw', arguments: { text: canary('error') } });
  const wrong = clientHeaders(canary('wrong'), [['Host', `${canary('host')}.example`]]);
  await exchange(exposed.url, { method: 'POST', headers: wrong.slice(0, 3), body: '{}' });
  await exchange(exposed.url, {
    method: 'POST',
    headers: [...wrong, ['Origin', `https://${canary('origin')}`]],
    body: '{}',
  });
  await end(exposed);
  const text = readFileSync(file, 'utf8');
  expect(text).toContain('"event":"admission"');
  for (const all of [text, exposed.stdout(), exposed.stderr()]) {
    expect(all).not.toMatch(/canary/i);
    expect(all).not.toContain(session.id);
  }
});

describe('the file', () => {
  test('is refused if others can read it', async () => {
    const file = auditFile();
    writeFileSync(file, '', { mode: 0o644 });
    const run = launchExpose({ server, args: ['--audit', file] });
    expect(await run.exited).toBe(2);
    expect(run.events()[0]).toMatchObject({
      code: 'usage',
      message: `the audit file ${file} can be read by other users (mode 0644)`,
      hints: [`make it private: chmod 600 ${file}`],
    });
  });

  test('is left alone where it is appended to, and followed when it is moved', async () => {
    const file = auditFile();
    writeFileSync(file, '{"time":"2026-01-01T00:00:00Z","event":"earlier"}\n', { mode: 0o600 });
    const exposed = await start(file);
    const session = await openSession(exposed.url, exposed.token);
    await eventually(() => expect(entriesIn(file).map(({ event }) => event)).toEqual(['earlier', 'call', 'session']));
    renameSync(file, `${file}.1`);
    let id = 2;
    // It is looked for once a second.
    await eventually(async () => {
      await session.call(++id, 'ping');
      expect(entriesIn(file).map(({ method }) => method)).toContain('ping');
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await end(exposed);
    expect(callsIn(file).length + callsIn(`${file}.1`).length).toBe(1 + id - 2);
  });

  test.runIf(process.platform !== 'win32')('is begun again at once on SIGHUP, where there is no terminal', async () => {
    const file = auditFile();
    const exposed = await startExpose({ server, args: ['--audit', file], hasNoTerminal: true });
    const session = await openSession(exposed.url, exposed.token);
    await eventually(() => expect(entriesIn(file).map(({ event }) => event)).toEqual(['call', 'session']));
    renameSync(file, `${file}.1`);
    process.kill(exposed.pid, 'SIGHUP');
    await eventually(() => expect(statSync(file).mode & 0o777).toBe(0o600));
    await session.call(2, 'ping');
    await end(exposed);
    expect(callsIn(file).map(({ method }) => method)).toEqual(['ping']);
    expect(callsIn(`${file}.1`).map(({ method }) => method)).toEqual(['initialize']);
  });

  test.runIf(process.platform === 'linux')('on a full disk costs one warning, and no call', async () => {
    const exposed = await start('/dev/full');
    const session = await openSession(exposed.url, exposed.token);
    for (let id = 2; id < 12; id++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, for one write each
      expect((await session.call(id, 'ping')).result).toEqual({});
    }
    await end(exposed);
    const warnings = exposed.events().filter(({ event }) => event === 'warning');
    expect(warnings).toEqual([{ event: 'warning', message: expect.stringContaining('ENOSPC') as unknown }]);
  });
});

/** Except for line breaks. */
const control = /(?!\n)\p{Cc}/u;

test('mcp-expose audit prints it, filtered or in numbers', async () => {
  const file = auditFile();
  const exposed = await start(file, '--deny-tool', 'hidden', '--token-name', 'anna');
  const session = await openSession(exposed.url, exposed.token);
  await session.call(2, 'tools/call', { name: 'echo', arguments: { text: 'hello' } });
  await session.call(3, 'tools/call', { name: 'hidden' });
  await session.call(4, 'tools/call', { name: '\u001B[31mred\u009B0m\nline' });
  await end(exposed);
  expect(readFileSync(file, 'utf8')).not.toMatch(control);
  writeFileSync(file, '{"time":"2026-01-01T00:00:00Z","event":"call","caller":"ben","tool":"old"}\nhalf a li\n', {
    flag: 'a',
  });

  const all = await audit(file);
  expect(all.code).toBe(0);
  const lines = all.stdout.split('\n');
  expect(lines.find((line) => line.includes('echo'))).toMatch(
    /^\d{4}-\S+Z {2}anna {2}tools\/call echo {2}ok {2}[\d.]+ ms {2}\d+ B, \d+ B$/,
  );
  expect(all.stdout).toContain('tools/call hidden  denied not_allowed');
  expect(all.stdout).not.toMatch(control);
  expect(all.stderr).toBe(`mcp-expose: 1 line of ${file} cannot be read, and is left out\n`);

  const denied = await audit(file, '--outcome', 'denied', '--json');
  expect(readFileSync(file, 'utf8')).toContain(denied.stdout);
  expect(parseJson(denied.stdout)).toMatchObject({ tool: 'hidden' });
  expect((await audit(file, '--since', '1h', '--caller', 'ben')).stdout).toBe('');
  expect((await audit(file, '--caller', 'ben', '--tool', 'o*')).stdout).toContain('old');
  const summary = (await audit(file, '--summary', '--caller', 'anna')).stdout;
  expect(summary).toMatch(/^caller +tool +calls +errors +denied\n/);
  expect(summary).toMatch(/^anna +hidden +1 +0 +1$/m);
  expect(await audit(`${file}.no`)).toMatchObject({ code: 2, stderr: expect.stringContaining('ENOENT') as unknown });
});

test('mcp-expose audit prints who signed in, where the browser was sent, and from where', async () => {
  const file = auditFile();
  const time = '2026-11-29T10:31:05.120Z';
  const request = { caller: 'Claude', publisher: 'claude.ai', redirectHost: 'claude.ai', scope: 'mcp' };
  const entries = [
    { time, event: 'oauth', change: 'approved', ...request, user: 'ada@example.com\u202E', client: '203.0.113.9' },
    { time, event: 'oauth', change: 'refused', reason: 'wrong_codes', caller: 'x', redirectHost: '127.0.0.1:7' },
    { time, event: 'oauth', change: 'revoked', reason: 'reused', caller: 'Claude' },
  ];
  writeFileSync(file, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
  expect((await audit(file)).stdout.split('\n')).toEqual([
    `${time}  Claude  oauth approved mcp user ada@example.com, publisher claude.ai, redirect to claude.ai, from 203.0.113.9`,
    `${time}  x  oauth refused wrong_codes redirect to 127.0.0.1:7`,
    `${time}  Claude  oauth revoked reused`,
    '',
  ]);
});
