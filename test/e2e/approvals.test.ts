// The owner has a say in each call that may do harm: on the terminal, or by a program. What is not approved never runs.
import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { expose } from '../../src/expose/library.ts';
import type { ApprovalCall, ExposeEvent } from '../../src/expose/options.ts';
import { eventually } from '../harness/eventually.ts';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { failureOf } from '../harness/failure-of.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { atEnd } from '../harness/lifetime.ts';
import { parseJson } from '../harness/parse-json.ts';
import { allProcesses } from '../harness/processes.ts';
import { fixture, startProgram, temporaryDirectory } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { connectWith, type SdkVersion } from '../harness/sdk-clients.ts';
import { exposeBy, ways } from '../harness/ways.ts';

const sdkVersions: SdkVersion[] = ['v1', 'v2', 'v1 over HTTP+SSE'];
const isolations = ['session', 'shared'] as const;

/** Lists `look`, `flip` and `seen` as read-only, and says of `seen` what was called. */
const server = fixture('flips-hint');

const toolCall = (id: number, name: string, given: object = {}): object => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: given },
});

test('without a terminal and a program, calls are refused at once, and the owner is warned', async () => {
  const exposed = await startExpose({ server, args: ['--approve', 'change'] });
  const client = await connectWith.v1(exposed.url, exposed.token);
  await expect(client.call('change')).rejects.toThrow('since there is no terminal to ask on');
  expect(await client.call('seen')).not.toContain('change');
  expect(exposed.events().filter(({ event }) => event === 'warning')).toMatchObject([
    {
      message: 'calls that need approval are refused: there is no terminal to ask on, and no --approve-command',
    },
  ]);
});

test('in the library, a function decides', async () => {
  const calls: ApprovalCall[] = [];
  const events: ExposeEvent[] = [];
  const [file = '', ...args] = server;
  const exposed = await expose({
    server: { stdio: [file, ...args] },
    tunnel: { kind: 'none' },
    access: {
      approve: ['change', 'silent'],
      onApproval: (call) => calls.push(call) > 0 && call.tool === 'change',
    },
    output: { onEvent: (event) => events.push(event) },
  });
  atEnd('test', () => exposed.close());
  const client = await connectWith.v1(exposed.localUrl, exposed.token ?? '');
  expect(await client.call('change', { a: [1] })).toBe('did change');
  expect(await failureOf(client.call('silent'))).toContain('tool not approved: silent');
  const about = {
    caller: 'default',
    client: '127.0.0.1',
    clientInfo: { name: 'mcp-expose-tests', version: '0.0.0' },
  };
  expect(calls).toEqual([
    { ...about, tool: 'change', arguments: { a: [1] }, argumentsJson: '{"a":[1]}' },
    { ...about, tool: 'silent', arguments: {}, argumentsJson: '{}' },
  ]);
  expect(events.filter(({ type }) => type === 'approval')).toMatchObject([
    { ...about, tool: 'change', outcome: 'approved' },
    { ...about, tool: 'silent', outcome: 'denied', reason: 'not_approved' },
  ]);
});

test.each([
  ['Destructive', 'destructive'],
  ['destructve', 'destructive'],
  ['ALL', 'all'],
])('--approve %s is refused: no call would wait', async (given, meant) => {
  const run = startProgram(['--approve', given, '--json', '--', ...server], { mark: randomUUID() });
  expect(await run.exited).toBe(2);
  expect(parseJson(run.stdout().split('\n', 1)[0] ?? '')).toMatchObject({
    message: `--approve ${given} is not ${meant}, and would be the name of a tool`,
    hints: [`did you mean --approve ${meant}?`],
  });
});

test('a glob of --approve that matches no tool is warned of', async () => {
  const exposed = await startExpose({ server, args: ['--approve', 'chnge', '--approve', 'ch*'] });
  const warnings = exposed.events().filter(({ event }) => event === 'warning');
  expect(warnings.map(({ message }) => message)).toContainEqual(
    expect.stringContaining('--approve chnge matches no tool; the closest: change, '),
  );
  expect(JSON.stringify(warnings)).not.toContain('ch*');
});

/** A program that decides with this code about `call`. */
function program(code: string): string {
  const file = path.join(temporaryDirectory('test'), 'decide.mjs');
  const read = `import fs from 'node:fs';\nconst call = JSON.parse(fs.readFileSync(0, 'utf8'));\n`;
  writeFileSync(file, read + code);
  return `"${process.execPath}" "${file}"`;
}

const byArgument = 'process.exit(call.arguments.please === true ? 0 : 1)';

/** The processes of such a program. */
const running = (decide: string) =>
  allProcesses().filter(({ command: [, file = ''] }) => file.endsWith('decide.mjs') && decide.includes(file));

