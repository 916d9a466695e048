// The fixtures of both eras do what their names say, without mcp-expose between them and a client.
import { Client as ClientV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { CallToolResultSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect, test } from 'vitest';
import { failureOf } from '../harness/failure-of.ts';
import { startHttpFixture } from '../harness/http-fixture.ts';
import { parseJson } from '../harness/parse-json.ts';
import { atEnd } from '../harness/lifetime.ts';
import { fixture } from '../harness/program.ts';
import { connectWith } from '../harness/sdk-clients.ts';

const info = { name: 'fixtures', version: '0' };

async function modern(name: string) {
  const [command = '', ...args] = fixture(name);
  const client = new ClientV2(info, {
    capabilities: { elicitation: { form: {} }, sampling: {}, roots: {} },
    versionNegotiation: { mode: { pin: '2026-07-28' } },
  });
  client.setRequestHandler('elicitation/create', ({ params }) => ({
    action: 'accept',
    content: { name: `told ${params.message}` },
  }));
  client.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant',
    model: 'm',
    content: { type: 'text', text: 'words' },
  }));
  client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///home' }] }));
  atEnd('test', () => client.close());
  await client.connect(new StdioV2({ command, args }));
  const call = async (tool: string, args_: Record<string, unknown> = {}) => {
    const [block] = (await client.callTool({ name: tool, arguments: args_ })).content;
    return block?.type === 'text' ? block.text : '';
  };
  return { client, call };
}

async function legacy(name: string) {
  const [command = '', ...args] = fixture(name);
  const client = new ClientV1(info, { capabilities: { elicitation: { form: {} } } });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({
    action: 'accept',
    content: { name: `told ${params.message}` },
  }));
  atEnd('test', () => client.close());
  await client.connect(new StdioV1({ command, args }));
  const call = async (tool: string, args_: Record<string, unknown> = {}) => {
    const { content } = CallToolResultSchema.parse(await client.callTool({ name: tool, arguments: args_ }));
    return content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  };
  return { client, call };
}

describe('modern-only and dual-era', () => {
  test.each(['modern-only', 'dual-era'])('%s asks, one round or several', async (name) => {
    const { call } = await modern(name);
    expect(await call('era')).toBe('modern');
    expect(parseJson(await call('ask'))).toMatchObject({ content: { name: 'told What is your name?' } });
    expect(parseJson(await call('ask-3-kinds'))).toMatchObject([
      { action: 'accept' },
      { content: { text: 'words' } },
      { roots: [{ uri: 'file:///home' }] },
    ]);
    expect(parseJson(await call('multi-round', { rounds: 3 }))).toEqual([
      'told Name 1?',
      'told Name 2?',
      'told Name 3?',
    ]);
  });

  test('modern-only refuses the legacy era, dual-era does not', async () => {
    await expect(legacy('modern-only')).rejects.toThrow('Unsupported protocol version');
    const { call } = await legacy('dual-era');
    expect(await call('era')).toBe('legacy');
    expect(parseJson(await call('ask'))).toMatchObject({ content: { name: 'told What is your name?' } });
  });

  test('an output may be an array, and what is cancelled is counted', async () => {
    const { client, call } = await modern('modern-only');
    expect((await client.callTool({ name: 'array-output' })).structuredContent).toEqual([1, 2, 3]);
    const ended = new AbortController();
    const held = client.callTool(
      { name: 'slow', arguments: { steps: 1, hold: true } },
      { signal: ended.signal, onprogress: () => ended.abort() },
    );
    await expect(held).rejects.toThrow('abort');
    expect(await call('cancelled-calls')).toBe('1');
  });
});

test.each(['legacy-only', 'nasty'])('%s refuses the modern era', async (name) => {
  await expect(modern(name)).rejects.toThrow('2026-07-28');
});

test('legacy-only has the same tools as modern-only', async () => {
  const { call } = await legacy('legacy-only');
  expect(await call('era')).toBe('legacy');
  expect(parseJson(await call('multi-round'))).toEqual(['told Name 1?', 'told Name 2?']);
});

test('nasty asks in turn and at once, and in a hurry; it wants a sign-in and a task', async () => {
  const { call } = await legacy('nasty');
  expect(parseJson(await call('ask-in-turn'))).toEqual(['told First name?', 'told Second name?']);
  expect(parseJson(await call('ask-at-once'))).toEqual(['told First name?', 'told Second name?']);
  await expect(call('ask-without-capability')).rejects.toThrow('-32601');
  expect(parseJson(await call('ask-and-cope'))).toMatchObject({ error: { code: -32601 } });
  await expect(call('needs-sign-in')).rejects.toMatchObject({ code: -32042 });
  await expect(call('as-a-task')).rejects.toThrow('task');
});

const elicit = () => ({ name: 'Ada' });

describe('over HTTP', () => {
  test.each([
    ['reject', 'Unsupported protocol version'],
    ['stateless', 'no error, but legacy'],
  ])('modern-http %s', async (mode, outcome) => {
    const { http } = await startHttpFixture('modern-http', { args: [mode] });
    const client = await connectWith.v2(http, '', { era: 'modern', elicit });
    expect(await client.call('era')).toBe('modern');
    expect(parseJson(await client.call('ask'))).toMatchObject({ content: { name: 'Ada' } });
    await client.watch('test://greeting');
    await client.call('poke');
    await client.nextNotification('notifications/resources/updated');
    expect(await failureOf(connectWith.v1(http, '').then((old) => old.call('era')))).toContain(outcome);
  });

  test('legacy-http, over both transports', async () => {
    const { http, sse } = await startHttpFixture('legacy-http');
    const client = await connectWith.v1(http, '', { elicit });
    expect(parseJson(await client.call('ask'))).toMatchObject({ content: { name: 'Ada' } });
    const old = await connectWith['v1 over HTTP+SSE'](sse, '', { elicit });
    expect(parseJson(await old.call('ask'))).toMatchObject({ content: { name: 'Ada' } });
  });
});

test('modern-rarities sends what is rare', async () => {
  const { client } = await modern('modern-rarities');
  expect(await client.listTools()).toMatchObject({ cacheScope: 'public', ttlMs: 60_000 });
  await expect(client.callTool({ name: 'unknown-result-type' })).rejects.toThrow('surprise');
  await expect(client.callTool({ name: 'task' })).rejects.toThrow('task');
  await expect(client.callTool({ name: 'asks-for-ever' })).rejects.toThrow(/round/i);
});
