// Legacy clients of the official SDKs with a server of SDK v2 that refuses the legacy era, over our own sessions.
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect, test } from 'vitest';
import { LegacyFace } from '../../../src/bridge/modern/legacy-face.ts';
import { LegacyChoice } from '../../../src/bridge/modern/legacy-choice.ts';
import { ModernHttpUpstream } from '../../../src/bridge/upstream/http/modern-http.ts';
import { StdioUpstream } from '../../../src/bridge/upstream/stdio/stdio.ts';
import type { Upstream } from '../../../src/bridge/upstream/upstream.ts';
import { EventStore } from '../../../src/http/responses/event-store.ts';
import { execa } from '../../../src/platform/process/execa.ts';
import { cleanEnvironment } from '../../harness/program.ts';
import { eventually } from '../../harness/eventually.ts';
import { startHttpFixture } from '../../harness/http-fixture.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { connectWith, type ClientHandlers, type SdkClient, type SdkVersion } from '../../harness/sdk-clients.ts';
import { startTcpProxy } from '../../harness/tcp-proxy.ts';
import { startGateway, token } from '../../http/gateway.ts';
import { fixtureCommand } from '../upstream/stdio/stdio-server.ts';

const watchdog = { guard() {}, release() {}, killAll() {}, close: () => Promise.resolve() };

function start(name: string): Upstream {
  return new StdioUpstream({
    command: fixtureCommand(name),
    env: cleanEnvironment('/nonexistent'),
    execa,
    watchdog,
    onStderr() {},
    onWarning() {},
  });
}

const translated = (name: string): Upstream => new LegacyFace(start(name), { onWarning() {} });

async function serve(nextUpstream = () => translated('modern-only')): Promise<string> {
  const { web } = await startGateway('HTTP/1.1', { nextUpstream, resumption: { eventStore: new EventStore({}) } });
  return `http://127.0.0.1:${web.port}/mcp`;
}

const versions: SdkVersion[] = ['v1', 'v2', 'v1 over HTTP+SSE'];

/** A session with a server that is reached over HTTP. */
async function serveHttp(): Promise<string> {
  const { http: url } = await startHttpFixture('modern-http');
  const settings = { url, headers: new Map<string, string>(), maxMessageBytes: 1_000_000, onWarning() {} };
  return serve(() => new LegacyFace(new ModernHttpUpstream(settings), { onWarning() {} }));
}

const cells = versions.flatMap((version) => [
  { version, transport: 'stdio', serveIt: serve },
  { version, transport: 'HTTP', serveIt: serveHttp },
]);

describe.each(cells)('a legacy client of SDK $version, with a server over $transport', ({ version, serveIt }) => {
  const connect = async (handlers?: ClientHandlers): Promise<SdkClient> =>
    connectWith[version](await serveIt(), token, handlers);

  test('sees a server, its tools and their results', async () => {
    const client = await connect();
    expect(client.serverName()).toBe('fixture-eras');
    expect(client.serverCapabilities()).toMatchObject({ tools: { listChanged: true }, logging: {} });
    expect(await client.tools()).toContain('array-output');
    expect(await client.call('echo', { text: 'hello' })).toBe('hello');
    expect(await client.call('era')).toBe('modern');
    expect(await client.call('array-output')).toBe('[1,2,3]');
    expect(await client.readResource('test://greeting')).toBe('hello');
  });

  test('answers what the server asks, several things at once and one after the other', async () => {
    let asked = 0;
    const client = await connect({
      elicit: () => ({ name: `Ada ${++asked}` }),
      sample: () => 'words',
      roots: ['file:///r'],
    });
    expect(JSON.parse(await client.call('ask'))).toMatchObject({ action: 'accept', content: { name: 'Ada 1' } });
    expect(JSON.parse(await client.call('ask-3-kinds'))).toMatchObject([
      { content: { name: 'Ada 2' } },
      { content: { text: 'words' } },
      { roots: [{ uri: 'file:///r' }] },
    ]);
    expect(JSON.parse(await client.call('multi-round', { rounds: 3 }))).toEqual(['Ada 3', 'Ada 4', 'Ada 5']);
    expect(await client.prompt('greeting')).toBe('Greet Ada 6');
    const both = await Promise.all([client.call('ask'), client.call('ask')]);
    expect(new Set(both.map((text) => JSON.parse(text).content.name))).toEqual(new Set(['Ada 7', 'Ada 8']));
  });

  test('that is not capable of it is not asked', async () => {
    const client = await connect();
    await expect(client.call('ask')).rejects.toThrow(/elicitation/);
  });

  test('hears of changes', async () => {
    const client = await connect();
    await client.subscribe('test://greeting');
    await client.call('poke');
    await client.nextNotification('notifications/resources/updated');
    expect(await client.nextNotification('notifications/tools/list_changed')).toBeDefined();
  });

  test('hears of progress, and cancels a call at the server', async () => {
    const client = await connect();
    const abort = new AbortController();
    const seen: number[] = [];
    const onprogress = ({ progress }: { progress: number }): void => {
      if (seen.push(progress) === 3) abort.abort('enough');
    };
    const call = client.call('slow', { steps: 3, hold: true }, { signal: abort.signal, onprogress });
    await expect(call).rejects.toThrow(/enough/);
    expect(seen).toEqual([1, 2, 3]);
    await eventually(async () => expect(await client.call('cancelled-calls')).toBe('1'));
  });
});

