// Modern clients of official legacy servers, over real pipes.
import { mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import type { LegacyExchanges } from '../../../src/bridge/exchange/legacy-exchanges.ts';
import { eventually } from '../../harness/eventually.ts';
import { killGroup } from '../../platform/process/node-process.ts';
import { createFakeCall, methodsOf, type FakeCall } from '../session/fake-sink.ts';
import { request } from '../messages.ts';
import { exchangesOf } from './real-server.ts';
import { askedIn, objectIn, resultOf, type Json } from './world.ts';

interface Client {
  readonly exchanges: LegacyExchanges;
  /** Of the server's processes so far. */
  readonly pids: number[];
  send(method: string, params?: Json, meta?: Json): FakeCall;
  /** Makes a call, answers what is asked, and returns the result, with the methods that were asked. */
  play(method: string, params?: Json, meta?: Json): Promise<{ result: Json; asked: unknown[]; call: FakeCall }>;
}

const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };

async function settled(call: FakeCall): Promise<FakeCall> {
  await eventually(() => expect(call.responses.length + call.failures.length).toBe(1), 30_000);
  return call;
}

function clientOf(name: string, args: readonly string[], answers: Readonly<Record<string, Json>>): Client {
  const { exchanges, pids } = exchangesOf(name, ...args);
  let lastId = 0;
  const send: Client['send'] = (method, params = {}, meta = {}) => {
    const call = createFakeCall();
    const envelope = { 'io.modelcontextprotocol/clientCapabilities': capabilities, ...meta };
    const sent = request(++lastId, method, { ...params, _meta: envelope });
    exchanges.request({ id: 'me', label: 'me' }, sent, call);
    return call;
  };
  return {
    exchanges,
    pids,
    send,
    async play(method, params = {}, meta = {}) {
      const asked: unknown[] = [];
      let call = await settled(send(method, params, meta));
      while (resultOf(call)['resultType'] === 'input_required') {
        const { inputRequests, requestState } = askedIn(call);
        const inputResponses = Object.fromEntries(
          Object.entries(inputRequests).map(([key, each]) => {
            const { method: what } = objectIn(each);
            asked.push(what);
            return [key, answers[String(what)]];
          }),
        );
        // oxlint-disable-next-line no-await-in-loop -- one round after the other
        call = await settled(send(method, { ...params, inputResponses, requestState }, meta));
      }
      return { result: resultOf(call), asked, call };
    },
  };
}

const answers = {
  'elicitation/create': { action: 'accept', content: { name: 'Ann', interpretation: 'technical' } },
  'sampling/createMessage': { role: 'assistant', content: { type: 'text', text: 'sampled' }, model: 'm' },
  'roots/list': { roots: [{ uri: 'file:///work', name: 'work' }] },
};

const everything = (): Client => clientOf('mcp-server-everything', ['stdio'], answers);

function tool(name: string, given: Json = {}): [string, Json] {
  return ['tools/call', { name, arguments: given }];
}

/** A call of a minute, under way. */
async function longCall(client: Client): Promise<FakeCall> {
  const call = client.send(...tool('trigger-long-running-operation', { duration: 60, steps: 60 }), {
    progressToken: 1,
  });
  await eventually(() => expect(call.got).not.toEqual([]), 20_000);
  return call;
}

/** The server asks for roots 350 ms after it was initialized, so that a call may have to answer. */
async function askedForRoots(client: Client): Promise<void> {
  await eventually(async () => {
    const { asked } = await client.play(...tool('get-roots-list'));
    expect(asked).toEqual(['roots/list']);
  }, 20_000);
}

test('server-everything: the tools of a client that can be asked, and a call', async () => {
  const client = everything();
  const discovered = await client.play('server/discover');
  expect(discovered.result).toMatchObject({ supportedVersions: ['2026-07-28'], capabilities: { tools: {} } });
  const { result } = await client.play('tools/list');
  expect(result['tools']).toHaveLength(17);
  expect(JSON.stringify(result)).not.toContain('taskSupport');
  const echo = await client.play(...tool('echo', { message: 'hi' }));
  expect(JSON.stringify(echo.result['content'])).toContain('hi');
  expect(client.exchanges.report().children).toBe(1);
});

