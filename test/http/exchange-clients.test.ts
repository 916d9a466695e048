// The official client of the modern era against our endpoint, in front of a server that the test plays.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { beforeEach, expect, test } from 'vitest';
import { memberOf } from '../../src/mcp/json-rpc.ts';
import { paramHeaderProblem, paramHeadersOf } from '../../src/mcp/param-headers.ts';
import { newError, newResult } from '../../src/mcp/new-message.ts';
import { notification } from '../bridge/messages.ts';
import { eventually, within } from '../harness/eventually.ts';
import { atEnd } from '../harness/lifetime.ts';
import { connectV1 } from '../harness/sdk-clients.ts';
import { createDeferred } from '../../src/platform/deferred.ts';
import { FakeExchanges, type Begun } from './fake-exchanges.ts';
import { startGateway, token, type Gateway } from './gateway.ts';

const revision = '2026-07-28';
const lasting = { ttlMs: 0, cacheScope: 'private' };

const tools = [
  { name: 'echo größe', inputSchema: { type: 'object' } },
  {
    name: 'query',
    inputSchema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } },
  },
  { name: 'ask', inputSchema: { type: 'object' } },
];

/** What the server answers, by method. */
const results: Record<string, object> = {
  'server/discover': { supportedVersions: [revision], capabilities: { tools: { listChanged: true } }, ...lasting },
  'tools/list': { tools, ...lasting },
};

const elicitation = {
  method: 'elicitation/create',
  params: {
    mode: 'form',
    message: 'who?',
    requestedSchema: { type: 'object', properties: { who: { type: 'string' } } },
  },
};

function serve({ request, call }: Begun): void {
  const { id, method, json } = request;
  const finish = (result: object): void => void call.finish(newResult(id, { resultType: 'complete', ...result }));
  const known = results[method];
  if (known !== undefined) {
    finish(known);
    return;
  }
  if (method !== 'tools/call') {
    call.finish(newError({ id, code: -32601, message: `no such method: ${method}` }));
    return;
  }
  const { params } = json;
  const name = memberOf(params, 'name');
  const declared = paramHeadersOf(tools.find((tool) => tool.name === name)?.inputSchema);
  const problem =
    'problem' in declared
      ? declared.problem
      : paramHeaderProblem(declared, memberOf(params, 'arguments'), call.paramHeaders ?? new Map());
  const progressToken = memberOf(memberOf(params, '_meta'), 'progressToken');
  if (progressToken !== undefined) call.send(notification('notifications/progress', { progressToken, progress: 1 }));
  if (problem !== undefined) call.fail({ code: -32020, message: problem });
  else if (name === 'ask' && memberOf(params, 'requestState') !== 'state')
    finish({ resultType: 'input_required', inputRequests: { q1: elicitation }, requestState: 'state' });
  else
    finish({
      content: [
        { type: 'text', text: JSON.stringify(memberOf(params, name === 'ask' ? 'inputResponses' : 'arguments')) },
      ],
    });
}

let gateway: Gateway;
let exchanges: FakeExchanges;
const url = (): URL => new URL(`http://127.0.0.1:${gateway.web.port}/mcp`);

beforeEach(async () => {
  exchanges = new FakeExchanges();
  exchanges.onRequest = serve;
  gateway = await startGateway('HTTP/1.1', { exchanges });
});

async function connect(mode: 'auto' | { pin: string } = { pin: revision }): Promise<Client> {
  const client = new Client(
    { name: 'tester', version: '7' },
    { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode } },
  );
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept' as const, content: { who: 'me' } }));
  const requestInit = { headers: { Authorization: `Bearer ${token}` } };
  atEnd('test', () => client.close());
  await client.connect(new StreamableHTTPClientTransport(url(), { requestInit }));
  return client;
}

test.each(['auto', { pin: revision }] as const)(
  'a client with %j lists and calls tools, without a session',
  async (mode) => {
    const client = await connect(mode);
    expect(client.getNegotiatedProtocolVersion()).toBe(revision);
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['echo größe', 'query', 'ask']);
    const { content } = await client.callTool({ name: 'echo größe', arguments: { text: 'grüße' } });
    expect(content).toEqual([{ type: 'text', text: '{"text":"grüße"}' }]);
    expect(gateway.upstreams).toEqual([]);
    expect(gateway.reports.map(({ clientInfo }) => clientInfo)).toEqual(
      gateway.reports.map(() => ({ name: 'tester', version: '7' })),
    );
  },
);

