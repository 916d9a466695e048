/** Path of a server's MCP endpoint. Some hosted clients support no other path. */
export const mcpPath = '/mcp';

/** Path of the readiness check. */
export const readinessPath = '/readyz';

/** The endpoints of a server. */
type Endpoint = 'mcp' | 'sse' | 'messages' | 'readiness';

interface ServerRoute {
  /** Absent if the server is named by the host, or is the only one. */
  readonly server?: string;
}

export interface EndpointRoute extends ServerRoute {
  readonly kind: 'endpoint';
  readonly endpoint: Endpoint;
}

/** `/` or `/<server>`: a URL that was copied without `/mcp`. */
export interface RootRoute extends ServerRoute {
  readonly kind: 'root';
}

export type Route = EndpointRoute | RootRoute | { readonly kind: 'health' | 'well-known' | 'nothing' };

const health: Route = { kind: 'health' };
const wellKnown: Route = { kind: 'well-known' };
const nothing: Route = { kind: 'nothing' };

/** RFC 8615. Clients also try this below the path of a server and below its MCP endpoint. */
const wellKnownPath = /\/\.well-known(?:\/|$)/;

const unnamed = new Map<string, EndpointRoute>([
  [mcpPath, { kind: 'endpoint', endpoint: 'mcp' }],
  ['/sse', { kind: 'endpoint', endpoint: 'sse' }],
  ['/messages', { kind: 'endpoint', endpoint: 'messages' }],
  [readinessPath, { kind: 'endpoint', endpoint: 'readiness' }],
]);

/**
 * Finds the route of a request, such as `/mcp` or `/<server>/mcp`. Repeated and trailing slashes are ignored: not every
 * client would follow a redirect with its body and credential.
 * @param url the request target, in origin form.
 */
export function routeOf(url: string): Route {
  const end = url.search(/[?#]/);
  const path = end === -1 ? url : url.slice(0, end);
  if (path === '/healthz') return health;
  const found = endpointAt(path);
  if (found !== undefined) return found;
  if (wellKnownPath.test(path)) return wellKnown;
  const tidy = path.replaceAll(/\/+/g, '/').replace(/\/$/, '');
  return endpointAt(tidy) ?? rootAt(tidy, path) ?? nothing;
}

function endpointAt(path: string): EndpointRoute | undefined {
  const found = unnamed.get(path);
  if (found !== undefined) return found;
  const slash = path.indexOf('/', 1);
  const behind = slash > 1 ? unnamed.get(path.slice(slash)) : undefined;
  return behind === undefined ? undefined : { ...behind, server: path.slice(1, slash) };
}

function rootAt(tidy: string, path: string): RootRoute | undefined {
  if (tidy === '') return path === '' ? undefined : { kind: 'root' };
  return tidy.startsWith('/') && !tidy.includes('/', 1) ? { kind: 'root', server: tidy.slice(1) } : undefined;
}
