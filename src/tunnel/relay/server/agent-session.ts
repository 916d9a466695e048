import type { RawData, WebSocket } from 'ws';
import { createDeferred } from '../../../platform/deferred.ts';
import { createFrameBudget } from './frame-budget.ts';
import { createHeartbeat } from '../protocol/heartbeat.ts';
import { maxStreams, relayPingIntervalMs } from '../protocol/limits.ts';
import { Multiplexer } from '../protocol/multiplexer.ts';
import type { MuxStream, StreamReceiver } from '../protocol/mux-stream.ts';
import { parseAgentMessage } from '../protocol/parse-message.ts';
import { Pipe } from '../protocol/pipe.ts';
import { closeCodes, encodeMessage, isLost } from '../protocol/protocol.ts';

/** How long an orderly close of the socket may take before it is terminated, in milliseconds. */
const closeGraceMs = 1_000;
/** How often clients of held event streams are sent a comment, in milliseconds: proxies cut connections idle for 30 s or more. */
const keepAliveMs = 10_000;

/** Of all agents of this process. */
const heartbeat = createHeartbeat({ intervalMs: relayPingIntervalMs });

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
 * An admitted agent. Create it in the same turn in which the welcome was sent: what the agent sends then is for the pipe. When its
 * socket is lost, it waits for `resume`, and its clients with it.
 */
export class AgentSession {
  readonly name: string;
  readonly epoch: number;
  readonly id: string;
  readonly replica: string | undefined;
  readonly #publicKey: string;
  readonly #resumeMs: number;
  readonly #pipe: Pipe;
  readonly #streams: Multiplexer;
  readonly #frames = createFrameBudget();
  readonly #closed = createDeferred<string>();
  /** Requests whose responses their clients have not got to the end. */
  readonly #awaited = new Set<StreamReceiver>();
  /** Called when the agent is connected again, or is gone. */
  readonly #waiting = new Set<() => void>();
  /** Called every keepAliveMs while the agent is not connected. */
  readonly #held = new Set<() => void>();
  #socket: WebSocket;
  #lastRequestAt = 0;
  /** Why the connection ends on purpose. */
  #endReason: string | undefined;
  #hasFailed = false;
  #hasEnded = false;
  /** It takes no new requests. */
  #isLeaving = false;
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
    this.#pipe = new Pipe(socket, {
      isResumable: resumeMs > 0,
      onReceived: (bytes) => this.#streams.receive(bytes),
      onWritable: () => this.#streams.flush(),
    });
    this.#streams = new Multiplexer({
      carrier: this.#pipe,
      objectTo: (type, length) => this.#frames.objectTo(type, length),
      onFault: (reason) => this.#fail(reason),
    });
    this.#watch(socket);
  }

  /** Resolves, never rejects, with the reason when the session is gone. */
  get closed(): Promise<string> {
    return this.#closed.promise;
  }

  /** Whether it waits for the agent to resume. True also in the moment before the loss of the socket is known. */
  get isDetached(): boolean {
    return this.#mayResume() && this.#socket.readyState !== this.#socket.OPEN;
  }

  /** Whether it takes new requests. */
  get isConnected(): boolean {
    return !this.#isLeaving && !this.#streams.isClosed && this.#socket.readyState === this.#socket.OPEN;
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

  /**
   * Sends a request; `busy` when maxStreams clients wait for responses of the agent, `gone` when it takes no more.
   * @param head as of `encodeHead`.
   */
  request(head: Buffer, isEnd: boolean, receiver: StreamReceiver): MuxStream | 'busy' | 'gone' {
    if (!this.isConnected) return 'gone';
    if (this.#awaited.size >= maxStreams) return 'busy';
    this.#lastRequestAt = performance.now();
    this.#frames.onRequest();
    this.#awaited.add(receiver);
    return this.#streams.open(head, isEnd, receiver);
  }

  /** To be called for each request that was sent, when its client has got the response, or has gone. */
  done(receiver: StreamReceiver): void {
    this.#awaited.delete(receiver);
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
      else if (message.type === 'goaway') this.#isLeaving = true;
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
    heartbeat.watch(socket, (reason) => {
      lossReason = reason;
      socket.terminate();
    });
  }

  #mayResume(): boolean {
    const isEnding = this.#isLeaving || this.#endReason !== undefined;
    return this.#resumeMs > 0 && !isEnding && !this.#streams.isClosed;
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
    this.#streams.close();
    this.#pipe.close();
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

  /** Ends the connection because of what the agent did: nothing more is read from it, and its clients do not wait. */
  #fail(reason: string): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.close(closeCodes.protocolError, reason);
    this.#streams.close();
    this.#pipe.close();
  }
}
