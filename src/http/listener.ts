import type { RequestListener } from 'node:http';

import { ExposeError } from '../errors.ts';
import { createHttp1Server, formatResponse } from '../platform/http1/server.ts';
import { listenError, watchOpenFiles } from '../platform/net/listening.ts';
import { errorResponse, rpcCode } from '../mcp/json-rpc.ts';
import { refuse } from './responses/json-response.ts';

export interface Listener {
  readonly port: number;
  /** Accepts no new connections and closes idle ones. */
  stop(): void;
  /** Closes every connection; resolves when the port is free. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** The option that sets the port, for errors. Default `--port`. */
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
  const server = createHttp1Server({
    onRequest: handler,
    refuse,
    rawResponse: ({ status, message }) =>
      formatResponse(status, errorResponse({ id: null, code: rpcCode.badRequest, message })),
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