test('server-everything: what it asks when it has started, before a call and in a call', async () => {
  const client = everything();
  await client.play('server/discover');
  await askedForRoots(client);
  const roots = await client.play(...tool('get-roots-list'));
  expect(JSON.stringify(roots.result)).toContain('file:///work');
  const form = await client.play(...tool('trigger-elicitation-request'));
  expect(form.asked).toContain('elicitation/create');
  expect(JSON.stringify(form.result)).toContain('Ann');
  const sampled = await client.play(...tool('trigger-sampling-request', { prompt: 'x' }));
  expect(sampled.asked).toContain('sampling/createMessage');
  expect(JSON.stringify(sampled.result)).toContain('sampled');
});

test('server-everything: an address to open, in a request and as an error', async () => {
  const client = everything();
  await askedForRoots(client);
  const url = { url: 'https://a.example/' };
  const asked = client.send(...tool('trigger-url-elicitation', url));
  await settled(asked);
  const [input] = Object.values(askedIn(asked).inputRequests);
  expect(input).toMatchObject({ method: 'elicitation/create', params: { mode: 'url', ...url } });
  expect(JSON.stringify(input)).not.toContain('elicitationId');
  const required = client.send(...tool('trigger-url-elicitation', { ...url, errorPath: true }));
  await settled(required);
  expect(Object.values(askedIn(required).inputRequests)).toMatchObject([
    { method: 'elicitation/create', params: { mode: 'url' } },
  ]);
});

test('server-everything: progress, and a call that is cancelled', async () => {
  const client = everything();
  await askedForRoots(client);
  const long = tool('trigger-long-running-operation', { duration: 0.3, steps: 3 });
  const { call } = await client.play(...long, { progressToken: 'p' });
  expect(methodsOf(call)).toEqual(Array.from({ length: 3 }, () => 'notifications/progress'));
  expect(call.got.map(({ json }) => json['params'])).toMatchObject([1, 2, 3].map((progress) => ({ progress })));
  const cancelled = await longCall(client);
  cancelled.leave();
  await client.play(...tool('echo', { message: 'x' }));
  expect([cancelled.responses, cancelled.failures]).toEqual([[], []]);
});

test('server-everything: a tool that runs as a task only, with a question in it', async () => {
  const client = everything();
  await askedForRoots(client);
  const { result, asked } = await client.play(...tool('simulate-research-query', { topic: 'x', ambiguous: true }));
  expect(asked).toContain('elicitation/create');
  expect(JSON.stringify(result)).toContain('Research Report: x (technical)');
});

test('server-everything: a task that its client looks after, and hears of', async () => {
  const client = everything();
  await askedForRoots(client);
  const meta = {
    'io.modelcontextprotocol/clientCapabilities': {
      ...capabilities,
      extensions: { 'io.modelcontextprotocol/tasks': {} },
    },
  };
  const { result: created } = await client.play(
    ...tool('simulate-research-query', { topic: 'x', ambiguous: true }),
    meta,
  );
  const { taskId } = created;
  expect(created).toMatchObject({ resultType: 'task', status: 'working', ttlMs: 300_000, pollIntervalMs: 1000 });
  const listen = client.send('subscriptions/listen', { notifications: { taskIds: [taskId] } }, meta);
  const look = async (): Promise<Json> => resultOf(await settled(client.send('tasks/get', { taskId }, meta)));
  await eventually(async () => expect(await look()).toMatchObject({ status: 'input_required' }), 20_000);
  const { inputRequests } = await look();
  const [key = ''] = Object.keys(objectIn(inputRequests));
  const inputResponses = { [key]: answers['elicitation/create'] };
  const update = await settled(client.send('tasks/update', { taskId, inputResponses }, meta));
  expect(resultOf(update)).toMatchObject({ resultType: 'complete' });
  await eventually(async () => expect(await look()).toMatchObject({ status: 'completed' }), 20_000);
  expect(JSON.stringify((await look())['result'])).toContain('Research Report: x (technical)');
  const news = listen.got
    .filter(({ method }) => method === 'notifications/tasks')
    .map(({ json }) => objectIn(json['params']));
  expect(news.at(-1)).toMatchObject({ taskId, status: 'completed', result: (await look())['result'] });
  expect(news.map(({ status }) => status)).toContain('input_required');
});

