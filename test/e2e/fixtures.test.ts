// The fixtures do what their names say. Without this, a story that passes may pass for the wrong reason.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { CallToolResultSchema, CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { atEnd } from '../harness/lifetime.ts';
import { isAlive, killIfAlive, processInfo, type ProcessInfo } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { parseJson } from '../harness/parse-json.ts';

async function connect(name: string) {
  const [command = '', ...args] = fixture(name);
  const transport = new StdioClientTransport({ command, args, stderr: 'pipe' });
  const client = new Client({ name: 'fixtures', version: '0' }, { capabilities: { sampling: {} } });
  const errors: string[] = [];
  Object.assign(client, { onerror: (error: Error) => errors.push(error.message) });
  atEnd('test', async () => {
    const { pid } = transport;
    if (pid !== null) killIfAlive(pid);
    await client.close();
  });
  await client.connect(transport);
  const call = async (tool: string, args_: Record<string, unknown> = {}) => {
    const { content } = CallToolResultSchema.parse(await client.callTool({ name: tool, arguments: args_ }));
    return content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  };
  return { client, call, errors, pid: transport.pid ?? 0 };
}

function alive(pid: number): ProcessInfo {
  const info = processInfo(pid);
  if (!info) throw new Error(`process ${pid} is not there`);
  return info;
}

test('echo offers tools, a resource and a prompt', async () => {
  const { client, call } = await connect('echo');
  expect(await call('echo', { text: 'hi' })).toBe('hi');
  expect((await client.listResources()).resources.map(({ uri }) => uri)).toEqual(['test://greeting']);
  expect((await client.getPrompt({ name: 'greeting' })).messages).toHaveLength(1);
});

test('garbage-on-stdout upsets a client that reads it, and answers all the same', async () => {
  const { call, errors } = await connect('garbage-on-stdout');
  expect(await call('echo', { text: 'hi' })).toBe('hi');
  expect(errors.length).toBeGreaterThan(5);
});

test('crash-on-call and half-line-then-exit end in the middle of a call', async () => {
  const crashing = await connect('crash-on-call');
  await expect(crashing.call('crash', { code: 3 })).rejects.toThrow(/closed/);
  const halving = await connect('half-line-then-exit');
  await expect(halving.call('half')).rejects.toThrow(/closed/);
});

test('asks returns what the client answered, two at once included', async () => {
  const { client, call } = await connect('asks');
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => ({
    role: 'assistant',
    model: 'm',
    content: { type: 'text', text: JSON.stringify(params.messages[0]?.content) },
  }));
  const answers = parseJson<{ result: { content: { text: string } } }[]>(await call('ask-twice-parallel'));
  expect(answers.map(({ result }) => result.content.text)).toEqual([
    expect.stringContaining('first'),
    expect.stringContaining('second'),
  ]);
  expect(parseJson<object>(await call('ask-roots'))).toHaveProperty('error.code');
});

test('two counts of progress that wait for each other interleave', async () => {
  const { client } = await connect('progress');
  const seen: string[] = [];
  const count = (label: string) =>
    client.callTool({ name: 'count', arguments: { n: 3, label, together: 2 } }, undefined, {
      onprogress: ({ message }) => seen.push(message ?? ''),
    });
  await Promise.all([count('a'), count('b')]);
  expect(seen.toSorted()).toEqual(['a 1', 'a 2', 'a 3', 'b 1', 'b 2', 'b 3']);
  expect(seen.indexOf('b 1')).toBeLessThan(seen.indexOf('a 3'));
});

test('slow remembers what was cancelled', async () => {
  const { client, call } = await connect('slow');
  const cancel = new AbortController();
  const waiting = client.callTool({ name: 'wait', arguments: {} }, undefined, {
    signal: cancel.signal,
    onprogress: () => cancel.abort('enough'),
  });
  await expect(waiting).rejects.toThrow('enough');
  expect(parseJson<object[]>(await call('cancelled'))).toHaveLength(1);
});

test('ignores-end-of-input outlives its input and dies of SIGTERM, ignores-sigterm of SIGKILL only', async () => {
  const obedient = await connect('ignores-end-of-input');
  const stubborn = await connect('ignores-sigterm');
  const processes = [alive(obedient.pid), alive(stubborn.pid)];
  for (const { pid } of processes) killIfAlive(pid, 'SIGTERM');
  await eventually(() => expect(processes.map((info) => isAlive(info))).toEqual([false, true]));
});

test('spawns-grandchild leaves two processes behind that ignore SIGTERM', async () => {
  const { client, call } = await connect('spawns-grandchild');
  const [, ...grandchildren] = parseJson<number[]>(await call('pids'));
  const processes = grandchildren.map((pid) => alive(pid));
  atEnd('test', () => grandchildren.forEach((pid) => killIfAlive(pid)));
  await client.close();
  for (const pid of grandchildren) killIfAlive(pid, 'SIGTERM');
  expect(processes.map((info) => isAlive(info))).toEqual([true, true]);
});

test('flips-hint lists its tools on two pages, and changes what it says of one of them', async () => {
  const { client, call } = await connect('flips-hint');
  const hints = async (): Promise<unknown> => {
    const first = await client.listTools();
    const second = await client.listTools({ cursor: first.nextCursor });
    return [...first.tools, ...second.tools].map(({ name, annotations }) => [name, annotations?.readOnlyHint]);
  };
  const rest = [
    ['change', false],
    ['silent', undefined],
    ['seen', true],
  ];
  expect(await hints()).toEqual([...rest, ['look', true], ['flip', true]]);
  await call('flip');
  expect(await hints()).toEqual([...rest, ['look', false], ['flip', true]]);
  expect(await call('seen')).toBe('tools/list tools/list flip tools/list tools/list');
});
