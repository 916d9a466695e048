import type { ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { connect, constants } from 'node:http2';
import type { RawData, WebSocket } from 'ws';
import { createDeferred } from '../../../platform/deferred.ts';
import { watchSocket } from '../protocol/heartbeat.ts';
import {
  connectionWindowBytes,
  maxHeaderListBytes,
  maxHeaderPairs,
  maxOpenStreams,
  maxSessionMemoryMb,
  maxStreams,
  streamWindowBytes,
} from '../protocol/limits.ts';
import { parseAgentMessage } from '../protocol/parse-message.ts';
import { createPipe, reportFaults } from '../protocol/pipe.ts';
import { closeCodes, encodeMessage } from '../protocol/protocol.ts';
import { createFrameBudget, createRstStreamLimiter } from './http2-limits.ts';

/** How long an orderly close of the socket may take before it is terminated, in milliseconds. */
const closeGraceMs = 1_000;
/**
 * How long the agent may take to end a stream whose response is complete while the request is not, in milliseconds. Our own
 * does so at once (RFC 9113, section 8.1), so that no reset has to be spent on it.
 */
const answeredGraceMs = 1_000;

/** An admitted agent: the HTTP/2 client at the relay's end of its pipe. */
export interface AgentSession {
  readonly name: string;
  readonly epoch: number;
  /** Opens a stream; `busy` when maxStreams clients wait for responses of the agent, `gone` when its connection is ending. */
  request(headers: OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream | 'busy' | 'gone';
  /** Resets a stream whose client has gone. */
  cancel(stream: ClientHttp2Stream): void;
  /** Asks the agent to dial again; sends it no new requests and ends when the open ones are done. */
  goaway(): void;
  close(code: number, reason: string): void;
  /** Resolves, never rejects, with the reason when the connection is gone. */
  readonly closed: Promise<string>;
}

/** Starts HTTP/2 on a socket after the handshake; call it in the same turn in which the welcome was sent. */
export function createAgentSession(socket: WebSocket, name: string, epoch: number): AgentSession {
  const closed = createDeferred<string>();
  const resets = createRstStreamLimiter();
  const frames = createFrameBudget();
  /** Streams whose clients wait. Other open streams are no reason to refuse a client. */
  const awaited = new Set<ClientHttp2Stream>();
  let openStreams = 0;
  let endReason: string | undefined;
  let hasFailed = false;

  const pipe = createPipe(socket, frames);
  pipe.on('error', () => undefined);
  pipe.once('broken', (reason: string) => {
    fail(reason);
  });
  const session = connect('http://agent', {
    createConnection: () => pipe,
    maxSessionMemory: maxSessionMemoryMb,
    maxHeaderListPairs: maxHeaderPairs,
    peerMaxConcurrentStreams: maxStreams,
    settings: {
      enablePush: false,
      // Otherwise a single byte could repeat a header of 4 KiB again and again.
      headerTableSize: 0,
      initialWindowSize: streamWindowBytes,
      maxHeaderListSize: maxHeaderListBytes,
    },
  });
  session.setLocalWindowSize(connectionWindowBytes);
  // The streams report the error; here it only must not end the process.
  session.on('error', () => undefined);
  reportFaults(session, pipe);
  session.once('close', () => {
    if (!hasFailed && socket.readyState === socket.OPEN) socket.close(closeCodes.normal);
  });

  socket.on('message', (data: RawData, isBinary: boolean) => {
    if (isBinary || !Buffer.isBuffer(data)) return;
    const message = parseAgentMessage(data);
    if (message.type === 'malformed') fail(message.reason);
  });
  socket.once('close', (code, reason) => {
    resets.close();
    session.destroy();
    pipe.destroy();
    closed.resolve(
      endReason ??
        (code === closeCodes.normal
          ? 'the agent left'
          : `connection lost (${code} ${reason.toString()})`.replace(' )', ')')),
    );
  });
  watchSocket(socket, {
    onDead(reason) {
      endReason = reason;
      socket.terminate();
    },
  });

  const end = (code: number, reason: string): void => {
    if (socket.readyState === socket.CLOSED) return;
    endReason ??= reason;
    socket.close(code, reason);
    const timer = setTimeout(() => {
      socket.terminate();
    }, closeGraceMs);
    socket.once('close', () => {
      clearTimeout(timer);
    });
  };

  const reset = (stream: ClientHttp2Stream): void => {
    resets.spend(() => {
      const isOpen = !stream.closed;
      // node:http2 ends the stream before it resets it, and half a body would look complete to the agent.
      stream.end = () => stream;
      if (isOpen) stream.close(constants.NGHTTP2_CANCEL);
      stream.resume();
      return isOpen;
    });
    if (stream.closed || stream.id === undefined || socket.readyState !== socket.OPEN) return;
    // Out of budget: our own agent resets the stream itself. Other agents get a reset when there is budget again.
    socket.send(encodeMessage({ type: 'cancel', stream: stream.id }));
  };

  /** Ends the connection because of what the agent did: nothing more is read from it, and its clients do not wait. */
  const fail = (reason: string): void => {
    if (hasFailed) return;
    hasFailed = true;
    end(closeCodes.protocolError, reason);
    session.destroy();
    pipe.destroy();
  };

  return {
    name,
    epoch,
    closed: closed.promise,
    request(headers, endStream) {
      if (session.closed || session.destroyed || socket.readyState !== socket.OPEN) return 'gone';
      if (awaited.size >= maxStreams || openStreams >= maxOpenStreams) return 'busy';
      const stream = session.request(headers, { endStream });
      frames.onRequest();
      openStreams += 1;
      awaited.add(stream);
      const release = (): void => {
        awaited.delete(stream);
      };
      stream.once('end', release);
      stream.once('close', () => {
        openStreams -= 1;
        release();
      });
      return stream;
    },
    cancel(stream) {
      awaited.delete(stream);
      // Paused, so that flow control limits what the agent still sends to one window.
      stream.pause();
      if (stream.readableEnded) setTimeout(reset, answeredGraceMs, stream).unref();
      else reset(stream);
    },
    goaway() {
      endReason ??= 'the relay sent it away';
      if (socket.readyState === socket.OPEN) socket.send(encodeMessage({ type: 'goaway' }));
      if (!session.closed) session.close();
    },
    close: end,
  };
}
