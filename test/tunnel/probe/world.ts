// Our end of a tunnel, guarded as in expose.ts, and on loopback a public side that can spoil the way in each known manner.
import http, {
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import https from 'node:https';
import { createGuard } from '../../../src/auth/guard.ts';
import { callersOf } from '../../harness/callers.ts';
import { createHostList } from '../../../src/auth/hosts.ts';
import { createCors } from '../../../src/http/cors.ts';
import { createDirectory } from '../../../src/http/directory.ts';
import { createHandler } from '../../../src/http/handler.ts';
import type { HttpRequest, HttpResponse } from '../../../src/http/message.ts';
import { capabilities, type Capabilities } from '../../../src/tunnel/capabilities.ts';
import { HostOverrides } from '../../../src/platform/net/host-overrides.ts';
import { createProbeMarker } from '../../../src/tunnel/probe/probe-marker.ts';
import { SelfProbe, type Opening } from '../../../src/tunnel/probe/self-probe.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { listenOnLoopback } from '../../harness/loopback-server.ts';

export const token = 'mcpx_the-token-of-these-tests';

/** What the public side does beside handing on. */
export interface Front {
  /** Its own answer, in the place of ours. */
  answer?: (request: IncomingMessage) => { status: number; headers?: OutgoingHttpHeaders; body?: string } | undefined;
  /** Changes what is handed on. */
  headers?: (headers: OutgoingHttpHeaders) => OutgoingHttpHeaders;
  /** Holds answers back until they are whole. */
  holdsBack?: (request: IncomingMessage) => boolean;
  /** Replaces our answer when it comes. */
  replaces?: (status: number | undefined) => number | undefined;
  /** Breaks answers off when their first bytes come. */
  breaksOff?: (request: IncomingMessage) => boolean;
  /** The same of our side alone: who has asked goes on waiting. */
  drops?: (request: IncomingMessage) => boolean;
  /** Takes requests and never answers. */
  isSilent?: boolean;
  /** The same of one path, after it is handed on. */
  isSlowAt?: string;
  /** Then it answers with 504 what is not answered yet. */
  givesUp?: Promise<void>;
  /** Speaks TLS. */
  tls?: { key: string; cert: string };
}

export interface WorldOptions {
  readonly front?: Front;
  readonly token?: string | undefined;
  readonly capabilities?: Partial<Capabilities>;
  /** The host in the public URL. */
  readonly host?: string;
  /** Answers at the MCP endpoint of our end. */
  readonly mcp?: (request: HttpRequest, response: HttpResponse) => void;
  readonly isReady?: boolean;
  /** Where no server can be used. */
  readonly hasNoServer?: boolean;
  readonly overrides?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** How long a stream is held open; default longer than a busy machine needs. */
  readonly holdMs?: number;
  readonly openingTimeoutMs?: number;
}

export interface World {
  readonly url: string;
  readonly probe: SelfProbe;
  /** Method and target of the requests that have arrived at our end. */
  readonly arrived: string[];
  /** Method and target of those that have brought the token as far as the public side. */
  readonly withToken: string[];
}

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const { front = {}, host = 'x.tunnel.example', isReady = true, hasNoServer = false } = options;
  const known = 'token' in options ? options.token : token;
  const hosts = createHostList();
  const directory = createDirectory();
  directory.set([
    {
      mcp: { handle: options.mcp ?? agree },
      sse: { handle() {}, handleMessage() {} },
      readiness: async () => ({ status: isReady ? 'ready' : 'down', sessions: 0, children: 0, restarts: 0 }),
    },
  ]);
  const guard = createGuard({ hosts, callers: callersOf(known) });
  const marker = createProbeMarker(createHandler({ guard, cors: createCors(() => false), directory }));
  const arrived: string[] = [];
  const end = http.createServer((request, response) => {
    arrived.push(`${request.method} ${request.url}`);
    marker.handler(request, response);
  });
  const port = await listen(end);
  const withToken: string[] = [];
  const frontPort = await startFront(port, {
    ...front,
    answer(request) {
      if (request.headers.authorization !== undefined) withToken.push(`${request.method} ${request.url}`);
      return front.answer?.(request);
    },
  });
  const url = `${front.tls === undefined ? 'http' : 'https'}://${host}:${frontPort}`;
  hosts.setUrls([url]);
  const probe = new SelfProbe({
    environment: {
      env: options.env ?? {},
      overrides: new HostOverrides(options.overrides ?? [`${host}:${frontPort}:127.0.0.1`]),
    },
    marker,
    capabilities: { ...capabilities.tailscale, ...options.capabilities },
    token: known,
    opening: () => (hasNoServer ? undefined : opening),
    readinessPath: '/readyz',
    timeoutMs: 2000,
    holdMs: options.holdMs ?? 1000,
    ...(options.openingTimeoutMs === undefined ? {} : { openingTimeoutMs: options.openingTimeoutMs }),
  });
  return { url, probe, arrived, withToken };
}