const approvals = (exposed: Exposed): unknown[] => exposed.events().filter(({ event }) => event === 'approval');

describe('--approve-command', () => {
  test.each(ways)('decides by its exit code, and every decision is in the audit (%s)', async (way) => {
    const audit = path.join(temporaryDirectory('test'), 'audit.jsonl');
    const args = ['--approve', 'change', '--approve-command', program(byArgument), '--audit', audit];
    const exposed = await exposeBy(way, { server, args });
    for (const version of sdkVersions) {
      // oxlint-disable no-await-in-loop -- less processes at a time
      const client = await connectWith[version](exposed.url, exposed.token);
      expect(await client.call('change', { please: true })).toBe('did change');
      await expect(client.call('change', { secret: 'canary' })).rejects.toThrow('tool not approved: change');
      expect((await client.call('seen')).match(/change/g)).toHaveLength(1);
      await client.close();
      // oxlint-enable no-await-in-loop
    }
    const about = { event: 'approval', tool: 'change', caller: 'default', clientInfo: { name: 'mcp-expose-tests' } };
    const decisions = sdkVersions.flatMap(() => [
      { ...about, outcome: 'approved' },
      { ...about, outcome: 'denied', reason: 'not_approved' },
    ]);
    expect(approvals(exposed)).toMatchObject(decisions);
    await exposed.stop('SIGTERM');
    const text = readFileSync(audit, 'utf8');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => parseJson<Record<string, unknown>>(line));
    expect(lines.filter(({ event }) => event === 'approval')).toMatchObject(decisions);
    expect(lines.filter(({ event, tool }) => event === 'call' && tool === 'change')).toMatchObject(
      sdkVersions.flatMap(() => [{ outcome: 'ok' }, { outcome: 'denied', reason: 'not_approved' }]),
    );
    const printed = startProgram(['audit', audit, '--outcome', 'denied'], { mark: randomUUID() });
    expect(await printed.exited).toBe(0);
    expect(printed.stdout()).toMatch(/ {2}default {2}approval change denied not_approved\n/);
    expect(text + exposed.stdout() + exposed.stderr()).not.toContain('canary');
  });

  test.each(isolations)('of a batch, what is approved is done (--isolation %s)', async (isolation) => {
    const args = ['--approve', 'destructive', '--approve-command', program(byArgument), '--isolation', isolation];
    const exposed = await startExpose({ server, args });
    const session = await openSession(exposed.url, exposed.token, { protocolVersion: '2025-03-26' });
    const reply = await session.post(
      JSON.stringify([toolCall(11, 'look'), toolCall(12, 'change', { please: true }), toolCall(13, 'silent')]),
    );
    const answers = await reply.ended;
    const answerTo = (id: number) => answers.find((message) => message.id === id);
    expect(answerTo(11)?.result).toMatchObject({ content: [{ text: 'did look' }] });
    expect(answerTo(12)?.result).toMatchObject({ content: [{ text: 'did change' }] });
    expect(answerTo(13)?.error).toEqual({
      code: -32602,
      message: 'tool not approved: silent',
      data: { reason: 'not_approved', tool: 'silent' },
    });
    expect(textOf(await session.call(14, 'tools/call', { name: 'seen' }))).not.toContain('silent');
  });

  test('is told which server, and prints to the log', async () => {
    const file = path.join(temporaryDirectory('test'), 'mcp.json');
    const [command, ...args] = server;
    writeFileSync(file, JSON.stringify({ mcpServers: { one: { command, args }, two: { command, args } } }));
    const decide = program(`console.error('asked about ' + call.server); process.exit(call.server === 'two' ? 0 : 1)`);
    const exposed = await startExpose({
      config: file,
      args: ['--approve', 'change', '--approve-command', decide],
    });
    const call = async (name: string): Promise<string> => {
      const client = await connectWith.v1(`${exposed.url}/${name}/mcp`, exposed.token);
      return await client.call('change');
    };
    await expect(call('one')).rejects.toThrow('tool not approved: change');
    expect(await call('two')).toBe('did change');
    await exposed.waitForStderr(/\[approve-command\] asked about one\n[^]*\[approve-command\] asked about two\n/);
    expect(approvals(exposed)).toMatchObject([{ server: 'one' }, { server: 'two', outcome: 'approved' }]);
  });

  /** Says that it runs, and never decides. */
  const hanging = `console.error('runs'); setInterval(() => {}, 1000);`;
  test('that hangs is ended at the timeout', async () => {
    const decide = program(hanging);
    const args = ['--approve', 'change', '--approve-command', decide, '--approve-timeout', '8s'];
    const exposed = await startExpose({ server, args });
    const client = await connectWith.v1(exposed.url, exposed.token);
    const refused = failureOf(client.call('change'));
    await exposed.waitForStderr(/\[approve-command\] runs/);
    expect(running(decide)).toHaveLength(1);
    expect(await refused).toContain('since nobody answered within 8 s');
    await eventually(() => expect(running(decide)).toEqual([]));
    expect(await client.call('seen')).not.toContain('change');
  });

  test.each(['disconnects', 'ends its session'])('is ended when the client %s', async (how) => {
    const decide = program(hanging);
    const exposed = await startExpose({ server, args: ['--approve', 'change', '--approve-command', decide] });
    const session = await openSession(exposed.url, exposed.token);
    const connection = new AbortController();
    // Without an event stream, which the client could resume.
    const headers = session.headers.map<[string, string]>(([name, value]) => [
      name,
      name === 'Accept' ? 'application/json' : value,
    ]);
    const body = JSON.stringify(toolCall(5, 'change'));
    const call = fetch(exposed.url, {
      method: 'POST',
      headers,
      body,
      signal: connection.signal,
    }).catch(() => {});
    await exposed.waitForStderr(/\[approve-command\] runs/);
    if (how === 'disconnects') connection.abort();
    else await session.end();
    await call;
    await eventually(() => expect(approvals(exposed)).toMatchObject([{ outcome: 'cancelled' }]));
    await eventually(() => expect(running(decide)).toEqual([]));
  });

  test('is ended with the run, and the call counts as denied', async () => {
    const decide = program(hanging);
    const audit = path.join(temporaryDirectory('test'), 'audit.jsonl');
    const args = ['--approve', 'change', '--approve-command', decide, '--audit', audit];
    const exposed = await startExpose({ server, args });
    const client = await connectWith.v1(exposed.url, exposed.token);
    const refused = failureOf(client.call('change'));
    await exposed.waitForStderr(/\[approve-command\] runs/);
    expect(running(decide)).toHaveLength(1);
    await exposed.stop('SIGTERM');
    expect(await refused).toContain('since the server is shutting down');
    expect(running(decide)).toEqual([]);
    const lines = readFileSync(audit, 'utf8').trim().split('\n');
    const denied = lines
      .map((line) => parseJson<Record<string, unknown>>(line))
      .filter(({ tool }) => tool === 'change');
    expect(denied.map(({ event, outcome, reason }) => [event, outcome, reason])).toEqual([
      ['approval', 'denied', 'approval_ended'],
      ['call', 'denied', 'approval_ended'],
    ]);
  });

  test('that is not found is an error at the start', async () => {
    const args = ['--approve', 'change', '--approve-command', '/does/not/exist -v', '--json', '--', ...server];
    const run = startProgram(args, { mark: randomUUID() });
    expect(await run.exited).toBe(2);
    expect(run.stdout()).toContain('the program of --approve-command was not found: /does/not/exist"');
  });

  test('that cannot be run refuses, and the owner is told why', async () => {
    const file = path.join(temporaryDirectory('test'), 'decide');
    writeFileSync(file, '#!/bin/sh\n', { mode: 0o755 });
    const exposed = await startExpose({ server, args: ['--approve', 'change', '--approve-command', file] });
    rmSync(file);
    const client = await connectWith.v1(exposed.url, exposed.token);
    await expect(client.call('change')).rejects.toThrow('tool not approved: change, since it could not be decided');
    expect(exposed.events().filter(({ event }) => event === 'warning')).toMatchObject([
      { message: `a call was refused, since it could not be decided: spawn ${file} ENOENT` },
    ]);
  });

  test('1,000 calls that wait are bounded, and the calls of others go on', async () => {
    const decide = program(hanging);
    const args = ['--approve', 'change', '--approve-command', decide, '--isolation', 'shared'];
    const exposed = await startExpose({ server, args });
    const flood = await openSession(exposed.url, exposed.token, { protocolVersion: '2025-03-26' });
    const other = await connectWith.v1(exposed.url, exposed.token);
    const batches = Array.from({ length: 10 }, (_, batch) =>
      flood.post(JSON.stringify(Array.from({ length: 100 }, (_call, at) => toolCall(1 + batch * 100 + at, 'change')))),
    );
    const replies = await Promise.all(batches);
    const refused = () => replies.flatMap(({ messages }) => messages.filter(({ error }) => error !== undefined));
    await eventually(() => expect(refused()).toHaveLength(990), 20_000);
    expect(new Set(refused().map(({ error }) => JSON.stringify(error?.data)))).toEqual(
      new Set(['{"reason":"too_many_approvals","tool":"change"}']),
    );
    await exposed.waitForStderr(/\[approve-command\] runs/);
    expect(running(decide)).toHaveLength(1);
    expect(await other.call('look')).toBe('did look');
    expect(await other.call('seen')).not.toContain('change');
    await expect(other.call('change')).rejects.toThrow('since too many calls wait for approval');
  });
});
