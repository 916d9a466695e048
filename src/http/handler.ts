import type { Source } from '../auth/client-address.ts';
import type { Admitted, Denial, Guard } from '../auth/guard.ts';
import { rpcCode } from '../mcp/json-rpc.ts';
import type { BodyReader } from './body.ts';
import type { Cors } from './cors.ts';
import type { Directory, ServedServer } from './directory.ts';
import { answerJson, refuse } from './responses/json-response.ts';
import { sessionHeader } from '../mcp/headers.ts';
import { valueOf, valuesOf, type HttpRequest, type HttpResponse } from './message.ts';
import { serveOAuth, type OAuthRoutes } from './oauth-route.ts';
import { answerReadiness } from './readiness.ts';
import { mcpPath, routeOf, type EndpointRoute, type RootRoute, type Route } from './route.ts';

const healthy: Buffer = Buffer.from('{"status":"ok"}');

/** Besides Host and Authorization. If one of these is repeated, different parsers use different values. */
const onlyOnce = ['origin', 'content-type'] as const;

export interface HandlerOptions {
  readonly guard: Guard;
  readonly cors: Cors;
  readonly directory: Directory;
  /** The authorization server, if clients can sign in with OAuth. */
  readonly oauth?: { readonly routes: OAuthRoutes; readonly bodies: BodyReader } | undefined;
  /** Whether the tunnel passes on streamed responses to GET without buffering. Default: it does. */
  readonly hasGetStreams?: (() => boolean) | undefined;
  /** Whether a request is one that mcp-expose sent through its own tunnel. Default: none is. */
  readonly isProbe?: ((request: object) => boolean) | undefined;
  /** Called when the guard refuses a request of others. */
  readonly onDenied?: ((denial: Denial, source: Source) => void) | undefined;
}

/**
 * The only request handler of the process, for the local listener and for tunnels. It checks the
 * caller and routes to an endpoint. The guard protects everything, so that a stranger learns nothing, except for:
 * - `/healthz`
 * - `/readyz`, which says without a token only whether all servers are up
 * - the authorization server, or without one well-known paths, which do not exist: a 401 would make clients look for OAuth
 * - preflights of allowed origins
 */
