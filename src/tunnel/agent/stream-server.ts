import type { Http2Server, ServerHttp2Session } from 'node:http2';
import { constants, createServer } from 'node:http2';
import type { Duplex } from 'node:stream';
import {
  connectionWindowBytes,
  maxHeaderListBytes,
  maxHeaderPairs,
  maxSessionMemoryMb,
  maxStreams,
  streamWindowBytes,
} from '../link/limits.ts';
import type { RequestHandler } from '../provider.ts';

/** The HTTP/2 server of an agent. It listens nowhere: it serves the pipes it is given. */
export interface StreamServer {
  /** Serves one pipe until the pipe ends. */
  serve(pipe: Duplex): ServerHttp2Session | undefined;
}

/** Every stream of every pipe goes to `handler`, through the compatibility API of node:http2. */
export function createStreamServer(handler: RequestHandler): StreamServer {
  const server: Http2Server = createServer(
    {
      maxSessionMemory: maxSessionMemoryMb,
      maxHeaderListPairs: maxHeaderPairs,
      settings: {
        initialWindowSize: streamWindowBytes,
        maxConcurrentStreams: maxStreams,
        maxHeaderListSize: maxHeaderListBytes,
      },
    },
    (request, response) => {
      // Thrown from an event of node:http2, a fault in one request would end the process and all others.
      try {
        handler(request, response);
      } catch {
        response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      }
    },
  );
  let current: ServerHttp2Session | undefined;
  server.on('session', (session) => {
    current = session;
  });
  // A broken carrier is the supervisor's business; here it must only not be an unhandled error.
  server.on('sessionError', () => undefined);
  return {
    serve(pipe) {
      current = undefined;
      server.emit('connection', pipe);
      const session = current as ServerHttp2Session | undefined;
      if (session === undefined || session.destroyed) return undefined;
      session.setLocalWindowSize(connectionWindowBytes);
      return session;
    },
  };
}
