import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
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
import { splitLargeWrites } from './split-writes.ts';

/** How often to check whether a response on a slow connection has been sent, in milliseconds. */
const sentCheckMs = 20;

/** The HTTP/2 server of an agent, which listens on no port: serves one pipe until the pipe ends. */
export type ServePipe = (pipe: Duplex) => ServedPipe | undefined;

export interface ServedPipe {
  readonly session: ServerHttp2Session;
  /** Resets a stream whose client has gone; does nothing for an unknown stream. */
  cancel(streamId: number): void;
}

/** Every stream of every pipe goes to `handler`, through the compatibility API of node:http2. */
export function createStreamServer(handler: RequestHandler): ServePipe {
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
      splitLargeWrites(response.stream);
      // An exception in an event of node:http2 would end the process and all other requests.
      try {
        handler(request, response);
      } catch {
        response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      }
    },
  );
  server.prependListener('stream', endWithBody);
  let current: ServerHttp2Session | undefined;
  server.on('session', (session) => {
    current = session;
  });
  // The tunnel reconnects after a broken connection; here it only must not be an unhandled error.
  server.on('sessionError', () => undefined);
  return (pipe) => {
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
      stream.once('close', () => streams.delete(id));
    });
    return { session, cancel: (streamId) => streams.get(streamId)?.close(constants.NGHTTP2_CANCEL) };
  };
}

/**
 * The compatibility API waits for trailers, so that END_STREAM comes in a frame of its own after the body. There are no trailers
 * here.
 */
function endWithBody(stream: ServerHttp2Stream): void {
  const respond = stream.respond.bind(stream);
  stream.respond = (headers, options) => respond(headers, { ...options, waitForTrailers: false });
  // node:http2 ends a stream before it resets it, and half a body would look complete.
  stream.once('aborted', () => {
    stream.end = () => stream;
  });
}

/**
 * The rest of a request is not needed once the response is complete (RFC 9113, section 8.1). Without this, a client that never
 * sends the rest would keep the stream open.
 */
function endAnswered(this: ServerHttp2Stream): void {
  if (!this.readableEnded && !this.endAfterHeaders) setImmediate(endWhenSent, this);
}

/** The stream reports that it has finished before END_STREAM is sent, and a reset would overtake that. */
function endWhenSent(stream: ServerHttp2Stream): void {
  if (stream.closed || stream.destroyed) return;
  const { localClose, remoteClose } = stream.state;
  if (remoteClose === 1) return;
  if (localClose === 1) stream.close(constants.NGHTTP2_NO_ERROR);
  else setTimeout(endWhenSent, sentCheckMs, stream).unref();
}