test('an argument that a tool wants in a header comes with it', async () => {
  const client = await connect();
  await client.listTools();
  const { content } = await client.callTool({ name: 'query', arguments: { region: 'größe' } });
  expect(content).toEqual([{ type: 'text', text: '{"region":"größe"}' }]);
  expect(exchanges.begun.at(-1)?.call.paramHeaders).toEqual(new Map([['mcp-param-region', '=?base64?Z3LDtsOfZQ==?=']]));
});

test('a header that the client did not know of is sent after it was told so', async () => {
  const client = await connect();
  const { content } = await client.callTool({ name: 'query', arguments: { region: 'eu' } });
  expect(content).toEqual([{ type: 'text', text: '{"region":"eu"}' }]);
  expect(exchanges.begun.map(({ request: { method } }) => method)).toEqual([
    'server/discover',
    'tools/call',
    'tools/list',
    'tools/call',
  ]);
});

test('a call can need input', async () => {
  const client = await connect();
  const { content } = await client.callTool({ name: 'ask' });
  expect(content).toEqual([{ type: 'text', text: '{"q1":{"action":"accept","content":{"who":"me"}}}' }]);
});

test('progress comes before the result', async () => {
  const client = await connect();
  const seen: number[] = [];
  await client.callTool({ name: 'ask' }, { onprogress: ({ progress }) => seen.push(progress) });
  expect(seen[0]).toBe(1);
});

test('a call that the client gives up is cancelled', async () => {
  const client = await connect();
  const begun = createDeferred<void>();
  const gone = createDeferred<void>();
  exchanges.onRequest = ({ call }) => {
    call.whenGone(() => gone.resolve());
    begun.resolve();
  };
  const abort = new AbortController();
  const failed = client.callTool({ name: 'ask' }, { signal: abort.signal }).catch((error: unknown) => error);
  await within(15_000, 'the call', begun.promise);
  abort.abort();
  await within(15_000, 'the end of the call', gone.promise);
  expect(await failed).toMatchObject({ message: expect.stringContaining('aborted') });
});

test('an error that says that the request is wrong reaches the client as it is', async () => {
  const client = await connect();
  const data = { requiredCapabilities: { sampling: {} } };
  exchanges.onRequest = ({ call }) => call.fail({ code: -32021, message: 'needs sampling', data });
  await expect(client.callTool({ name: 'ask' })).rejects.toMatchObject({ code: -32021, data });
});

test('a subscription stays open until the client ends it', async () => {
  const client = await connect();
  const [changed, gone] = [createDeferred<void>(), createDeferred<void>()];
  client.setNotificationHandler('notifications/tools/list_changed', () => changed.resolve());
  exchanges.onRequest = ({ request: { id }, call }) => {
    const tag = { 'io.modelcontextprotocol/subscriptionId': id };
    call.whenGone(() => gone.resolve());
    call.send(
      notification('notifications/subscriptions/acknowledged', {
        _meta: tag,
        notifications: { toolsListChanged: true },
      }),
    );
    call.send(notification('notifications/tools/list_changed', { _meta: tag }));
  };
  const subscription = await client.listen({ toolsListChanged: true });
  await within(15_000, 'the notification', changed.promise);
  await subscription.close();
  await within(15_000, 'the end of the subscription', gone.promise);
  // It says so, too, in case that the transport cannot close a stream.
  await eventually(() => expect(exchanges.notified.map(({ method }) => method)).toEqual(['notifications/cancelled']));
});

test('a legacy client opens a session at the same endpoint', async () => {
  const client = await connectV1(url().href, token);
  expect(client.sessionId()).toMatch(/^[\w-]{22}$/);
  expect([exchanges.begun.length, gateway.upstreams.length]).toEqual([0, 1]);
});

test('a client of both eras opens a session where modern clients are refused', async () => {
  gateway = await startGateway('HTTP/1.1');
  const client = await connect('auto');
  expect([client.getNegotiatedProtocolVersion(), gateway.upstreams.length]).toEqual(['2025-11-25', 1]);
  await expect(connect()).rejects.toThrow('2026-07-28');
});
