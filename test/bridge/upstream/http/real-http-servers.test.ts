// The upstreams against servers that were made with the official SDK.
import { randomUUID } from 'node:crypto';
import { spawn } from 'node:child_process';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { type EventStore, StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect, test } from 'vitest';
import { eventually, within } from '../../../harness/eventually.ts';
import { gate } from '../../../harness/gate.ts';
import { textOf } from '../../../harness/json-rpc-message.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { freePort, listenOnLoopback } from '../../../harness/loopback-server.ts';
import { killIfAlive } from '../../../harness/processes.ts';
import { cleanEnvironment, installedServer, temporaryDirectory } from '../../../harness/program.ts';
import { parseJson } from '../../../harness/parse-json.ts';
import { connect, type Connection, type Kind } from './http-world.ts';

const clientInfo = { name: 'test', version: '0' };

interface Running {
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts the reference server, and resolves when it says that it listens. */
async function startEverything(mode: string, port: number): Promise<Running> {
  const [file = '', ...args] = installedServer('mcp-server-everything', mode);
  const env = { ...cleanEnvironment(temporaryDirectory()), PORT: String(port) };
  const child = spawn(file, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) killIfAlive(child.pid ?? 0);
    await exited;
  };
  atEnd('test', stop);
  let printed = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (chunk: string) => (printed += chunk));
  await eventually(() => expect(printed).toMatch(/listening on port|running on port/), 20_000);
  return { port, stop };
}

async function shakeHands(connection: Connection, capabilities: object = {}): Promise<void> {
  connection.send({
    id: 'init',
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities, clientInfo },
  });
  const answer = await connection.answerTo('init');
  expect(answer.result?.protocolVersion).toBe('2025-11-25');
  connection.send({ method: 'notifications/initialized' });
}

describe.each([
  ['http', 'streamableHttp', '/mcp'],
  ['sse', 'sse', '/sse'],
] as const)('server-everything over %s', (kind: Kind, mode, path) => {
  test('tools, progress and a server request during a call', async () => {
    const { port } = await startEverything(mode, await freePort());
    const connection = connect(`http://127.0.0.1:${port}${path}`, {}, kind);
    await shakeHands(connection, { elicitation: {} });
    connection.send({ id: 1, method: 'tools/list' });
    const tools = await connection.answerTo(1);
    expect(JSON.stringify(tools)).toContain('"trigger-elicitation-request"');

    connection.send({
      id: 2,
      method: 'tools/call',
      params: {
        name: 'trigger-long-running-operation',
        arguments: { duration: 0.2, steps: 2 },
        _meta: { progressToken: 'p' },
      },
    });
    await connection.answerTo(2);
    const progress = connection.received.filter(({ message }) => message.json['method'] === 'notifications/progress');
    expect(progress.map(({ origin }) => origin)).toEqual(kind === 'http' ? [2, 2] : [undefined, undefined]);

    connection.send({ id: 3, method: 'tools/call', params: { name: 'trigger-elicitation-request', arguments: {} } });
    const ask = await eventually(() => {
      const found = connection.received.find(({ message }) => message.json['method'] === 'elicitation/create');
      if (found?.message.kind !== 'request') throw new Error('the ask has not come');
      return { id: found.message.id, origin: found.origin };
    });
    expect(ask.origin).toBe(kind === 'http' ? 3 : undefined);
    connection.send({ id: ask.id, result: { action: 'accept', content: { name: 'Ada' } } });
    expect(textOf(await connection.answerTo(3))).toContain('provided the requested information');
    expect(connection.warnings).toEqual([]);
    await connection.upstream.close();
    expect(connection.ends).toHaveLength(1);
  });

  test('after its restart, the connection ends, and what was not taken is handed back', async () => {
    const first = await startEverything(mode, await freePort());
    const connection = connect(`http://127.0.0.1:${first.port}${path}`, {}, kind);
    await shakeHands(connection);
    await first.stop();
    await startEverything(mode, first.port);
    if (kind === 'http') connection.send({ id: 7, method: 'tools/list' });
    const end = await connection.ended();
    expect(end.code).toBe(kind === 'http' ? 'upstream_session_lost' : 'upstream_exited');
    expect(end.untaken?.map(({ json }) => json['id'])).toEqual(kind === 'http' ? [7] : []);
  });

  test('the other transport is recognised and named', async () => {
    const { port } = await startEverything(mode, await freePort());
    const other = connect(`http://127.0.0.1:${port}${path}`, {}, kind === 'http' ? 'sse' : 'http');
    other.send({
      id: 'init',
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo },
    });
    const end = await other.ended();
    expect(end.code).toBe('upstream_refused');
    expect(end.reason).toContain(kind === 'http' ? 'use --http' : 'use --sse');
  });
});

/** The SDK's example of one replays the events of the same millisecond in any order. */
function eventStoreInOrder(): EventStore {
  const events: { streamId: string; message: JSONRPCMessage }[] = [];
  return {
    storeEvent: async (streamId, message) => String(events.push({ streamId, message })),
    async replayEventsAfter(lastEventId, { send }) {
      const last = Number(lastEventId);
      const streamId = events[last - 1]?.streamId ?? '';
      for (const [index, event] of events.entries()) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other is the order
        if (index >= last && event.streamId === streamId) await send(String(index + 1), event.message);
      }
      return streamId;
    },
  };
}

describe('a server of the SDK with an event store', () => {
  test('a call whose connection is cut is gone on with, and nothing comes twice or is missing', async () => {
    const { opened: cut, open: cutNow } = gate();
    const { opened: resumed, open: drain } = gate();
    const server = new McpServer({ name: 'resumable', version: '1' }, { capabilities: { logging: {} } });
    server.registerTool('slow', {}, async ({ sendNotification }) => {
      await sendNotification({ method: 'notifications/message', params: { level: 'info', data: 'before' } });
      cutNow();
      await resumed;
      await sendNotification({ method: 'notifications/message', params: { level: 'info', data: 'after' } });
      return { content: [{ type: 'text', text: 'done' }] };
    });
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      eventStore: eventStoreInOrder(),
      retryInterval: 50,
    });
    await server.connect(transport);
    atEnd('test', () => server.close());
    const calls: http.ServerResponse[] = [];
    const methods: string[] = [];
    const web = http.createServer((request, response) => {
      void (async () => {
        const body = await text(request);
        const message = body === '' ? undefined : parseJson<{ method?: string }>(body);
        methods.push(`${request.method} ${message?.method ?? ''}`);
        if (message?.method === 'tools/call') calls.push(response);
        await transport.handleRequest(request, response, message);
      })();
    });
    const port = await listenOnLoopback(web);
    atEnd('test', () => web.closeAllConnections());

    const connection = connect(`http://127.0.0.1:${port}/mcp`);
    await shakeHands(connection);
    connection.send({ id: 1, method: 'tools/call', params: { name: 'slow', arguments: {} } });
    await within(5000, 'the call to begin', cut);
    await eventually(() => expect(connection.others()).toHaveLength(1));
    calls[0]?.socket?.resetAndDestroy();
    drain();
    expect(textOf(await connection.answerTo(1))).toBe('done');
    expect(connection.received.slice(1).map(({ message, origin }) => [message.kind, origin])).toEqual([
      ['notification', 1],
      ['notification', 1],
      ['response', 1],
    ]);
    expect(connection.others().map(({ params }) => params?.['data'])).toEqual(['before', 'after']);
    expect(methods.filter((method) => method === 'POST tools/call')).toHaveLength(1);
    await connection.upstream.close();
    expect(methods.at(-1)).toBe('DELETE ');
  });
});
