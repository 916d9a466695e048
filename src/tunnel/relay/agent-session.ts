import type { ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { connect, constants } from 'node:http2';
import type { RawData, WebSocket } from 'ws';
import { createDeferred } from '../../deferred.ts';
import { watchSocket } from '../link/heartbeat.ts';
import {
  connectionWindowBytes,
  maxHeaderListBytes,
  maxHeaderPairs,
  maxSessionMemoryMb,
  maxStreams,
  streamWindowBytes,
} from '../link/limits.ts';
import { parseAgentMessage } from '../link/parse-message.ts';
import { createPipe } from '../link/pipe.ts';
import { closeCodes, encodeMessage } from '../link/protocol.ts';
import { createResetBudget } from './reset-budget.ts';

/** How long an orderly close of the socket may take before it is cut, in milliseconds. */
const closeGraceMs = 1_000;

/** An admitted agent: the HTTP/2 client at the relay's end of its pipe. */
export interface AgentSession {
  readonly name: string;
  readonly epoch: number;
  /** Opens a stream; `busy` when the agent has maxStreams, `gone` when its connection is ending. */
  request(headers: OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream | 'busy' | 'gone';
  /** Resets a stream whose client has gone. */
  cancel(stream: ClientHttp2Stream): void;
  /** Asks the agent to dial anew; gives it no new requests and ends when the open ones are done. */
  goaway(): void;
  close(code: number, reason: string): void;
  /** Resolves, never rejects, with the reason when the connection is gone. */
  readonly closed: Promise<string>;
}

/** Starts HTTP/2 on a socket whose handshake is done; call it in the same turn in which the welcome was sent. */
export function createAgentSession(socket: WebSocket, name: string, epoch: number): AgentSession {
  const closed = createDeferred<string>();
  const resets = createResetBudget();
  let streams = 0;
  let endReason: string | undefined;

  const pipe = createPipe(socket);
  pipe.on('error', () => undefined);
  const session = connect('http://agent', {
    createConnection: () => pipe,
    maxSessionMemory: maxSessionMemoryMb,
    maxHeaderListPairs: maxHeaderPairs,
    peerMaxConcurrentStreams: maxStreams,
    settings: {
      enablePush: false,
      initialWindowSize: streamWindowBytes,
      maxHeaderListSize: maxHeaderListBytes,
    },
  });
  session.setLocalWindowSize(connectionWindowBytes);
  // The streams carry the error to those who wait; here it must only not end the process.
  session.on('error', () => undefined);
  session.once('close', () => {
    if (socket.readyState === socket.OPEN) socket.close(closeCodes.normal);
  });

  socket.on('message', (data: RawData, isBinary: boolean) => {
    if (isBinary || !Buffer.isBuffer(data)) return;
    const message = parseAgentMessage(data);
    if (message.type === 'malformed') end(closeCodes.protocolError, message.reason);
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
    endReason ??= reason;
    socket.close(code, reason);
    const timer = setTimeout(() => {
      socket.terminate();
    }, closeGraceMs);
    socket.once('close', () => {
      clearTimeout(timer);
    });
  };

  return {
    name,
    epoch,
    closed: closed.promise,
    request(headers, endStream) {
      if (session.closed || session.destroyed || socket.readyState !== socket.OPEN) return 'gone';
      if (streams >= maxStreams) return 'busy';
      const stream = session.request(headers, { endStream });
      streams += 1;
      stream.once('close', () => {
        streams -= 1;
      });
      return stream;
    },
    cancel(stream) {
      // Paused meanwhile, so that flow control keeps what the agent still sends to one window.
      stream.pause();
      resets.spend(() => {
        if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL);
        stream.resume();
      });
    },
    goaway() {
      endReason ??= 'the relay sent it away';
      if (socket.readyState === socket.OPEN) socket.send(encodeMessage({ type: 'goaway' }));
      if (!session.closed) session.close();
    },
    close: end,
  };
}
