// The official client of the modern era with an official legacy server, through our endpoint.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { expect, test } from 'vitest';
import { eventually } from '../../harness/eventually.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { startGateway, token } from '../../http/gateway.ts';
import { exchangesOf } from './real-server.ts';

async function connect(): Promise<Client> {
  const { exchanges } = exchangesOf('mcp-server-everything', 'stdio');
  const gateway = await startGateway('HTTP/1.1', { exchanges });
  const client = new Client(
    { name: 'tester', version: '7' },
    {
      capabilities: { elicitation: { form: {} }, sampling: {}, roots: {} },
      versionNegotiation: { mode: { pin: '2026-07-28' } },
    },
  );
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept' as const, content: { name: 'Ann' } }));
  client.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant' as const,
    content: { type: 'text' as const, text: 'sampled' },
    model: 'm',
  }));
  client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///work', name: 'work' }] }));
  const requestInit = { headers: { Authorization: `Bearer ${token}` } };
  atEnd('test', () => client.close());
  const url = new URL(`http://127.0.0.1:${gateway.web.port}/mcp`);
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
  return client;
}

async function text(client: Client, name: string, given: Record<string, unknown> = {}): Promise<string> {
  return JSON.stringify(await client.callTool({ name, arguments: given }));
}

test('lists, calls, and answers what the server asks in a call', async () => {
  const client = await connect();
  expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
  expect((await client.listTools()).tools.length).toBeGreaterThan(13);
  expect(await text(client, 'echo', { message: 'hi' })).toContain('hi');
  expect(await text(client, 'trigger-elicitation-request')).toContain('Ann');
  expect(await text(client, 'trigger-sampling-request', { prompt: 'x' })).toContain('sampled');
  await eventually(async () => expect(await text(client, 'get-roots-list')).toContain('file:///work'), 20_000);
});

test('hears of progress and of resources that it has subscribed to', async () => {
  const client = await connect();
  const progress: number[] = [];
  await client.callTool(
    { name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } },
    {
      onprogress(report) {
        // With a message, it is the client's own report that it was asked something: the server may ask for roots meanwhile.
        if (report.message === undefined) progress.push(report.progress);
      },
    },
  );
  // The client also tells of each round in which it was asked something: here for its roots.
  expect([...new Set(progress)]).toEqual([1, 2, 3]);
  const uri = 'demo://resource/dynamic/text/1';
  const updated: string[] = [];
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void updated.push(params.uri));
  const subscription = await client.listen({ resourceSubscriptions: [uri] });
  expect(subscription.honoredFilter).toEqual({ resourceSubscriptions: [uri] });
  await text(client, 'toggle-subscriber-updates');
  await eventually(() => expect(updated).toContain(uri), 20_000);
  await subscription.close();
});