test('a log level holds for the session, and a subscription until it is ended', async () => {
  const client = new ClientV1({ name: 'c', version: '1' }, { capabilities: { elicitation: { url: {} } } });
  const seen: string[] = [];
  client.fallbackNotificationHandler = ({ method }) => Promise.resolve(void seen.push(method));
  const urls: unknown[] = [];
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    urls.push(params);
    return { action: 'accept' };
  });
  atEnd('test', () => client.close());
  await client.connect(
    new StreamableHTTPClientTransport(new URL(await serve()), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    }),
  );
  expect(client.getInstructions()).toBe('Ask nothing but questions');
  await client.callTool({ name: 'slow' });
  expect(seen).toEqual([]);
  await client.setLoggingLevel('info');
  await client.callTool({ name: 'slow', arguments: { steps: 2 } });
  expect(seen.filter((method) => method === 'notifications/message')).toHaveLength(2);
  await expect(client.callTool({ name: 'ask-url' })).resolves.toBeDefined();
  expect(urls).toMatchObject([{ mode: 'url', url: 'https://login.example/', elicitationId: expect.any(String) }]);
  await client.subscribeResource({ uri: 'test://greeting' });
  await client.unsubscribeResource({ uri: 'test://greeting' });
  seen.splice(0);
  await client.callTool({ name: 'poke' });
  await eventually(() => expect(seen).toContain('notifications/prompts/list_changed'));
  expect(seen).not.toContain('notifications/resources/updated');
  // The SDK checks the output against the schema that it was given.
  await client.listTools();
  await expect(client.callTool({ name: 'array-output' })).resolves.toMatchObject({
    structuredContent: { result: [1, 2, 3] },
  });
});

test.each([
  ['dual-era', 'legacy'],
  ['modern-only', 'modern'],
])('each client gets the era that is best for it: %s', async (name, era) => {
  const choice = new LegacyChoice({ own: () => start(name), translated: () => translated(name) });
  const url = await serve(() => choice.next());
  for (const version of versions) {
    const client = await connectWith[version](url, token, { elicit: () => ({ name: 'Ada' }) }); // oxlint-disable-line no-await-in-loop -- the first client decides
    expect(await client.call('era')).toBe(era); // oxlint-disable-line no-await-in-loop
    expect(JSON.parse(await client.call('ask'))).toMatchObject({ content: { name: 'Ada' } }); // oxlint-disable-line no-await-in-loop
  }
  expect(choice.speaksLegacy).toBe(era === 'legacy');
});

test.each(['v1', 'v2'] as const)(
  'SDK client %s: a user who is asked while the network breaks is asked once, and the call goes on',
  async (version) => {
    const url = await serve();
    const proxy = await startTcpProxy(url);
    let asked = 0;
    const client = await connectWith[version](proxy.through(url), token, {
      async elicit() {
        asked++;
        const before = proxy.count();
        proxy.cut();
        await eventually(() => expect(proxy.count()).toBeGreaterThanOrEqual(before + 2), 10_000);
        return { name: 'Ada' };
      },
    });
    expect(JSON.parse(await client.call('multi-round', { rounds: 2 }))).toEqual(['Ada', 'Ada']);
    expect(asked).toBe(2);
  },
);