/** As servers/client-opening.ts does it, as far as it matters here. */
const opening: Opening = {
  path: '/mcp',
  headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
  body: '{"jsonrpc":"2.0","id":1,"method":"initialize"}',
  failureIn: (status, body) => (status === 200 && body.includes('"result"') ? undefined : `it answered with ${status}`),
  closing: (headers) =>
    typeof headers['mcp-session-id'] === 'string' ? { 'mcp-session-id': headers['mcp-session-id'] } : undefined,
};

/** A server that agrees, and whose session can be ended. */
function agree(request: HttpRequest, response: HttpResponse): void {
  request.resume();
  if (request.method === 'POST') {
    response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'session-1' });
    response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
  } else {
    response.writeHead(request.headers['mcp-session-id'] === 'session-1' ? 204 : 404, {});
    response.end();
  }
}

/** A public side that leads to this port; ended with the test. */
export async function startFront(port: number, front: Front): Promise<number> {
  const listener: RequestListener = (request, response) => {
    if (front.isSilent === true) return;
    void front.givesUp?.then(() => response.headersSent || response.writeHead(504).end());
    const own = front.answer?.(request);
    if (own !== undefined) {
      response.writeHead(own.status, own.headers).end(own.body);
      return;
    }
    handOn(port, front, request, response);
  };
  return await listen(front.tls === undefined ? http.createServer(listener) : https.createServer(front.tls, listener));
}

function handOn(port: number, front: Front, request: IncomingMessage, response: ServerResponse): void {
  const { method, url: target } = request;
  const changed = front.headers?.({ ...request.headers }) ?? request.headers;
  const headers = Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined));
  const forwarded = http.request({ host: '127.0.0.1', port, method, path: target, headers, agent: false }, (answer) => {
    if (front.isSlowAt === target) return;
    const status = front.replaces?.(answer.statusCode);
    if (status !== undefined) {
      answer.resume();
      response.writeHead(status).end();
      return;
    }
    if (front.drops?.(request) === true) {
      answer.on('error', () => {});
      answer.once('data', () => answer.destroy());
      return;
    }
    answer.on('error', () => response.destroy());
    if (front.breaksOff?.(request) === true) {
      answer.once('data', () => response.destroy());
      return;
    }
    response.writeHead(answer.statusCode ?? 0, answer.headers);
    if (front.holdsBack?.(request) === true) {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => response.end(Buffer.concat(chunks)));
    } else {
      response.flushHeaders();
      answer.pipe(response);
    }
  });
  forwarded.on('error', () => response.destroy());
  response.on('close', () => forwarded.destroy());
  request.pipe(forwarded);
}

async function listen(server: http.Server | https.Server): Promise<number> {
  const port = await listenOnLoopback(server);
  atEnd('test', () => server.closeAllConnections());
  return port;
}
