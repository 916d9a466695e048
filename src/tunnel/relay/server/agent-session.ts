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
import { closeCodes, encodeMessage, isLost } from '../protocol/protocol.ts';
import { createFrameBudget, createRstStreamLimiter } from './http2-limits.ts';

/** How long an orderly close of the socket may take before it is terminated, in milliseconds. */
const closeGraceMs = 1_000;
/**
 * How long the agent may take to end a stream whose response is complete while the request is not, in milliseconds. Our own
 * does so at once (RFC 9113, section 8.1), so that no reset has to be spent on it.
 */
const answeredGraceMs = 1_000;

/** How often clients of held event streams are sent a comment, in milliseconds: proxies cut connections idle for 30 s or more. */
const keepAliveMs = 10_000;

export interface AgentSessionOptions {
  readonly name: string;
  readonly epoch: number;
  /** Names the session in a resume; nobody can guess it. */
  readonly id: string;
  /** The key that may resume it, base64url. */
  readonly publicKey: string;
  /** How long the session outlives its socket, in milliseconds; 0 for an agent that does not resume. */
  readonly resumeMs: number;
  /** The id of a replica, as in `Hello`. */
  readonly replica: string | undefined;
}

/**
 * An admitted agent: the HTTP/2 client at the relay's end of its pipe. Create it in the same turn in which the welcome was
 * sent, since HTTP/2 starts at once. When its socket is lost, it waits for `resume`, and its clients with it.
 */
export class AgentSession {
  readonly name: string;
  readonly epoch: number;
  readonly id: string;
  readonly replica: string | undefined;
  readonly #publicKey: string;
  readonly #resumeMs: number;
  readonly #pipe: Pipe;
  readonly #session: ClientHttp2Session;
  readonly #closed = createDeferred<string>();
  readonly #resets = createRstStreamLimiter();
  readonly #frames = createFrameBudget();
  /** Streams whose clients wait. Other open streams are no reason to refuse a client. */
  readonly #awaited = new Set<ClientHttp2Stream>();
  /** Called when the agent is connected again, or is gone. */
  readonly #waiting = new Set<() => void>();
  /** Called every keepAliveMs while the agent is not connected. */
  readonly #held = new Set<() => void>();
  #socket: WebSocket;
  #lastRequestAt = 0;
  #openStreams = 0;
  /** Why the connection ends on purpose. */
  #endReason: string | undefined;
  #hasFailed = false;
  #hasEnded = false;
  /** The timers of a session without a socket. */
  #expiry: NodeJS.Timeout | undefined;
  #keepAlive: NodeJS.Timeout | undefined;

