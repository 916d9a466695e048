// A server of a few lines that a test scripts, and an upstream that is connected to it.
import http from 'node:http';
import type https from 'node:https';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { HttpUpstreamOptions } from '../../../../src/bridge/upstream/http/http-upstream.ts';
import { LegacySseUpstream } from '../../../../src/bridge/upstream/sse/legacy-sse.ts';
import { ModernHttpUpstream } from '../../../../src/bridge/upstream/http/modern-http.ts';
import { StreamableHttpUpstream } from '../../../../src/bridge/upstream/http/streamable-http.ts';
import type { Upstream, UpstreamEnd } from '../../../../src/bridge/upstream/upstream.ts';
import { createDeferred } from '../../../../src/platform/deferred.ts';
import type { RequestId, RpcMessage } from '../../../../src/mcp/json-rpc.ts';
import { eventually, within } from '../../../harness/eventually.ts';
import type { JsonRpcMessage } from '../../../harness/json-rpc-message.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { parseJson } from '../../../harness/parse-json.ts';
import { message } from '../../messages.ts';

/** One request as the server got it, and the way to answer. */
export interface Visit {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: JsonRpcMessage | undefined;
  readonly response: http.ServerResponse;
  json(value: unknown, status?: number, headers?: http.OutgoingHttpHeaders): void;
  status(status: number, body?: string, headers?: http.OutgoingHttpHeaders): void;
  /** Opens an event stream. */
  stream(...chunks: (string | Buffer)[]): http.ServerResponse;
}

export type Script = (visit: Visit) => void;

export interface ScriptedServer {
  readonly url: string;
  readonly port: number;
  readonly visits: readonly Visit[];
  /** Sockets that are open. */
  readonly connections: () => number;
  /** Waits until so many requests that match have come, and returns the last one. */
  visit(matching: (visit: Visit) => boolean, count?: number): Promise<Visit>;
  stop(): Promise<void>;
}

export const sessionId = 'session-1';

export function event(data: object, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...data })}\n\n`;
}

export function resultOf(id: RequestId | null | undefined, result: object = {}): object {
  return { jsonrpc: '2.0', id, result };
}

export function agreed(id: RequestId | null | undefined, protocolVersion = '2025-11-25'): object {
  return resultOf(id, { protocolVersion, capabilities: {}, serverInfo: { name: 'scripted', version: '1' } });
}

/** What an ordinary server does in the handshake; everything else is the test's. */
export function afterHandshake(script: Script, options: { session?: boolean; revision?: string } = {}): Script {
  const { session = true, revision = '2025-11-25' } = options;
  return (visit) => {
    const { method, body } = visit;
    if (body?.method === 'initialize') {
      visit.json(agreed(body.id, revision), 200, session ? { 'Mcp-Session-Id': sessionId } : {});
    } else if (body?.method === 'notifications/initialized') {
      visit.status(202);
    } else if (method === 'DELETE') {
      visit.status(200);
    } else {
      script(visit);
    }
  };
}

/** Answers GET as a server without a standalone stream. */
export function withoutStream(script: Script): Script {
  return (visit) => {
    if (visit.method === 'GET' && visit.headers['last-event-id'] === undefined) visit.status(405);
    else script(visit);
  };
}

export interface ScriptedOptions {
  readonly port?: number;
  /** What carries the requests; default: plain HTTP. */
  readonly create?: (listener: http.RequestListener) => http.Server | https.Server;
}

export async function startScripted(script: Script, options: ScriptedOptions = {}): Promise<ScriptedServer> {
  const { port = 0, create = (listener) => http.createServer(listener) } = options;
  const visits: Visit[] = [];
  let open = 0;
  const visited = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    response.on('error', () => {});
    const raw = await text(request).catch(() => '');
    const visit: Visit = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      rawHeaders: request.rawHeaders,
      body: raw === '' ? undefined : parseJson(raw),
      response,
      json: (value, status = 200, headers = {}) =>
        response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(value)),
      status: (status, body = '', headers = {}) => void response.writeHead(status, headers).end(body),
      stream(...chunks) {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.flushHeaders();
        for (const chunk of chunks) response.write(chunk);
        return response;
      },
    };
    visits.push(visit);
    script(visit);
  };
  const server = create((request, response) => void visited(request, response));
  server.on('connection', (socket: Socket) => {
    open++;
    socket.once('close', () => open--);
  });
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not a TCP server');
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  atEnd('test', stop);
  return {
    url: `http://127.0.0.1:${address.port}/mcp`,
    port: address.port,
    visits,
    connections: () => open,
    visit: (matching, count = 1) =>
      eventually(() => {
        const found = visits.filter(matching);
        const last = found[count - 1];
        if (last === undefined) {
          const seen = visits.map(({ method, body }) => `${method} ${body?.method ?? ''}`).join(', ');
          throw new Error(`the request has not come; there were: ${seen}`);
        }
        return last;
      }),
    stop,
  };
}