export function createHandler(options: HandlerOptions): (request: HttpRequest, response: HttpResponse) => void {
  const {
    guard,
    cors,
    directory,
    oauth,
    hasGetStreams = () => true,
    isProbe = () => false,
    onDenied = ignore,
  } = options;

  function serve(request: HttpRequest, response: HttpResponse): void {
    // Emitted when a client disconnects; the writer of the response is notified by `close`.
    response.on('error', ignore);
    request.on('error', ignore);
    const found = routeOf(request.url ?? '/');
    const route = found.kind === 'root' ? rootRoute(request, found, directory) : found;
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const repeated = onlyOnce.find((name) => valuesOf(request, name).length > 1);
    if (repeated !== undefined) {
      refuse(request, response, { status: 400, message: `more than one ${repeated} header` });
      return;
    }
    if (oauth?.routes.serves(pathOf(request.url ?? '')) === true) {
      serveSignIn(request, response, oauth);
      return;
    }
    if (cors.apply(request, response)) return;
    if (isRead && route.kind === 'health') {
      answerJson(response, 200, healthy);
      return;
    }
    if (route.kind === 'well-known') {
      refuse(request, response, { status: 404, message: 'not found: this server does not use OAuth' });
      return;
    }
    const host = hostOf(request, response);
    if (host === undefined) return;
    const admission = guard.admit({
      host,
      endpoint: route.kind === 'endpoint' && route.server !== undefined ? `/${route.server}${mcpPath}` : mcpPath,
      origin: valueOf(request, 'origin'),
      authorization: valuesOf(request, 'authorization'),
      ...(request.headers['x-api-key'] === undefined ? {} : { apiKey: valuesOf(request, 'x-api-key') }),
      source: new RequestSource(request),
      isProbe: isProbe(request),
      opensSession: request.headers[sessionHeader] === undefined,
    });
    const isReadiness = isRead && route.kind === 'endpoint' && route.endpoint === 'readiness';
    if ('denial' in admission) {
      const { status } = admission.denial;
      // Only for all servers: the path of one server would reveal whether that name exists.
      if (isReadiness && status === 401 && route.server === undefined) {
        void answerReadiness(response, directory.all(), false);
        return;
      }
      if (!isProbe(request)) onDenied(admission.denial, new RequestSource(request));
      refuseDenied(request, response, admission.denial);
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

  function serveSignIn(
    request: HttpRequest,
    response: HttpResponse,
    mounted: NonNullable<HandlerOptions['oauth']>,
  ): void {
    const host = hostOf(request, response);
    if (host === undefined) return;
    // Scripts of any origin may call these endpoints (RFC 8414, RFC 7591), which take no token; the consent form checks its own.
    const fromAnywhere = mounted.routes.isForOwner(pathOf(request.url ?? ''));
    const admission = guard.admitAnyone({ host, source: new RequestSource(request), fromAnywhere });
    if ('denial' in admission) {
      onDenied(admission.denial, new RequestSource(request));
      refuseDenied(request, response, admission.denial);
    } else serveOAuth(request, response, { ...mounted, address: admission.caller.address });
  }

  /** The server that the path and the host name, which must agree; undefined if the request has been refused. */
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

/** The host that a request names; undefined if the request has been refused. */
function hostOf(request: HttpRequest, response: HttpResponse): string | undefined {
  const hosts = valuesOf(request, 'host');
  if (hosts.length === 1) return hosts[0];
  const message = hosts.length === 0 ? 'no Host header' : 'more than one Host header';
  refuse(request, response, { status: 400, message });
  return undefined;
}

function refuseDenied(request: HttpRequest, response: HttpResponse, denial: Denial): void {
  const { status, reason, challenge, retryAfterSeconds, data } = denial;
  const headers = {
    ...(challenge === undefined ? {} : { 'www-authenticate': challenge }),
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
  };
  refuse(request, response, { status, message: reason, data, headers });
}

function pathOf(url: string): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

/** Where a request comes from. A class, since one is made for each request, and a literal with a getter takes 9 µs. */
class RequestSource implements Source {
  readonly #request: HttpRequest;

  constructor(request: HttpRequest) {
    this.#request = request;
  }

  /** The first time on a connection, this is a system call. */
  get peerAddress(): string | undefined {
    return this.#request.socket.remoteAddress;
  }

  valuesOf(name: string): readonly string[] {
    return valuesOf(this.#request, name);
  }
}

function ignore(): void {}

/** Routes MCP messages at `/` or `/<server>` to the MCP endpoint. Browsers get a 404 with the endpoint's path. */
function rootRoute(request: HttpRequest, { server }: RootRoute, directory: Directory): Exclude<Route, RootRoute> {
  const isMcp = request.method === 'POST' || valueOf(request, sessionHeader) !== undefined;
  if (!isMcp || (server !== undefined && directory.find(server) === undefined)) return { kind: 'nothing' };
  return { kind: 'endpoint', endpoint: 'mcp', ...(server === undefined ? {} : { server }) };
}

function nothingHere(directory: Directory): string {
  const path = directory.unnamed() === undefined ? '/<server>/mcp' : '/mcp';
  return `not found: the MCP endpoint is ${path}`;
}

/** The stream is optional (MCP 2025-11-25, "Listening for Messages from the Server"); buffered, it is useless. */
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
  if (endpoint === 'mcp') server.mcp.handle(request, response, caller);
  else if (endpoint === 'sse') server.sse.handle(request, response, caller);
  else if (endpoint === 'messages') server.sse.handleMessage(request, response, caller);
  else void answerReadiness(response, [server], true);
}
