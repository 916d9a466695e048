// Clients that know only the transport of 2024: /sse and /messages beside /mcp.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { CallToolResultSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import type { Exposed } from '../harness/expose.ts';
import { atEnd } from '../harness/lifetime.ts';
import { fixture } from '../harness/program.ts';
import { connectV1 } from '../harness/sdk-clients.ts';
import { settledChildren } from '../harness/settled-children.ts';
import { exposeBy, ways } from '../harness/ways.ts';

const sseUrl = (exposed: Exposed): URL => new URL(exposed.url.replace(/\/mcp$/, '/sse'));

async function connectOld(exposed: Exposed): Promise<Client> {
  const client = new Client({ name: 'old', version: '0' }, { capabilities: { elicitation: {} } });
  // oxlint-disable-next-line typescript/no-deprecated -- the old transport is the story
  const transport = new SSEClientTransport(sseUrl(exposed), {
    requestInit: { headers: { Authorization: `Bearer ${exposed.token}` } },
  });
  atEnd('test', () => client.close());
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' as const, content: { name: 'Ada' } }));
  await client.connect(transport);
  return client;
}

async function call(client: Client, name: string, args = {}, onprogress?: (step: number) => void): Promise<string> {
  const options = onprogress && { onprogress: ({ progress }: { progress: number }) => onprogress(progress) };
  const result = await client.callTool({ name, arguments: args }, undefined, options);
  const [block] = CallToolResultSchema.parse(result).content;
  return block?.type === 'text' ? block.text : '';
}

describe.each(ways)('%s', (way) => {
  test('an old client calls tools, sees progress, and leaves no process behind', async () => {
    const exposed = await exposeBy(way, { server: fixture('progress') });
    const client = await connectOld(exposed);
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['count']);
    const seen: number[] = [];
    expect(await call(client, 'count', { n: 5 }, (step) => seen.push(step))).toBe('step counted to 5');
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    await client.close();
    // The one that is kept for the next client.
    await eventually(async () => expect(await settledChildren(exposed)).toHaveLength(1), 15_000);
  });

  test('the server can ask an old client', async () => {
    const exposed = await exposeBy(way, { server: fixture('asks') });
    const client = await connectOld(exposed);
    expect(await call(client, 'ask-elicitation')).toContain('Ada');
  });

  test('old and new clients are served side by side, each in a session of its own', async () => {
    const exposed = await exposeBy(way, { server: fixture('slow') });
    const [old, current] = [await connectOld(exposed), await connectV1(exposed.url, exposed.token)];
    const pids = [await call(old, 'pid'), await current.call('pid')];
    expect(new Set(pids).size).toBe(2);
  });

  test('an old client without the credential gets nowhere', async () => {
    const exposed = await exposeBy(way, { server: fixture('echo') });
    await expect(connectOld({ ...exposed, token: 'wrong' })).rejects.toThrow('401');
  });
});
