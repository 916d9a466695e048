import { isValidName } from '../protocol/identity.ts';
import { tunnelPath } from '../protocol/protocol.ts';
import type { PublicOrigin } from './headers.ts';

/** Paths below this are the relay's own, under every host. */
const ownPrefix = '/_mcp-expose/';
/** RFC 8414, section 3.1, and RFC 9728, section 3.1: the name follows the well-known part. */
const wellKnownPath =
  /^\/\.well-known\/(?:oauth-protected-resource|oauth-authorization-server|openid-configuration)(?=\/)/;

export interface RouteOptions {
  /** Names as hosts are directly below it; lower case. */
  readonly domain?: string | undefined;
  /** Path of the relay's public URL without a trailing slash; removed unless a proxy in front has done so. */
  readonly basePath?: string;
  /** Name of the only agent, which gets every request. */
  readonly soleName?: string | undefined;
}

export type Route =
  | { readonly kind: 'health' }
  | { readonly kind: 'tunnel' }
  | { readonly kind: 'tls-check'; readonly domain: string }
  /** `path` is what the agent gets, with the query. */
  | { readonly kind: 'agent'; readonly name: string; readonly path: string }
  /** Unknown to this relay; `what` names the host or path. */
  | { readonly kind: 'unknown'; readonly what: string };

/** Where a request goes. `host` is the Host header, `target` the request target in origin form, with the query. */
export function routeRequest(host: string, target: string, options: RouteOptions): Route {
  const hostName = stripPort(host).toLowerCase();
  const hostLabel = labelBelow(hostName, options.domain);
  const path = hostLabel === undefined ? stripBase(target, options.basePath ?? '') : target;
  const bare = path.split('?', 1)[0] ?? '';
  if (bare === tunnelPath) return { kind: 'tunnel' };
  if (bare === `${ownPrefix}tls-check`) {
    return { kind: 'tls-check', domain: new URLSearchParams(path.slice(bare.length)).get('domain') ?? '' };
  }
  if (bare.startsWith(ownPrefix)) return { kind: 'unknown', what: `the path ${printable(bare)}` };
  if (options.soleName !== undefined) return { kind: 'agent', name: options.soleName, path };
  if (hostLabel !== undefined) {
    const labels = hostLabel.split('.');
    const name = labels.pop() ?? '';
    // An agent may have several servers, each with its own label before the name; only the agent knows them.
    if (!isValidName(name) || labels.length > 1) return { kind: 'unknown', what: `the host ${printable(hostName)}` };
    return { kind: 'agent', name, path };
  }
  if (bare === '/healthz') return { kind: 'health' };
  const wellKnown = wellKnownPath.exec(bare)?.[0] ?? '';
  const [, name = '', rest = ''] = /^\/+([^/?]*)(.*)$/s.exec(path.slice(wellKnown.length)) ?? [];
  if (!isValidName(name))
    return { kind: 'unknown', what: `the path ${printable(bare)} on host ${printable(hostName)}` };
  if (wellKnown !== '') return { kind: 'agent', name, path: `${wellKnown}${rest}` };
  return { kind: 'agent', name, path: rest.startsWith('/') ? rest : `/${rest}` };
}

/** The host of a Host header in lower case, and whether several agents have it. @param name of the agent. */
export function originOf(host: string, { domain, basePath = '', soleName }: RouteOptions, name: string): PublicOrigin {
  const hostName = stripPort(host).toLowerCase();
  const isShared = soleName === undefined && labelBelow(hostName, domain) === undefined;
  return { host: hostName, isShared, path: `${basePath}/${name}` };
}

/** What precedes `.domain`; undefined for every other host. */
export function labelBelow(hostName: string, domain: string | undefined): string | undefined {
  if (domain === undefined || !hostName.endsWith(`.${domain}`)) return undefined;
  return hostName.slice(0, -domain.length - 1);
}

/** Text from outside for an error message: short, and only visible ASCII. */
export function printable(text: string): string {
  const visible = text.replaceAll(/[^!-~]/g, '?');
  return visible.length <= 100 ? visible : `${visible.slice(0, 100)}…`;
}

function stripPort(host: string): string {
  return host.replace(/:\d*$/, '').replace(/\.$/, '');
}

function stripBase(target: string, basePath: string): string {
  if (basePath === '' || !target.startsWith(basePath)) return target;
  const rest = target.slice(basePath.length);
  if (rest === '' || rest.startsWith('?')) return `/${rest}`;
  return rest.startsWith('/') ? rest : target;
}