test('server-everything: log messages for a client that wants them', async () => {
  const client = everything();
  await askedForRoots(client);
  await client.play(...tool('toggle-simulated-logging'));
  const call = client.send(...tool('trigger-long-running-operation', { duration: 30, steps: 1 }), {
    'io.modelcontextprotocol/logLevel': 'debug',
  });
  await eventually(() => expect(methodsOf(call)).toContain('notifications/message'), 30_000);
  expect(client.exchanges.report().counters.droppedLogs).toBeGreaterThan(0);
});

test('server-everything: a subscription', async () => {
  const client = everything();
  const uri = 'demo://resource/dynamic/text/1';
  const listen = client.send('subscriptions/listen', {
    notifications: { toolsListChanged: true, resourceSubscriptions: [uri] },
  });
  await eventually(() => expect(methodsOf(listen)).toContain('notifications/subscriptions/acknowledged'), 20_000);
  expect(listen.got.at(0)?.json['params']).toMatchObject({
    notifications: { toolsListChanged: true, resourceSubscriptions: [uri] },
    _meta: { 'io.modelcontextprotocol/subscriptionId': 1 },
  });
  await client.play(...tool('toggle-subscriber-updates'));
  await eventually(() => expect(methodsOf(listen)).toContain('notifications/resources/updated'), 20_000);
  await client.exchanges.close();
  expect(resultOf(listen)).toMatchObject({ _meta: { 'io.modelcontextprotocol/subscriptionId': 1 } });
});

test('server-everything: a subscription to a server that was started again brings what may have changed', async () => {
  const client = everything();
  const listen = client.send('subscriptions/listen', { notifications: { toolsListChanged: true } });
  await eventually(() => expect(methodsOf(listen)).toContain('notifications/subscriptions/acknowledged'), 20_000);
  await askedForRoots(client);
  const before = listen.got.length;
  const [pid] = client.pids;
  if (pid !== undefined) killGroup(pid);
  await eventually(() => expect(methodsOf(listen).slice(before)).toContain('notifications/tools/list_changed'), 20_000);
  expect([listen.responses, listen.failures]).toEqual([[], []]);
  expect(client.pids).toHaveLength(2);
});

test('server-everything: killed while a call is in flight, it is there for the next one', async () => {
  const client = everything();
  await askedForRoots(client);
  const lost = await longCall(client);
  const [pid] = client.pids;
  if (pid !== undefined) killGroup(pid);
  await settled(lost);
  expect(lost.failures).toMatchObject([{ code: -32603, data: { reason: 'upstream_exited' } }]);
  await client.play(...tool('echo', { message: 'again' }));
  expect(client.exchanges.report().children).toBe(1);
});

test('server-filesystem: without directories of its own, it works in the roots of the client', async () => {
  const root = realpathSync(mkdtempSync(path.join(tmpdir(), 'mcp-expose-root-')));
  const client = clientOf('mcp-server-filesystem', [], {
    'roots/list': { roots: [{ uri: pathToFileURL(root).href, name: 'root' }] },
  });
  const { result, asked } = await client.play(...tool('list_allowed_directories'));
  expect(asked).toEqual(['roots/list']);
  expect(JSON.stringify(result['content'])).toContain(root);
});
