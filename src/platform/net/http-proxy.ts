import type { Socket } from 'node:net';

import { isLoopbackHost, withoutBrackets } from './addresses.ts';

const defaultPorts: ReadonlyMap<string, string> = new Map([
  ['http:', '80'],
  ['https:', '443'],
  ['ws:', '80'],
  ['wss:', '443'],
]);

/**
 * The proxy to use for `target` by HTTPS_PROXY (for wss), HTTP_PROXY (for ws), ALL_PROXY and NO_PROXY, in lower or
 * upper case, or undefined. Loopback is never proxied. A value that is no http(s) URL is ignored.
 */
export function proxyFor(target: URL, env: NodeJS.ProcessEnv): URL | undefined {
  const secure = target.protocol === 'wss:' || target.protocol === 'https:';
  const value = readEither(env, secure ? 'https_proxy' : 'http_proxy') ?? readEither(env, 'all_proxy');
  if (value === undefined || isLoopbackHost(target.hostname)) return undefined;
  if (isExempt(target, readEither(env, 'no_proxy') ?? '')) return undefined;
  const text = value.includes('://') ? value : `http://${value}`;
  if (!URL.canParse(text)) return undefined;
  const proxy = new URL(text);
  return proxy.protocol === 'http:' || proxy.protocol === 'https:' ? proxy : undefined;
}

/**
 * A connection to `target` through `proxy` by HTTP CONNECT (RFC 9110, section 9.3.6). Credentials in the proxy's URL are
 * sent as Basic. Throws what the network throws, or an Error that names the proxy and its status.
 */
export async function connectThroughProxy(proxy: URL, target: URL, signal: AbortSignal): Promise<Socket> {
  const { request } = proxy.protocol === 'https:' ? await import('node:https') : await import('node:http');
  const authority = `${target.hostname}:${portOf(target)}`;
  const headers: Record<string, string> = { host: authority };
  if (proxy.username !== '') {
    const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
    headers['proxy-authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`;
  }
  return await new Promise((resolve, reject) => {
    const connect = request({
      method: 'CONNECT',
      host: withoutBrackets(proxy.hostname),
      port: portOf(proxy),
      path: authority,
      headers,
      agent: false,
      signal,
    });
    connect.once('connect', (response, socket: Socket, head: Buffer) => {
      if (response.statusCode === 200) {
        // node:http no longer handles its errors; one before the next owner listens would end the process.
        socket.on('error', () => undefined);
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(new Error(`the proxy ${proxy.host} answered CONNECT ${authority} with ${String(response.statusCode)}`));
    });
    connect.once('response', (response) => {
      response.destroy();
      reject(new Error(`the proxy ${proxy.host} answered CONNECT ${authority} with ${String(response.statusCode)}`));
    });
    connect.once('error', (cause) => {
      reject(Object.assign(new Error(`the proxy ${proxy.host} cannot be used: ${cause.message}`), { cause }));
    });
    connect.end();
  });
}

function isExempt(target: URL, list: string): boolean {
  const host = withoutBrackets(target.hostname).toLowerCase();
  return list.split(/[\s,]+/).some((entry) => {
    if (entry === '*') return true;
    const [, name = '', port] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
    if (name === '' || (port !== undefined && port !== portOf(target))) return false;
    const suffix = name.replace(/^\*?\.?/, '');
    return host === suffix || host.endsWith(`.${suffix}`);
  });
}

function readEither(env: NodeJS.ProcessEnv, name: string): string | undefined {
  return env[name] || env[name.toUpperCase()] || undefined;
}

function portOf(url: URL): string {
  return url.port || (defaultPorts.get(url.protocol) ?? '');
}
