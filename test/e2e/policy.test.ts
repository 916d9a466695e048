// Somebody shares a part of a server: what is not allowed is not listed, and the server never sees it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { startEverything } from '../harness/everything.ts';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { fixture, installedServer, temporaryDirectory } from '../harness/program.ts';
import { exchange, openSession } from '../harness/raw-mcp.ts';
import { connectWith, type SdkClient, type SdkVersion } from '../harness/sdk-clients.ts';
import { exposeBy, ways } from '../harness/ways.ts';

const sdkVersions: SdkVersion[] = ['v1', 'v2', 'v1 over HTTP+SSE'];
const isolations = ['session', 'shared'] as const;
const flipsHint = fixture('flips-hint');

const connect = (exposed: Exposed, version: SdkVersion): Promise<SdkClient> =>
  connectWith[version](exposed.url, exposed.token);

describe.each(ways)('server-filesystem, read-only, %s', (way) => {
  const file = path.join(temporaryDirectory('file'), 'shared', 'a.txt');
  let exposed: Exposed;
  beforeAll(async () => {
    mkdirSync(path.dirname(file));
    writeFileSync(file, 'as it was');
    const server = installedServer('mcp-server-filesystem', path.dirname(file));
    exposed = await exposeBy(way, { server, args: ['--read-only'], lifetime: 'file' });
  });

  test.each(sdkVersions)('clients read, and write nothing (%s)', async (version) => {
    const client = await connect(exposed, version);
    const tools = await client.tools();
    expect(tools).toContain('read_text_file');
    expect(tools.filter((tool) => /write|edit|move|create/.test(tool))).toEqual([]);
    expect(await client.call('read_text_file', { path: file })).toBe('as it was');
    await expect(client.call('write_file', { path: file, content: 'changed' })).rejects.toThrow(
      'tool not allowed: write_file, since the server does not mark it as read-only',
    );
    expect(readFileSync(file, 'utf8')).toBe('as it was');
  });
});

describe.each(ways)('server-everything, by names, %s', (way) => {
  let exposed: Exposed;
  beforeAll(async () => {
    const rules =
      '--allow-tool=get-* --allow-tool=echo --deny-tool=*-env --deny-prompt=simple-* --deny-resource=demo://resource/static/*';
    const args = rules.split(' ');
    exposed = await exposeBy(way, { server: installedServer('mcp-server-everything'), args, lifetime: 'file' });
  });

  test('the number of tools that is reported is that of the allowed ones', async () => {
    const client = await connect(exposed, 'v2');
    expect(exposed.ready.servers[0]?.tools).toBe((await client.tools()).length);
  });

  test.each(sdkVersions)('tools (%s)', async (version) => {
    const client = await connect(exposed, version);
    const tools = await client.tools();
    expect(tools).toEqual(expect.arrayContaining(['echo', 'get-sum']));
    expect(tools.filter((tool) => !/^get-|^echo$/.test(tool) || tool === 'get-env')).toEqual([]);
    expect(await client.call('echo', { message: 'hello' })).toBe('Echo: hello');
    await expect(client.call('get-env')).rejects.toThrow('tool not allowed: get-env');
  });

  test.each(sdkVersions)('resources and prompts (%s)', async (version) => {
    const client = await connect(exposed, version);
    expect(await client.resources()).toEqual([]);
    const uri = 'demo://resource/static/document/architecture.md';
    await expect(client.readResource(uri)).rejects.toThrow(`resource not allowed: ${uri}`);
    const prompts = await client.prompts();
    expect(prompts).not.toEqual([]);
    expect(prompts).not.toContain('simple-prompt');
    await expect(client.prompt('simple-prompt')).rejects.toThrow('prompt not allowed: simple-prompt');
  });
});

const toolCall = (id: number, name: string): object => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name },
});

