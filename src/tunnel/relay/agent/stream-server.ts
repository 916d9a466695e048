import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { constants, createServer } from 'node:http2';
import type { Duplex } from 'node:stream';
import {
  connectionWindowBytes,
  maxHeaderListBytes,
  maxHeaderPairs,
  maxOpenStreams,
  maxSessionMemoryMb,
  streamWindowBytes,
} from '../protocol/limits.ts';
import type { RequestHandler } from '../../provider.ts';

/** How often it is looked whether an answer has been sent that waits for a slow connection, in milliseconds. */
const sentCheckMs = 20;

/** The HTTP/2 server of an agent. It listens nowhere: it serves the pipes it is given. */
export interface StreamServer {
  /** Serves one pipe until the pipe ends. */
  serve(pipe: Duplex): ServedPipe | undefined;
}

export interface ServedPipe {
  readonly session: ServerHttp2Session;
  /** Resets a stream whose client has gone; does nothing where there is none of that number. */
  cancel(streamId: number): void;
}

/** Every stream of every pipe goes to `handler`, through the compatibility API of node:http2. */
export function createStreamServer(handler: RequestHandler): StreamServer {
  const server: Http2Server = createServer(
    {
      maxSessionMemory: maxSessionMemoryMb,
      maxHeaderListPairs: maxHeaderPairs,
      settings: {
        initialWindowSize: streamWindowBytes,
        maxConcurrentStreams: maxOpenStreams,
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
  // The tunnel reconnects after a broken carrier; here it must only not be an unhandled error.
  server.on('sessionError', () => undefined);
  return {
    serve(pipe) {
      current = undefined;
      server.emit('connection', pipe);
      const session = current as ServerHttp2Session | undefined;
      if (session === undefined || session.destroyed) return undefined;
      session.setLocalWindowSize(connectionWindowBytes);
      const streams = new Map<number, ServerHttp2Stream>();
      session.on('stream', (stream) => {
        const { id = 0 } = stream;
        streams.set(id, stream);
        stream.once('finish', endAnswered);
        stream.once('close', () => {
          streams.delete(id);
        });
      });
      return {
        session,
        cancel(streamId) {
          streams.get(streamId)?.close(constants.NGHTTP2_CANCEL);
        },
      };
    },
  };
}

/**
 * Nobody needs the rest of a request whose answer is complete (RFC 9113, section 8.1). Without this, a client that never
 * sends the rest would keep the stream open.
 */
function endAnswered(this: ServerHttp2Stream): void {
  if (!this.readableEnded && !this.endAfterHeaders) setImmediate(endWhenSent, this);
}

/** END_STREAM is still on its way out when the stream says that it has finished, and a reset would overtake it. */
function endWhenSent(stream: ServerHttp2Stream): void {
  if (stream.closed || stream.destroyed) return;
  const { localClose, remoteClose } = stream.state;
  if (remoteClose === 1) return;
  if (localClose === 1) stream.close(constants.NGHTTP2_NO_ERROR);
  else setTimeout(endWhenSent, sentCheckMs, stream).unref();
}
