import { Agent as PlainAgent, request as requestPlain } from 'node:http';
import { Agent as SecureAgent, request as requestSecure, type AgentOptions } from 'node:https';
import type { Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls';

import { messageOf } from '../../errors.ts';
import { createDeadline } from '../deadline.ts';
import { withoutBrackets } from './addresses.ts';
import { portOf, ProxyError } from './http-proxy.ts';
import { networkErrorWords } from './network-errors.ts';

/** That a proxy cannot be connected to, from what the network threw. */
export function proxyFailure(proxy: URL, cause: unknown): ProxyError {
  const why = networkErrorWords(cause) ?? messageOf(cause);
  return new ProxyError(`the proxy ${proxy.host} cannot be used: ${why}`, `the proxy cannot be used: ${why}`, {
    cause,
  });
}

/** The header with the credentials in a proxy's URL, if there are any (RFC 9110 §11.7.2). */
export function proxyAuthorization(proxy: URL): Readonly<Record<string, string>> {
  if (proxy.username === '') return {};
  const credentials = `${decoded(proxy.username)}:${decoded(proxy.password)}`;
  return { 'Proxy-Authorization': `Basic ${Buffer.from(credentials).toString('base64')}` };
}

/** Percent-decoded; as it is where `%` is meant literally. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * A connection to `target` through `proxy` by HTTP CONNECT (RFC 9110 §9.3.6).
 * @throws ProxyError; the signal's AbortError.
 */
export async function connectThroughProxy(proxy: URL, target: URL, signal: AbortSignal): Promise<Socket> {
  const request = proxy.protocol === 'https:' ? requestSecure : requestPlain;
  const authority = `${target.hostname}:${portOf(target)}`;
  return await new Promise((resolve, reject) => {
    const connect = request({
      method: 'CONNECT',
      host: withoutBrackets(proxy.hostname),
      port: portOf(proxy),
      path: authority,
      headers: { host: authority, ...proxyAuthorization(proxy) },
      agent: false,
      signal,
    });
    const refuse = (status = 0): void => {
      const hint = status === 407 ? '; its credentials go into HTTPS_PROXY: http://user:password@host:port' : '';
      const message = `the proxy ${proxy.host} answered CONNECT ${authority} with ${status}${hint}`;
      reject(new ProxyError(message, `the proxy refused the connection (${status})`));
    };
    connect.once('connect', ({ statusCode }, socket: Socket, head: Buffer) => {
      if (statusCode === 200) {
        // node:http has let go of it; an error before the next owner listens would end the process.
        socket.on('error', () => undefined);
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
        return;
      }
      socket.destroy();
      refuse(statusCode);
    });
    connect.once('response', (response) => {
      response.destroy();
      refuse(response.statusCode);
    });
    connect.once('error', (cause) => reject(proxyFailure(proxy, cause)));
    connect.end();
  });
}

/** How long a proxy may take to connect, in milliseconds; whoever waits may give up sooner. */
const connectTimeoutMs = 60_000;

/**
 * An agent for node:http, node:https or ws whose connections go through a proxy by CONNECT.
 * @param target where all of them lead: an https: or wss: URL gets TLS inside of the proxy's connection.
 * @param signal ends connections that the proxy has not made yet.
 */
export function createConnectAgent(
  proxy: URL,
  target: URL,
  signal: AbortSignal,
  agentOptions?: AgentOptions,
): PlainAgent {
  const isSecure = target.protocol === 'https:' || target.protocol === 'wss:';
  const agent = new (isSecure ? SecureAgent : PlainAgent)(agentOptions);
  async function connect(options: TlsOptions, done: (error: unknown, socket?: Socket) => void): Promise<void> {
    const limit = createDeadline(connectTimeoutMs, signal);
    let socket: Socket;
    try {
      socket = await connectThroughProxy(proxy, target, limit.signal);
    } catch (error) {
      done(error);
      return;
    } finally {
      limit.cancel();
    }
    done(null, isSecure ? connectTls({ ...options, socket }) : socket);
  }
  // Documented for node:http's Agent, and missing in its types. What it returns would be taken for the socket.
  return Object.assign(agent, {
    createConnection: (options: TlsOptions, done: (error: unknown, socket?: Socket) => void) =>
      void connect(options, done),
  });
}
