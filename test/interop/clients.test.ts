// Somebody uses my server with a client that is not an SDK: the MCP Inspector, or a desktop application by mcp-remote.
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { installedServer } from '../harness/program.ts';
import { connectThroughRemote, describeClients, inspect, streamableHttp } from './client-stories.ts';

describeClients('stdio', streamableHttp);

describe('server-everything', () => {
  let exposed: Exposed;
  beforeAll(async () => {
    const server = installedServer('mcp-server-everything');
    exposed = await startExpose({ args: ['--tunnel', 'none'], server, lifetime: 'file' });
  });
  const run = (method: string, ...args: string[]) => inspect(streamableHttp, exposed, exposed.token, method, ...args);

  test('MCP Inspector', async () => {
    const tools = await run('tools/list');
    expect(tools.result).toMatchObject({ tools: expect.arrayContaining([expect.objectContaining({ name: 'echo' })]) });
    const echo = await run('tools/call', '--tool-name', 'echo', '--tool-arg', 'message=hello');
    expect(echo.result).toMatchObject({ content: [{ type: 'text', text: 'Echo: hello' }] });
    const resources = await run('resources/list');
    expect(resources.result).toMatchObject({ resources: expect.arrayContaining([expect.anything()]) });
    const prompt = await run('prompts/get', '--prompt-name', 'simple-prompt');
    expect(prompt.result).toMatchObject({ messages: [{ role: 'user' }] });
  });

  test('mcp-remote', async () => {
    const { client, call, progressOf } = await connectThroughRemote(streamableHttp, exposed);
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['echo', 'get-sum']),
    );
    expect(await call('echo', { message: 'hello' })).toBe('Echo: hello');
    const steps = await progressOf('trigger-long-running-operation', { duration: 0.4, steps: 4 });
    expect(steps).toEqual([1, 2, 3, 4]);
  });
});