export interface Connection {
  readonly upstream: Upstream;
  readonly received: { message: RpcMessage; origin: RequestId | undefined }[];
  readonly warnings: string[];
  readonly ends: UpstreamEnd[];
  readonly ended: () => Promise<UpstreamEnd>;
  send(members: object): boolean;
  /** The answer to a request, as JSON. */
  answerTo(id: RequestId): Promise<JsonRpcMessage>;
  /** Everything else that came, as JSON. */
  others(): JsonRpcMessage[];
  /** `initialize` and `initialized`, both answered. */
  shakeHands(): Promise<void>;
}

export type Kind = 'http' | 'sse' | 'modern';

const kinds = { http: StreamableHttpUpstream, sse: LegacySseUpstream, modern: ModernHttpUpstream };

const toJson = (arrived: RpcMessage): JsonRpcMessage => parseJson(arrived.bytes.toString());

const isAnswerTo =
  (id: RequestId) =>
  ({ message: arrived }: { message: RpcMessage }): boolean =>
    arrived.kind === 'response' && arrived.id === id;

export function connect(url: string, options: Partial<HttpUpstreamOptions> = {}, kind: Kind = 'http'): Connection {
  const received: Connection['received'] = [];
  const warnings: string[] = [];
  const ends: UpstreamEnd[] = [];
  const announced = createDeferred<UpstreamEnd>();
  const Created = kinds[kind];
  const upstream = new Created({
    url,
    headers: new Map(),
    maxMessageBytes: 1024 * 1024,
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  atEnd('test', () => upstream.close());
  upstream.start({
    onMessage: (arrived, origin) => received.push({ message: arrived, origin }),
    onClose(end) {
      ends.push(end);
      announced.resolve(end);
    },
  });
  const connection: Connection = {
    upstream,
    received,
    warnings,
    ends,
    ended: () => within(10_000, 'the upstream to end', announced.promise),
    send: (members) => upstream.send(message(members)),
    answerTo: (id) =>
      eventually(() => {
        const found = received.find(isAnswerTo(id));
        if (found === undefined) {
          throw new Error(`no answer to ${id}; warnings: ${warnings.join()}; ends: ${JSON.stringify(ends)}`);
        }
        return toJson(found.message);
      }, 10_000),
    others: () => received.filter((arrived) => arrived.message.kind !== 'response').map((one) => toJson(one.message)),
    async shakeHands() {
      connection.send({ id: 'init', method: 'initialize', params: { protocolVersion: '2025-11-25' } });
      await connection.answerTo('init');
      connection.send({ method: 'notifications/initialized' });
    },
  };
  return connection;
}

/** Connects and opens a session. */
export async function openSession(url: string, options: Partial<HttpUpstreamOptions> = {}): Promise<Connection> {
  const connection = connect(url, options);
  await connection.shakeHands();
  return connection;
}
