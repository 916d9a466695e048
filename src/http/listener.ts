import { createServer, STATUS_CODES, type RequestListener, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { ExposeError } from '../errors.ts';
import { listenError, watchOpenFiles } from '../listening.ts';
import { errorResponse, rpcCode } from '../mcp/json-rpc.ts';

/** An idle connection is kept this long: clients that reuse one after a pause must not find it closing. */
const keepAliveMs = 65_000;

export interface Listener {
  readonly port: number;
  /** Takes no new connections and ends the idle ones. */
  stop(): void;
  /** Ends every connection; resolves when the port is free. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** With which the user chose the port. Default `--port`. */
  readonly portOption?: string;
  readonly onWarning?: (message: string) => void;
}

/**
 * Listens for HTTP/1.1 on one address.
 * @param port 0 picks a free one.
 * @throws ExposeError `address_in_use`, `address_unavailable` or `too_many_open_files`.
 */
export async function listen(
  host: string,
  port: number,
  handler: RequestListener,
  { portOption = '--port', onWarning = () => {} }: ListenOptions = {},
): Promise<Listener> {
  // A missing Host is refused by the handler, with a reason; node:http would say nothing.
  const server = createServer({ keepAliveTimeout: keepAliveMs, requireHostHeader: false }, handler);
  /** The response that each connection got last. */
  const last = new WeakMap<Socket, { response: ServerResponse }>();
  server.on('request', ({ socket }, response) => {
    const known = last.get(socket);
    // Set once for each connection, since that costs more than to look.
    if (known === undefined) last.set(socket, { response });
    else known.response = response;
  });
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    const response = last.get(socket)?.response;
    // Behind a response that has begun, another one would be read as a part of it.
    if (response?.headersSent === true && !response.writableFinished) socket.destroy();
    else refuseMalformed(error, socket);
  });
  await new Promise<void>((resolve, reject) => {
    const onError = (cause: Error): void => reject(listenError({ host, port, portOption }, cause));
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      resolve();
    });
  });
  watchOpenFiles(server, onWarning);
  const bound = server.address();
  if (bound === null || typeof bound === 'string')
    throw new ExposeError('internal', `listening on ${host} gave no port`);
  return {
    port: bound.port,
    stop() {
      server.close();
      server.closeIdleConnections();
    },
    close() {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeAllConnections();
      return closed;
    },
  };
}

/** Bytes that are no HTTP request, or too many of them: node:http would answer without a body. */
function refuseMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
  const message =
    status === 431
      ? 'the header of the request is too large'
      : status === 408
        ? 'the request took too long to arrive'
        : 'the request is not valid HTTP/1.1';
  const body = errorResponse({ id: null, code: rpcCode.badRequest, message });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body.toString()}`,
  );
}
