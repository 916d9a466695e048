import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
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
import { Pipe, reportFaults } from '../protocol/pipe.ts';
import { closeCodes, encodeMessage } from '../protocol/protocol.ts';
import { createFrameBudget, createRstStreamLimiter } from './http2-limits.ts';

/** How long an orderly close of the socket may take before it is terminated, in milliseconds. */
const closeGraceMs = 1_000;
/**
 * How long the agent may take to end a stream whose response is complete while the request is not, in milliseconds. Our own
 * does so at once (RFC 9113, section 8.1), so that no reset has to be spent on it.
 */
const answeredGraceMs = 1_000;

/**
 * An admitted agent: the HTTP/2 client at the relay's end of its pipe. Create it in the same turn in which the welcome was
 * sent, since HTTP/2 starts at once.
 */
export class AgentSession {
  readonly name: string;
  readonly epoch: number;
  readonly #socket: WebSocket;
  readonly #pipe: Pipe;
  readonly #session: ClientHttp2Session;
  readonly #closed = createDeferred<string>();
  readonly #resets = createRstStreamLimiter();
  readonly #frames = createFrameBudget();
  /** Streams whose clients wait. Other open streams are no reason to refuse a client. */
  readonly #awaited = new Set<ClientHttp2Stream>();
  #openStreams = 0;
  #endReason: string | undefined;
  #hasFailed = false;

  constructor(socket: WebSocket, name: string, epoch: number) {
    this.name = name;
    this.epoch = epoch;
    this.#socket = socket;
    this.#pipe = new Pipe(socket, this.#frames);
    this.#pipe.on('error', () => undefined);
    this.#pipe.once('broken', (reason: string) => this.#fail(reason));
    this.#session = startHttp2(this.#pipe);
    this.#session.once('close', () => {
      if (!this.#hasFailed && socket.readyState === socket.OPEN) socket.close(closeCodes.normal);
    });
    socket.on('message', (data: RawData, isBinary: boolean) => {
      if (isBinary || !Buffer.isBuffer(data)) return;
      const message = parseAgentMessage(data);
      if (message.type === 'malformed') this.#fail(message.reason);
    });
    socket.once('close', (code, reason) => this.#onSocketClosed(code, reason.toString()));
    watchSocket(socket, {
      onDead: (reason) => {
        this.#endReason = reason;
        socket.terminate();
      },
    });
  }

  /** Resolves, never rejects, with the reason when the connection is gone. */
  get closed(): Promise<string> {
    return this.#closed.promise;
  }

  /** Opens a stream; `busy` when maxStreams clients wait for responses of the agent, `gone` when its connection is ending. */
  request(headers: OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream | 'busy' | 'gone' {
    const session = this.#session;
    if (session.closed || session.destroyed || this.#socket.readyState !== this.#socket.OPEN) return 'gone';
    if (this.#awaited.size >= maxStreams || this.#openStreams >= maxOpenStreams) return 'busy';
    const stream = session.request(headers, { endStream });
    this.#frames.onRequest();
    this.#openStreams += 1;
    this.#awaited.add(stream);
    stream.once('end', () => this.#awaited.delete(stream));
    stream.once('close', () => {
      this.#openStreams -= 1;
      this.#awaited.delete(stream);
    });
    return stream;
  }

  /** Resets a stream whose client has gone. */
  cancel(stream: ClientHttp2Stream): void {
    this.#awaited.delete(stream);
    // Paused, so that flow control limits what the agent still sends to one window.
    stream.pause();
    if (stream.readableEnded) setTimeout(() => this.#reset(stream), answeredGraceMs).unref();
    else this.#reset(stream);
  }

  /** Asks the agent to dial again; sends it no new requests and ends when the open ones are done. */
  goaway(): void {
    this.#endReason ??= 'the relay sent it away';
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(encodeMessage({ type: 'goaway' }));
    if (!this.#session.closed) this.#session.close();
  }

  close(code: number, reason: string): void {
    const socket = this.#socket;
    if (socket.readyState === socket.CLOSED) return;
    this.#endReason ??= reason;
    socket.close(code, reason);
    const timer = setTimeout(() => socket.terminate(), closeGraceMs);
    socket.once('close', () => clearTimeout(timer));
  }

  #onSocketClosed(code: number, reason: string): void {
    this.#resets.close();
    this.#session.destroy();
    this.#pipe.destroy();
    const lost = `connection lost (${code} ${reason})`.replace(' )', ')');
    this.#closed.resolve(this.#endReason ?? (code === closeCodes.normal ? 'the agent left' : lost));
  }

  #reset(stream: ClientHttp2Stream): void {
    this.#resets.spend(() => {
      const isOpen = !stream.closed;
      // node:http2 ends the stream before it resets it, and half a body would look complete to the agent.
      stream.end = () => stream;
      if (isOpen) stream.close(constants.NGHTTP2_CANCEL);
      stream.resume();
      return isOpen;
    });
    if (stream.closed || stream.id === undefined || this.#socket.readyState !== this.#socket.OPEN) return;
    // Out of budget: our own agent resets the stream itself. Other agents get a reset when there is budget again.
    this.#socket.send(encodeMessage({ type: 'cancel', stream: stream.id }));
  }

  /** Ends the connection because of what the agent did: nothing more is read from it, and its clients do not wait. */
  #fail(reason: string): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.close(closeCodes.protocolError, reason);
    this.#session.destroy();
    this.#pipe.destroy();
  }
}

function startHttp2(pipe: Pipe): ClientHttp2Session {
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
  return session;
}
