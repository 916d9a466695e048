import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ExposeError } from '../../../errors.ts';
import { createHttp1Server, type Refusal } from '../../../platform/http1/server.ts';
import { listenError } from '../../../platform/net/listening.ts';
import { rawAnswer, relayErrorCodes, sendAnswer, sendRawAnswer, type Answer } from './error-responses.ts';

/** How often a free port of the first address may be taken on another one. */
const maxPortAttempts = 10;

/**
 * An HTTP/1.1 server for the public side, not yet listening.
 * @param onWebSocket handles an upgrade to WebSocket; returns false to refuse it.
 */
export function createPublicServer(
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
  onWebSocket: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean,
): Server {
  return createHttp1Server({
    onRequest(request, response) {
      // Writing after the client has disconnected fails here; without a listener that would end the process.
      response.on('error', () => undefined);
      onRequest(request, response);
    },
    onWebSocket(request, socket, head) {
      if (onWebSocket(request, socket, head)) return;
      const message = 'this relay forwards HTTP requests, not WebSocket connections';
      sendRawAnswer(socket, { status: 501, code: relayErrorCodes.badRequest, message });
    },
    refuse(_request, response, refusal) {
      sendAnswer(response, answerFor(refusal));
    },
    rawResponse: (refusal) => rawAnswer(answerFor(refusal)),
  });
}

function answerFor(refusal: Refusal): Answer {
  return { ...refusal, code: relayErrorCodes.badRequest };
}

/**
 * Makes one server per address listen on the same port, and returns that port; `port` 0 means a free one. On failure nothing
 * listens.
 * @throws ExposeError `address_in_use`, `address_unavailable` or `too_many_open_files`.
 */
export async function listenOn(servers: ReadonlyMap<string, Server>, port: number): Promise<number> {
  return await attemptListen(servers, port, 1);
}

async function attemptListen(servers: ReadonlyMap<string, Server>, port: number, attempt: number): Promise<number> {
  const [first, ...rest] = servers;
  if (first === undefined) throw new TypeError('no address to listen on');
  try {
    const chosen = await listen(first[1], first[0], port);
    await Promise.all(rest.map(async ([address, server]) => await listen(server, address, chosen)));
    return chosen;
  } catch (error) {
    await Promise.all([...servers.values()].map(closeServer));
    const canRetry = port === 0 && servers.size > 1 && attempt < maxPortAttempts;
    if (canRetry && error instanceof ExposeError && error.code === 'address_in_use') {
      return await attemptListen(servers, port, attempt + 1);
    }
    throw error;
  }
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      server.off('listening', onListening);
      reject(listenError({ who: 'the relay', host, port, portOption: '--port' }, error));
    };
    const onListening = (): void => {
      server.off('error', onError);
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : port);
    };
    server.once('error', onError);
    server.once('listening', onListening);
    server.listen({ host, port, exclusive: true });
  });
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}
