// Our request handler in front of servers in memory: everything but processes and tunnels.
import { expect } from 'vitest';
import { createGuard, type GuardOptions } from '../../src/auth/guard.ts';
import { callersOf } from '../harness/callers.ts';
import { createHostList } from '../../src/auth/hosts.ts';
import { createOriginMatcher } from '../../src/auth/origins.ts';
import { createSessions } from '../../src/bridge/session/sessions.ts';
import type { Upstream } from '../../src/bridge/upstream/upstream.ts';
import { createBodyReader } from '../../src/http/body.ts';
import { createCors } from '../../src/http/cors.ts';
import { createDirectory } from '../../src/http/directory.ts';
import { createHandler } from '../../src/http/handler.ts';
import { McpEndpoint, type McpEndpointOptions } from '../../src/http/mcp-endpoint.ts';
import type { RequestReport } from '../../src/http/responses/call-report.ts';
import { createKeepAliveTimer } from '../../src/http/responses/keep-alive-timer.ts';
import { SseEndpoint, type SseEndpointOptions } from '../../src/http/sse-endpoint.ts';
import type { RequestId } from '../../src/mcp/json-rpc.ts';
import { createFakeUpstream, type FakeUpstream } from '../bridge/fake-upstream.ts';
import { agreement } from '../bridge/messages.ts';
import { atEnd } from '../harness/lifetime.ts';
import { parseJson } from '../harness/parse-json.ts';
import { startWeb, type Answer, type Handler, type Headers, type Protocol, type Question, type Web } from './web.ts';

export const token = 'mcpx_the-right-token-of-these-tests';

export interface GatewayOptions {
  readonly token?: string | undefined;
  readonly allowOrigins?: readonly string[];
  /** As in `GuardOptions`. */
  readonly hopHeader?: string;
  readonly guard?: Partial<GuardOptions>;
  /** As in `HandlerOptions`. */
  readonly hasGetStreams?: () => boolean;
  readonly maxBodyBytes?: number;
  readonly maxSessions?: number;
  /** As in `McpEndpointOptions`. */
  readonly exchanges?: McpEndpointOptions['exchanges'];
  readonly policyOf?: McpEndpointOptions['policyOf'];
  readonly resumption?: Pick<McpEndpointOptions, 'eventStore' | 'retryMs' | 'graceMs'>;
  readonly sse?: Partial<Pick<SseEndpointOptions, 'startTimeoutMs' | 'maxWaiting'>>;
  /** Answers `initialize` by itself; default true. */
  readonly agreeable?: boolean;
  /** Real servers instead of those in memory. */
  readonly nextUpstream?: () => Upstream;
}

export interface OpenSession {
  readonly id: string;
  readonly upstream: FakeUpstream;
  /** Headers that name the session. */
  readonly headers: Headers;
}

export interface Gateway {
  readonly handler: Handler;
  readonly web: Web;
  readonly mcp: McpEndpoint;
  readonly sse: SseEndpoint;
  readonly upstreams: FakeUpstream[];
  readonly reports: RequestReport[];
  /** Sends a message (or any text) by POST with everything that is asked for; headers given here win. */
  readonly post: (message: object | string, headers?: Headers, more?: Question) => Promise<Answer>;
  readonly get: (headers?: Headers) => Promise<Answer>;
  /** Default 2025-11-25. */
  readonly openSession: (protocolVersion?: string) => Promise<OpenSession>;
}

export const clientHeaders: Headers = {
  authorization: `Bearer ${token}`,
  accept: 'application/json, text/event-stream',
  'content-type': 'application/json',
};

export async function startGateway(protocol: Protocol, options: GatewayOptions = {}): Promise<Gateway> {
  const { maxBodyBytes = 1_000_000, maxSessions, agreeable = true, allowOrigins = [] } = options;
  const upstreams: FakeUpstream[] = [];
  const reports: RequestReport[] = [];
  const sessions = createSessions({
    nextUpstream() {
      if (options.nextUpstream !== undefined) return options.nextUpstream();
      const upstream = createFakeUpstream();
      if (agreeable) upstream.onSent = (line) => agree(upstream, line);
      upstreams.push(upstream);
      return upstream;
    },
    maxSessions,
    startTimeoutMs: 60_000,
    onWarning() {},
  });
  const onRequest = (report: RequestReport): unknown => reports.push(report);
  const bodies = createBodyReader({ maxBytes: maxBodyBytes });
  const keepAliveTimer = createKeepAliveTimer();
  const { exchanges, policyOf, resumption } = options;
  const mcp = new McpEndpoint({ sessions, exchanges, policyOf, bodies, keepAliveTimer, onRequest, ...resumption });
  const sse = new SseEndpoint({
    sessions,
    bodies,
    keepAliveTimer,
    startTimeoutMs: 60_000,
    onRequest,
    ...options.sse,
  });
  const allowsOrigin = createOriginMatcher(allowOrigins);
  const hosts = createHostList({ allowsOrigin });
  const { hopHeader, hasGetStreams } = options;
  const guard = createGuard({
    hosts,
    callers: callersOf('token' in options ? options.token : token),
    hopHeader,
    reportsClients: true,
    ...options.guard,
  });
  const directory = createDirectory();
  directory.set([{ mcp, sse, readiness: async () => ({ status: 'ready', sessions: 0, children: 0, restarts: 0 }) }]);
  const handler = createHandler({
    guard,
    cors: createCors(allowsOrigin),
    directory,
    hasGetStreams,
  });
  const web = await startWeb(protocol, handler);
  atEnd('test', async () => {
    mcp.close();
    sse.close();
    keepAliveTimer.close();
    await sessions.close();
  });

  const post: Gateway['post'] = (message, headers = {}, more = {}) =>
    web.ask({
      method: 'POST',
      headers: { ...clientHeaders, ...headers },
      body: typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message }),
      ...more,
    });

  return {
    handler,
    web,
    mcp,
    sse,
    upstreams,
    reports,
    post,
    get: (headers = {}) =>
      web.ask({ headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream', ...headers } }),
    async openSession(protocolVersion = '2025-11-25') {
      const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '0' } };
      const answer = await post({ id: 0, method: 'initialize', params });
      await answer.body();
      const id = String(answer.headers['mcp-session-id']);
      const upstream = upstreams.at(-1);
      if (upstream === undefined) throw new Error('no server was started');
      return { id, upstream, headers: { 'mcp-session-id': id } };
    },
  };
}

function agree(upstream: FakeUpstream, line: string): void {
  const { id, method, params } = parseJson<{ id?: RequestId; method?: string; params?: { protocolVersion?: string } }>(
    line,
  );
  // No process answers before it was given its turn.
  if (method === 'initialize' && id !== undefined)
    setImmediate(() => upstream.say(agreement(id, params?.protocolVersion)));
}

/** Resolves when the server has been sent something that contains this text. */
export function arrivalOf(upstream: FakeUpstream, text: string): Promise<void> {
  return new Promise((resolve) => {
    const before = upstream.onSent;
    upstream.onSent = (line) => {
      before(line);
      if (line.includes(text)) resolve();
    };
  });
}

export interface Refusal {
  readonly id: unknown;
  readonly error: { readonly code: number; readonly message: string };
}

/** Status, JSON-RPC code and id of a refusal. */
export async function verdict(answer: Answer): Promise<[status: number, code: number, id: unknown]> {
  expect(answer.headers['content-type']).toBe('application/json');
  const { id, error } = parseJson<Refusal>(await answer.body());
  return [answer.status, error.code, id];
}
