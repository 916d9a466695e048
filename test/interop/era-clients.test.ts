// Clients that people have, of either era, in front of servers of either era.
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture } from '../harness/program.ts';
import { connectThroughRemote, inspect, streamableHttp } from './client-stories.ts';

describe.each([
  ['legacy', 'legacy-only'],
  ['modern', 'modern-only'],
])('a %s server', (era, name) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await startExpose({ server: fixture(name), lifetime: 'file' });
  });

  describe.each(['legacy', 'auto', 'modern'])('MCP Inspector --protocol-era %s', (spoken) => {
    const run = (method: string, ...args: string[]) =>
      inspect(streamableHttp, exposed, exposed.token, method, '--protocol-era', spoken, ...args);

    test('lists and calls tools, lists resources', async () => {
      const { result } = await run('tools/list');
      expect(result).toMatchObject({ tools: expect.arrayContaining([expect.objectContaining({ name: 'echo' })]) });
      const called = await run('tools/call', '--tool-name', 'era');
      expect(called.result).toMatchObject({ content: [{ type: 'text', text: era }] });
      const resources = await run('resources/list');
      expect(resources.result).toMatchObject({ resources: [{ uri: 'test://greeting' }] });
    });
  });

  test('mcp-remote --protocol auto', async () => {
    const { client, call, progressOf } = await connectThroughRemote(streamableHttp, exposed, {
      flags: ['--protocol', 'auto'],
    });
    client.setRequestHandler(CreateMessageRequestSchema, () => ({
      role: 'assistant' as const,
      model: 'test-model',
      content: { type: 'text' as const, text: 'words' },
    }));
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({
      action: 'accept' as const,
      content: { name: `told ${params.message}` },
    }));
    expect(client.getServerVersion()?.name).toBe('fixture-eras');
    expect(await call('era')).toBe(era);
    expect(await call('echo', { text: 'grüße 🦊' })).toBe('grüße 🦊');
    expect(await progressOf('slow', { steps: 3 })).toEqual([1, 2, 3]);
    expect(parseJson(await call('multi-round'))).toEqual(['told Name 1?', 'told Name 2?']);
    expect(parseJson(await call('ask'))).toMatchObject({ content: { name: 'told What is your name?' } });
  });
});
