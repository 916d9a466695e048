import type { Agent, IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { abortReason } from '../../../platform/deadline.ts';
import { maxMessageBytes } from '../protocol/limits.ts';
import { protocolVersion } from '../protocol/protocol.ts';
import { proxyFor } from '../../../platform/net/http-proxy.ts';
import { readText } from '../../../platform/net/request-text.ts';

/** How much of a refusal's body is read, in bytes: enough for a JSON error. */
const maxRefusalBytes = 4 * 1024;

/** A server that answered the upgrade with plain HTTP. */
export interface Refusal {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type DialResult =
  | { readonly type: 'open'; readonly socket: WebSocket }
  | { readonly type: 'refused'; readonly refusal: Refusal }
  /** The server upgraded, but to another subprotocol; undefined when it named none. */
  | { readonly type: 'other_protocol'; readonly protocol: string | undefined };

/**
 * Opens the WebSocket, through a proxy if the environment has one. Resolves with the socket, paused, or with the server's other
 * response.
 * @param url ws: or wss: URL of the tunnel endpoint.
 * @throws the error of the network or of TLS, or the signal's reason.
 */
export async function dial(url: URL, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<DialResult> {
  signal.throwIfAborted();
  const { WebSocket } = await import('ws');
  const proxy = proxyFor(url, env);
  const agent = proxy === undefined ? {} : { agent: await connectAgent(proxy, url, signal) };
  signal.throwIfAborted();
  return await new Promise((resolve, reject) => {
    const socket = new WebSocket(url, [protocolVersion], {
      perMessageDeflate: false,
      maxPayload: maxMessageBytes,
      followRedirects: false,
      ...(url.protocol === 'wss:' ? { generateMask: leaveUnmasked } : {}),
      ...agent,
    });
    let outcome: DialResult | undefined;
    const onAbort = (): void => {
      socket.terminate();
      reject(abortReason(signal));
    };
    const settle = (result: DialResult): void => {
      signal.removeEventListener('abort', onAbort);
      resolve(result);
    };
    signal.addEventListener('abort', onAbort);
    socket.once('upgrade', (response) => {
      const protocol = response.headers['sec-websocket-protocol'];
      if (protocol !== protocolVersion) outcome = { type: 'other_protocol', protocol };
    });
    socket.once('unexpected-response', (request, response) => {
      void (async () => {
        settle({ type: 'refused', refusal: await readRefusal(response) });
        request.destroy();
      })();
    });
    socket.once('open', () => {
      // The new owner listens one turn later; what comes before that must not be lost.
      socket.pause();
      settle({ type: 'open', socket });
    });
    // Stays for the life of the socket: after the first error, the close that follows is enough.
    socket.on('error', (error) => {
      if (outcome !== undefined) settle(outcome);
      signal.removeEventListener('abort', onAbort);
      reject(error);
    });
  });
}

/**
 * Masks protect proxies that misread plain text as HTTP (RFC 6455, section 10.3); nobody reads what is inside TLS. Zeroes change
 * nothing, and cost neither a pass over the data nor a copy of it.
 */
function leaveUnmasked(mask: Buffer): void {
  mask.fill(0);
}

/** Loaded where there is a proxy only: TLS takes time to load. */
async function connectAgent(proxy: URL, target: URL, signal: AbortSignal): Promise<Agent> {
  const { createConnectAgent } = await import('../../../platform/net/proxy-connection.ts');
  return createConnectAgent(proxy, target, signal);
}

/** A truncated body changes nothing: status and headers are enough. */
async function readRefusal(response: IncomingMessage): Promise<Refusal> {
  const body = await readText(response, maxRefusalBytes).catch(() => '');
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}