describe.each(isolations)('--isolation %s', (isolation) => {
  const start = (...args: string[]): Promise<Exposed> =>
    startExpose({ server: flipsHint, args: ['--isolation', isolation, ...args] });

  test.each(sdkVersions)('a hidden tool is not called, whatever is listed before (%s)', async (version) => {
    const client = await connect(await start('--deny-tool', 'change'), version);
    await expect(client.call('change')).rejects.toThrow('tool not allowed: change');
    expect(await client.call('silent')).toBe('did silent');
    expect(await client.call('seen')).not.toContain('change');
  });

  test.each(sdkVersions)('read-only asks the server first, and hides what has no hint (%s)', async (version) => {
    const client = await connect(await start('--read-only'), version);
    expect(await client.call('look')).toBe('did look');
    const refused = ['change', 'silent', 'unknown'].map((tool) =>
      expect(client.call(tool)).rejects.toThrow(`tool not allowed: ${tool}`),
    );
    await Promise.all(refused);
    // Two pages, and once for all of these calls.
    expect(await client.call('seen')).toMatch(/(?:^| )tools\/list tools\/list look$/);
    // The pages come as they are, so the first has what is left of it.
    expect(await client.tools()).toContain('seen');
    expect(await client.tools()).not.toContain('silent');
  });

  test.each(sdkVersions)('a hint that changes counts from then on (%s)', async (version) => {
    const client = await connect(await start('--read-only'), version);
    expect(await client.call('look')).toBe('did look');
    expect(await client.call('flip')).toBe('did flip');
    await expect(client.call('look')).rejects.toThrow('tool not allowed: look');
    expect(await client.call('flip')).toBe('did flip');
    expect(await client.call('look')).toBe('did look');
  });

  test('of a batch, what is allowed is done', async () => {
    const exposed = await start('--deny-tool', 'change');
    const session = await openSession(exposed.url, exposed.token, { protocolVersion: '2025-03-26' });
    const reply = await session.post(
      JSON.stringify([toolCall(11, 'look'), toolCall(12, 'change'), { jsonrpc: '2.0', id: 13, method: 'tools/list' }]),
    );
    const answers = await reply.ended;
    const answerTo = (id: number) => answers.find((message) => message.id === id);
    expect(answerTo(11)?.result).toMatchObject({ content: [{ text: 'did look' }] });
    expect(answerTo(12)?.error).toEqual({
      code: -32602,
      message: 'tool not allowed: change',
      data: { reason: 'not_allowed', tool: 'change' },
    });
    expect(answerTo(13)?.result).toMatchObject({ tools: [{ name: 'silent' }, { name: 'seen' }] });
    expect(textOf(await session.call(14, 'tools/call', { name: 'seen' }))).not.toContain('change');
  });

  test('headers that name an allowed tool do not let a denied one through', async () => {
    const exposed = await start('--deny-tool', 'change');
    const session = await openSession(exposed.url, exposed.token);
    const reply = await exchange(exposed.url, {
      method: 'POST',
      headers: [...session.headers, ['Mcp-Method', 'tools/call'], ['Mcp-Name', 'look']],
      body: JSON.stringify(toolCall(2, 'change')),
    });
    expect(await reply.next(({ id }) => id === 2)).toMatchObject({ error: { message: 'tool not allowed: change' } });
    expect(textOf(await session.call(3, 'tools/call', { name: 'seen' }))).not.toContain('change');
  });

  test.each([
    '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"change","name":"look"}}',
    '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"look","Name":"change"}}',
  ])('a request that servers may read differently is not sent: %s', async (body) => {
    const exposed = await start('--deny-tool', 'change');
    const session = await openSession(exposed.url, exposed.token);
    const reply = await session.post(body);
    expect(await reply.next(({ id }) => id === 2)).toMatchObject({ error: { code: -32600 } });
    expect(textOf(await session.call(3, 'tools/call', { name: 'seen' }))).not.toMatch(/look|change/);
  });
});

test.each(['http', 'sse'] as const)('a server that is called over %s is asked for its hints too', async (kind) => {
  const exposed = await startExpose({ running: await startEverything(kind), args: ['--read-only'] });
  const client = await connect(exposed, 'v2');
  expect(await client.call('echo', { message: 'hello' })).toBe('Echo: hello');
  await expect(client.call('toggle-simulated-logging')).rejects.toThrow('tool not allowed: toggle-simulated-logging');
});

test('a tool that --allow-tool names is an exception from --read-only, and the operator is told', async () => {
  const exposed = await startExpose({
    server: flipsHint,
    args: ['--read-only', '--allow-tool', 'change', '--allow-tool', 's*'],
  });
  const client = await connect(exposed, 'v2');
  expect(await client.call('change')).toBe('did change');
  await expect(client.call('silent')).rejects.toThrow('tool not allowed: silent');
  await expect(client.call('look')).rejects.toThrow('tool not allowed: look');
  const warnings = exposed.events().filter(({ event }) => event === 'warning');
  expect(warnings.map(({ message }) => message)).toEqual([
    '--read-only allows tools that --allow-tool names, whatever they change: change',
  ]);
});

test('the environment sets the same rules, one for each line', async () => {
  const exposed = await startExpose({ server: flipsHint, env: { MCP_EXPOSE_DENY_TOOL: 'look\nflip' } });
  const client = await connect(exposed, 'v2');
  await expect(client.call('look')).rejects.toThrow('tool not allowed: look');
  await expect(client.call('flip')).rejects.toThrow('tool not allowed: flip');
  expect(await client.call('change')).toBe('did change');
});

test('a rule that matches no tool is warned of, and one that matches is not, though clients do not get its tool', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: ['--deny-tool', 'echos', '--deny-tool', 'ech?'] });
  expect(exposed.ready.servers).toMatchObject([{ tools: 1 }]);
  const warnings = exposed.events().flatMap(({ event, message }) => (event === 'warning' ? [message] : []));
  expect(warnings).toEqual(['--deny-tool echos matches no tool; the closest: echo, pid']);
});
