import type { Source } from '../auth/client-address.ts';
import type { Admitted, Guard } from '../auth/guard.ts';
import { rpcCode } from '../mcp/json-rpc.ts';
import type { Cors } from './cors.ts';
import type { Directory, ServedServer } from './directory.ts';
import { answerJson, refuse } from './responses/json-response.ts';
import { sessionHeader } from '../mcp/headers.ts';
import { valueOf, valuesOf, type HttpRequest, type HttpResponse } from './message.ts';
import { answerReadiness } from './readiness.ts';
import { routeOf, type EndpointRoute, type RootRoute, type Route } from './route.ts';

const healthy: Buffer = Buffer.from('{"status":"ok"}');

/** Beside Host and Authorization: two of these are read differently by different parsers. */
const onlyOnce = ['origin', 'content-type'] as const;

export interface HandlerOptions {
  readonly guard: Guard;
  readonly cors: Cors;
  readonly directory: Directory;
  /** Whether a stream that answers a GET arrives as it is written. Default: it does. */
  readonly hasGetStreams?: (() => boolean) | undefined;
  /** Whether anybody wants to know where callers are. Default: nobody does, and it costs nothing. */
  readonly reportsClients?: boolean | undefined;
}

/**
 * The one request handler of the process, for the local listener (HTTP/1.1) and for tunnels (HTTP/2): who may come in,
 * and to which endpoint. Everything is behind the guard, so that a stranger learns nothing of what is here, except for:
 * - `/healthz`
 * - `/readyz`, which tells who has no token whether all servers are up
 * - well-known paths, where there is nothing: a 401 would make clients look for OAuth
 * - preflights of allowed origins
 */
export function createHandler({
  guard,
  cors,
  directory,
  hasGetStreams = () => true,
  reportsClients = false,
}: HandlerOptions): (request: HttpRequest, response: HttpResponse) => void {
  function serve(request: HttpRequest, response: HttpResponse): void {
    // A client that goes away mid-answer; whoever writes the answer learns it from `close`.
    response.on('error', ignore);
    request.on('error', ignore);
    const found = routeOf(request.url ?? '/');
    const route = found.kind === 'root' ? rootRoute(request, found, directory) : found;
    const checksStalls = request.method === 'GET' || request.method === 'HEAD';
    const repeated = onlyOnce.find((name) => valuesOf(request, name).length > 1);
    if (repeated !== undefined) {
      refuse(request, response, { status: 400, message: `more than one ${repeated} header` });
      return;
    }
    if (cors.apply(request, response)) return;
    if (checksStalls && route.kind === 'health') {
      answerJson(response, 200, healthy);
      return;
    }
    if (route.kind === 'well-known') {
      refuse(request, response, { status: 404, message: 'not found: this server does not use OAuth' });
      return;
    }
    const authority = valueOf(request, ':authority');
    const hosts = authority === undefined ? valuesOf(request, 'host') : [authority];
    if (hosts.length !== 1) {
      const message = hosts.length === 0 ? 'no Host header' : 'more than one Host header';
      refuse(request, response, { status: 400, message });
      return;
    }
    const admission = guard.admit({
      host: hosts[0],
      origin: valueOf(request, 'origin'),
      authorization: valuesOf(request, 'authorization'),
      source: reportsClients ? sourceOf(request) : undefined,
    });
    const isReadiness = checksStalls && route.kind === 'endpoint' && route.endpoint === 'readiness';
    if ('denial' in admission) {
      const { status, reason, challenge, data } = admission.denial;
      // Of a single server, not even whether there is one of that name.
      if (isReadiness && status === 401 && route.server === undefined) {
        void answerReadiness(response, directory.all(), false);
        return;
      }
      refuse(request, response, {
        status,
        message: reason,
        ...(data === undefined ? {} : { data }),
        ...(challenge === undefined ? {} : { headers: { 'www-authenticate': challenge } }),
      });
    } else if (route.kind !== 'endpoint' || (route.endpoint === 'readiness' && !isReadiness)) {
      refuse(request, response, { status: 404, message: nothingHere(directory) });
    } else if (isReadiness && route.server === undefined && admission.host.label === undefined) {
      void answerReadiness(response, directory.all(), true);
    } else if (request.method === 'GET' && (route.endpoint === 'mcp' || route.endpoint === 'sse') && !hasGetStreams()) {
      refuseStream(request, response, route.endpoint);
    } else {
      const server = findServer(request, response, route, admission);
      if (server !== undefined) serveAt(route, server, admission, request, response);
    }
  }

  /** The server that path and host name, which must not disagree; undefined when the request has been refused. */
  function findServer(
    request: HttpRequest,
    response: HttpResponse,
    { server: inPath }: EndpointRoute,
    { host: { label } }: Admitted,
  ): ServedServer | undefined {
    const name = inPath ?? label;
    const server = name === undefined ? directory.unnamed() : directory.find(name);
    if (server !== undefined && (label === undefined || server === directory.find(label))) return server;
    const [reason, message] =
      server !== undefined
        ? ['server_not_found', `the host names the server ${label}, and the path another one`]
        : name === undefined
          ? ['server_not_named', 'several servers are here: name one in the path, as in /<server>/mcp']
          : ['server_not_found', `unknown server ${JSON.stringify(name.slice(0, 64))}`];
    const servers = directory.all().flatMap((each) => each.name ?? []);
    const data = { reason, ...(name === undefined ? {} : { server: name.slice(0, 64) }), servers };
    refuse(request, response, { status: 404, code: rpcCode.badRequest, message, data });
    return undefined;
  }

  return serve;
}

function sourceOf(request: HttpRequest): Source {
  return { peerAddress: request.socket.remoteAddress, valuesOf: (name) => valuesOf(request, name) };
}

function ignore(): void {}

/** Messages that come to `/`, or to `/<server>`, go to the MCP endpoint; a browser that looks there is told where that is. */
function rootRoute(request: HttpRequest, { server }: RootRoute, directory: Directory): Exclude<Route, RootRoute> {
  const isMcp = request.method === 'POST' || valueOf(request, sessionHeader) !== undefined;
  if (!isMcp || (server !== undefined && directory.find(server) === undefined)) return { kind: 'nothing' };
  return { kind: 'endpoint', endpoint: 'mcp', ...(server === undefined ? {} : { server }) };
}

function nothingHere(directory: Directory): string {
  const path = directory.unnamed() === undefined ? '/<server>/mcp' : '/mcp';
  return `not found: the MCP endpoint is ${path}`;
}

/** A server need not offer such a stream (MCP 2025-11-25, Listening for Messages from the Server); one that is held back is none. */
function refuseStream(request: HttpRequest, response: HttpResponse, endpoint: 'mcp' | 'sse'): void {
  const message =
    endpoint === 'mcp'
      ? 'streams that answer a GET do not get through this tunnel, those that answer a POST do'
      : 'HTTP+SSE needs a stream that answers a GET, which does not get through this tunnel: use Streamable HTTP, at /mcp';
  refuse(request, response, { status: 405, message, headers: { allow: endpoint === 'mcp' ? 'POST, DELETE' : '' } });
}

function serveAt(
  { endpoint }: EndpointRoute,
  server: ServedServer,
  { caller }: Admitted,
  request: HttpRequest,
  response: HttpResponse,
): void {
  switch (endpoint) {
    case 'mcp':
      server.mcp.handle(request, response, caller);
      return;
    case 'sse':
      server.sse.handle(request, response, caller);
      return;
    case 'messages':
      server.sse.handleMessage(request, response, caller);
      return;
    case 'readiness':
      void answerReadiness(response, [server], true);
  }
}
