import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { isIP } from 'node:net';
import type { WebSocket } from 'ws';
import { abortReason } from '../../../platform/deadline.ts';
import { withoutBrackets } from '../../../platform/net/addresses.ts';
import { maxMessageBytes } from '../protocol/limits.ts';
import { protocolVersion } from '../protocol/protocol.ts';
import { connectThroughProxy, proxyFor } from '../../../platform/net/http-proxy.ts';

/** What is read of a refusal's body, in bytes: enough for a JSON error, too little to be a nuisance. */
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

export interface DialOptions {
  /** ws: or wss: URL of the tunnel endpoint. */
  readonly url: URL;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/**
 * Opens the WebSocket, through a proxy where the environment asks for one. Resolves with the socket, paused,
 * or with what the server answered instead; throws the network's or TLS's own error, or the signal's reason.
 */
export async function dial(options: DialOptions): Promise<DialResult> {
  const { url, signal } = options;
  signal.throwIfAborted();
  const { WebSocket } = await import('ws');
  const proxy = proxyFor(url, options.env);
  const tunnel = proxy === undefined ? undefined : await connectThroughProxy(proxy, url, signal);
  const overProxy = tunnel === undefined ? undefined : await layerOver(tunnel, url);
  if (signal.aborted) {
    tunnel?.destroy();
    signal.throwIfAborted();
  }
  return await new Promise((resolve, reject) => {
    const socket = new WebSocket(url, [protocolVersion], {
      perMessageDeflate: false,
      maxPayload: maxMessageBytes,
      followRedirects: false,
      ...(overProxy === undefined ? {} : { createConnection: () => overProxy }),
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
      // Whoever takes the socket over listens a turn later; what comes before that must not be lost.
      socket.pause();
      settle({ type: 'open', socket });
    });
    // Stays for the life of the socket: after the first one, the close that follows an error says enough.
    socket.on('error', (error) => {
      if (outcome !== undefined) settle(outcome);
      signal.removeEventListener('abort', onAbort);
      reject(error);
    });
  });
}

async function layerOver(tunnel: Socket, url: URL): Promise<Socket> {
  if (url.protocol !== 'wss:') return tunnel;
  const { connect } = await import('node:tls');
  const host = withoutBrackets(url.hostname);
  // Server Name Indication must not hold an address (RFC 6066, section 3).
  const secure = connect({ socket: tunnel, host, ...(isIP(host) === 0 ? { servername: host } : {}) });
  // Whoever takes it over listens too; after an abort nobody does, and its error would end the process.
  return secure.on('error', () => undefined);
}

async function readRefusal(response: IncomingMessage): Promise<Refusal> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= maxRefusalBytes) break;
    }
  } catch {
    // A body that breaks off changes nothing: status and headers are the answer.
  }
  const body = Buffer.concat(chunks).subarray(0, maxRefusalBytes).toString('utf8');
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}