  constructor(socket: WebSocket, { name, epoch, id, publicKey, resumeMs, replica }: AgentSessionOptions) {
    this.name = name;
    this.epoch = epoch;
    this.id = id;
    this.replica = replica;
    this.#publicKey = publicKey;
    this.#resumeMs = resumeMs;
    this.#socket = socket;
    this.#pipe = new Pipe(socket, { objectTo: (frame) => this.#frames.objectTo(frame), isResumable: resumeMs > 0 });
    this.#pipe.on('error', () => undefined);
    this.#pipe.once('broken', (reason: string) => this.#fail(reason));
    this.#session = startHttp2(this.#pipe);
    this.#session.once('close', () => {
      if (!this.#hasFailed) this.close(closeCodes.normal, 'the agent left');
    });
    this.#watch(socket);
  }

  /** Resolves, never rejects, with the reason when the session is gone. */
  get closed(): Promise<string> {
    return this.#closed.promise;
  }

  /** Whether its streams end because it has. */
  get hasEnded(): boolean {
    return this.#hasEnded || this.#hasFailed;
  }

  /** Whether it waits for the agent to resume. True also in the moment before the loss of the socket is known. */
  get isDetached(): boolean {
    return this.#mayResume() && this.#socket.readyState !== this.#socket.OPEN;
  }

  /** Whether it takes new requests. */
  get isConnected(): boolean {
    const { closed, destroyed } = this.#session;
    return !closed && !destroyed && this.#socket.readyState === this.#socket.OPEN;
  }

  /** Requests whose clients wait for the end of the response. */
  get awaitedRequests(): number {
    return this.#awaited.size;
  }

  /** In milliseconds of `performance.now()`. */
  get lastRequestAt(): number {
    return this.#lastRequestAt;
  }

  /** Bytes of the pipe that were received, for the welcome of a resume. */
  get receivedBytes(): number {
    return this.#pipe.receivedBytes;
  }

  /** Whether an agent with this key and name, which has received this many bytes, can resume the session. */
  canResume(agent: { readonly publicKey: string; readonly name: string; readonly received: number }): boolean {
    if (!this.#mayResume() || agent.publicKey !== this.#publicKey || agent.name !== this.name) return false;
    return this.#pipe.canAttach(agent.received);
  }

  /** Continues on another socket, in the same turn in which the welcome was sent. A socket that is still there is terminated. */
  resume(socket: WebSocket, received: number): void {
    this.#stopTimers();
    this.#watch(socket);
    this.#pipe.attach(socket, received);
    this.#wake();
  }

  /** Opens a stream; `busy` when maxStreams clients wait for responses of the agent, `gone` when its connection is ending. */
  request(headers: OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream | 'busy' | 'gone' {
    if (!this.isConnected) return 'gone';
    if (this.#awaited.size >= maxStreams || this.#openStreams >= maxOpenStreams) return 'busy';
    const stream = this.#session.request(headers, { endStream });
    this.#lastRequestAt = performance.now();
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

  /**
   * Calls `done` when the agent is connected again or gone. Returns a function that cancels that, or undefined when maxStreams
   * wait already.
   */
  onceAttached(done: () => void): (() => void) | undefined {
    if (this.#waiting.size >= maxStreams) return undefined;
    this.#waiting.add(done);
    return () => this.#waiting.delete(done);
  }

  /** Calls `keepAlive` every few seconds while the agent is not connected, until the returned function is called. */
  whileDetached(keepAlive: () => void): () => void {
    this.#held.add(keepAlive);
    return () => this.#held.delete(keepAlive);
  }

  /** Resets a stream whose client has gone. */
  cancel(stream: ClientHttp2Stream): void {
    this.#awaited.delete(stream);
    // Paused, so that flow control limits what the agent still sends to one window.
    stream.pause();
    if (stream.readableEnded) setTimeout(() => this.#reset(stream), answeredGraceMs).unref();
    else this.#reset(stream);
  }

  /** Asks the agent to dial again. Until `close` it is sent the requests that still come here, but its session is not resumed. */
  goaway(): void {
    this.#endReason ??= 'the relay is stopping';
    if (this.#socket.readyState === this.#socket.CLOSED) this.#end(this.#endReason);
    else if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(encodeMessage({ type: 'goaway' }));
  }

  close(code: number, reason: string): void {
    const socket = this.#socket;
    if (this.#hasEnded) return;
    this.#endReason ??= reason;
    if (socket.readyState === socket.CLOSED) {
      this.#end(this.#endReason);
      return;
    }
    socket.close(code, reason);
    const timer = setTimeout(() => socket.terminate(), closeGraceMs);
    socket.once('close', () => clearTimeout(timer));
  }

  #watch(socket: WebSocket): void {
    this.#socket = socket;
    let lossReason: string | undefined;
    socket.on('message', (data: RawData, isBinary: boolean) => {
      if (socket !== this.#socket || isBinary || !Buffer.isBuffer(data)) return;
      const message = parseAgentMessage(data);
      if (message.type === 'malformed') this.#fail(message.reason);
      else if (message.type === 'ack' && !this.#pipe.acknowledge(message.received))
        this.#fail('ack beyond what was sent');
    });
    socket.once('close', (code, reason) => {
      // Another one may have replaced it.
      if (socket !== this.#socket) return;
      const lost = lossReason ?? `connection lost (${code} ${reason.toString()})`.replace(' )', ')');
      if (isLost(code) && this.#mayResume()) this.#detach(lost);
      else this.#end(this.#endReason ?? (code === closeCodes.normal ? 'the agent left' : lost));
    });
    watchSocket(socket, {
      onDead(reason) {
        lossReason = reason;
        socket.terminate();
      },
    });
  }

  #mayResume(): boolean {
    const isEnding = this.#hasEnded || this.#hasFailed || this.#endReason !== undefined;
    return this.#resumeMs > 0 && !isEnding && !this.#session.closed && !this.#session.destroyed;
  }

  #detach(reason: string): void {
    this.#expiry = setTimeout(() => {
      this.#end(`${reason}; the agent did not come back within ${this.#resumeMs / 1000} s`);
    }, this.#resumeMs);
    this.#keepAlive = setInterval(() => {
      for (const keepAlive of this.#held) keepAlive();
    }, keepAliveMs);
  }

  #end(reason: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#stopTimers();
    this.#resets.close();
    this.#session.destroy();
    this.#pipe.destroy();
    this.#closed.resolve(reason);
    this.#wake();
  }

  #stopTimers(): void {
    clearTimeout(this.#expiry);
    clearInterval(this.#keepAlive);
  }

  #wake(): void {
    for (const done of this.#waiting) done();
    this.#waiting.clear();
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
