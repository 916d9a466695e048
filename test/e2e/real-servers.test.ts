// Somebody uses my server with the client they have: the official servers with both official clients, both ways.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Exposed } from '../harness/expose.ts';
import { installedServer, temporaryDirectory } from '../harness/program.ts';
import { connectV2, connectWith, type SdkVersion } from '../harness/sdk-clients.ts';
import { exposeBy, ways } from '../harness/ways.ts';

const sdkVersions: SdkVersion[] = ['v1', 'v2'];

describe.each(ways)('server-everything %s', (way) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await exposeBy(way, { server: installedServer('mcp-server-everything'), lifetime: 'file' });
  });

  test('the ready event says what is exposed and where', () => {
    const [server] = exposed.ready.servers;
    expect(server).toMatchObject({ name: 'mcp-servers/everything', path: '/mcp', era: 'legacy' });
    expect(server?.tools).toBeGreaterThanOrEqual(10);
    expect(server?.protocolVersion).toMatch(/^\d{4}-\d\d-\d\d$/);
    expect(exposed.localUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/);
    expect(exposed.url).toMatch(/\/mcp$/);
    expect(exposed.ready.tunnel.provider).toBe(way === 'locally' ? 'none' : 'relay');
    expect(exposed.token).toMatch(/^mcpx_[\w-]{43,}$/);
  });

  describe.each(sdkVersions)('SDK client %s', (version) => {
    const connect = (handlers = {}) => connectWith[version](exposed.url, exposed.token, handlers);

    test('lists and calls tools', async () => {
      const client = await connect();
      expect(client.serverName()).toBe('mcp-servers/everything');
      expect(await client.tools()).toEqual(expect.arrayContaining(['echo', 'get-sum']));
      expect(await client.call('echo', { message: 'grüße \u2028 🦊' })).toBe('Echo: grüße \u2028 🦊');
      expect(await client.call('get-sum', { a: 2, b: 3 })).toContain('5');
    });

    test('reads resources and prompts', async () => {
      const client = await connect();
      const [uri = ''] = await client.resources();
      expect(await client.readResource(uri)).not.toBe('');
      expect(await client.prompts()).toContain('simple-prompt');
      expect(await client.prompt('simple-prompt')).not.toBe('');
    });

    test('sees the capabilities of the server unchanged', async () => {
      const client = await connect();
      expect(client.serverCapabilities()).toMatchObject({
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        logging: {},
      });
    });

    test('offers its own capabilities to the server, which registers more tools and says so', async () => {
      const plain = await connect();
      const capable = await connect({ sample: () => '', elicit: () => ({}), roots: [] });
      await capable.nextNotification('notifications/tools/list_changed');
      const more = await capable.tools();
      const before = await plain.tools();
      expect(more.filter((tool) => !before.includes(tool))).toEqual(
        expect.arrayContaining(['trigger-sampling-request', 'trigger-elicitation-request', 'get-roots-list']),
      );
    });

    test('follows the progress of a call', async () => {
      const client = await connect();
      const steps: number[] = [];
      const answer = await client.call(
        'trigger-long-running-operation',
        { duration: 0.4, steps: 4 },
        { onprogress: ({ progress }) => steps.push(progress) },
      );
      expect(answer).toContain('completed');
      expect(steps).toEqual([1, 2, 3, 4]);
    });

    test('cancels a call and goes on with the next', async () => {
      const client = await connect();
      const cancel = new AbortController();
      const call = client.call(
        'trigger-long-running-operation',
        { duration: 60, steps: 600 },
        { signal: cancel.signal, onprogress: () => cancel.abort('changed my mind') },
      );
      await expect(call).rejects.toThrow('changed my mind');
      expect(await client.call('echo', { message: 'still here' })).toBe('Echo: still here');
      const steps: number[] = [];
      await client.call(
        'trigger-long-running-operation',
        { duration: 0.2, steps: 2 },
        { onprogress: ({ progress }) => steps.push(progress) },
      );
      expect(steps).toEqual([1, 2]);
    });

    test('answers sampling, elicitation and roots', async () => {
      const client = await connect({
        sample: (prompt: string) => `sampled from ${prompt}`,
        elicit: () => ({ name: 'Ada Lovelace' }),
        roots: ['file:///tmp/of-the-client'],
      });
      await client.nextNotification('notifications/tools/list_changed');
      expect(await client.call('trigger-sampling-request', { prompt: 'a question' })).toMatch(
        /sampled from .*a question/,
      );
      expect(await client.call('trigger-elicitation-request')).toContain('Ada Lovelace');
      expect(await client.call('get-roots-list')).toContain('file:///tmp/of-the-client');
    });

    test('is told about a resource that it subscribed to', async () => {
      const client = await connect();
      const [uri = ''] = await client.resources();
      await client.subscribe(uri);
      await client.call('toggle-subscriber-updates');
      const { params } = await client.nextNotification('notifications/resources/updated');
      expect(params).toMatchObject({ uri });
    });

    test('two clients at once, whose request ids are equal, never see each other’s answers', async () => {
      const clients = await Promise.all([connect(), connect()]);
      const answers = await Promise.all(
        clients.map((client, who) =>
          Promise.all(Array.from({ length: 20 }, (_, n) => client.call('echo', { message: `${who}-${n}` }))),
        ),
      );
      expect(answers).toEqual([0, 1].map((who) => Array.from({ length: 20 }, (_, n) => `Echo: ${who}-${n}`)));
    });
  });

  test('SDK client v2 that tries the modern era first falls back to the legacy one', async () => {
    const client = await connectV2(exposed.url, exposed.token, { era: 'auto' });
    expect(await client.call('echo', { message: 'hi' })).toBe('Echo: hi');
  });
});

describe.each(ways)('server-filesystem %s', (way) => {
  let exposed: Exposed;
  let directory: string;
  beforeAll(async () => {
    directory = path.join(temporaryDirectory('file'), 'a directory with spaces');
    mkdirSync(directory);
    writeFileSync(path.join(directory, 'hello.txt'), 'hello from a file\n');
    exposed = await exposeBy(way, { server: installedServer('mcp-server-filesystem', directory), lifetime: 'file' });
  });

  test.each(sdkVersions)('SDK client %s lists a directory, reads and writes files', async (version) => {
    const client = await connectWith[version](exposed.url, exposed.token);
    expect(await client.tools()).toEqual(expect.arrayContaining(['read_text_file', 'write_file', 'list_directory']));
    expect(await client.call('list_directory', { path: directory })).toContain('hello.txt');
    expect(await client.call('read_text_file', { path: path.join(directory, 'hello.txt') })).toBe(
      'hello from a file\n',
    );
    const large = path.join(directory, `large-${version}.txt`);
    const content = 'line of text\n'.repeat(100_000); // 1.3 MB, beyond the body limit of common frameworks
    await client.call('write_file', { path: large, content });
    expect(await client.call('read_text_file', { path: large })).toBe(content);
    expect(await client.call('read_text_file', { path: '/etc/passwd' })).toMatch(/denied/i);
  });
});
