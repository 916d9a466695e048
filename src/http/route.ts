/** Where the MCP endpoint of a server is. Some hosted clients call no other path. */
export const mcpPath = '/mcp';

/** Where it is told whether the servers can be used. */
export const readinessPath = '/readyz';

/** What of a server can be called. */
type Endpoint = 'mcp' | 'sse' | 'messages' | 'readiness';

export interface EndpointRoute {
  readonly kind: 'endpoint';
  readonly endpoint: Endpoint;
  /** Left out for the server that the host names, or the only one. */
  readonly server?: string;
}

export type Route = EndpointRoute | { readonly kind: 'health' | 'well-known' | 'nothing' };

const health: Route = { kind: 'health' };
const wellKnown: Route = { kind: 'well-known' };
const nothing: Route = { kind: 'nothing' };

/** RFC 8615; clients also look below the path of a server, and below its MCP endpoint. */
const wellKnownPath = /\/\.well-known(?:\/|$)/;

const unnamed = new Map<string, EndpointRoute>([
  [mcpPath, { kind: 'endpoint', endpoint: 'mcp' }],
  ['/sse', { kind: 'endpoint', endpoint: 'sse' }],
  ['/messages', { kind: 'endpoint', endpoint: 'messages' }],
  [readinessPath, { kind: 'endpoint', endpoint: 'readiness' }],
]);

/** Where a request goes: `/mcp` and its like, or `/<server>/mcp`. @param url the request target, in origin form. */
export function routeOf(url: string): Route {
  const end = url.search(/[?#]/);
  const path = end === -1 ? url : url.slice(0, end);
  if (path === '/healthz') return health;
  const found = unnamed.get(path);
  if (found !== undefined) return found;
  const slash = path.indexOf('/', 1);
  const behind = slash > 1 ? unnamed.get(path.slice(slash)) : undefined;
  if (behind !== undefined) return { ...behind, server: path.slice(1, slash) };
  return wellKnownPath.test(path) ? wellKnown : nothing;
}
