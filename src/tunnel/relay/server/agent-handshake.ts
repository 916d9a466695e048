import { randomBytes } from 'node:crypto';
import type { RawData, WebSocket } from 'ws';
import { deriveName, verifyProof } from '../protocol/identity.ts';
import { handshakeTimeoutMs, maxStreams, pingIntervalMs } from '../protocol/limits.ts';
import { parseAgentMessage } from '../protocol/parse-message.ts';
import {
  closeCodes,
  encodeMessage,
  type Hello,
  type Proof,
  type RejectCode,
  type Welcome,
} from '../protocol/protocol.ts';
import { AgentSession } from './agent-session.ts';
import type { Registry } from './registry.ts';
import type { RelayEvent } from './relay-events.ts';

/** When an agent may retry after the relay was full, in milliseconds. */
const fullRetryMs = 10_000;

export interface AgentHandshakeOptions {
  readonly registry: Registry<AgentSession>;
  readonly handshakeTimeoutMs: number | undefined;
  /** How long a session outlives its socket, in milliseconds. */
  readonly resumeMs: number;
  readonly onEvent: (event: RelayEvent) => void;
  /** Hosts of this relay, one of which the proof has to be for. */
  readonly hosts: ReadonlySet<string>;
  /** For the limits per origin. */
  readonly origin: string;
  readonly address: string;
  /** Public base URLs of a name, for an agent that dialled `relayHost`. */
  readonly urlsOf: (name: string, relayHost: string) => readonly string[];
  /** Why an agent is not admitted, or undefined. */
  readonly objectionTo: (hello: Hello) => Rejection | undefined;
  /** The session with this id. */
  readonly sessionOf: (id: string) => AgentSession | undefined;
  readonly onAgent: (agent: AgentSession) => void;
  /** Called when the handshake has succeeded or failed; perhaps more than once. */
  readonly onEnd: () => void;
}

export interface Rejection {
  readonly code: RejectCode;
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** A hello and its bytes, which the proof signs. */
interface Greeting {
  readonly message: Hello;
  readonly bytes: Buffer;
}

/** The relay's side of one handshake on an open WebSocket: hello, challenge, proof, name, welcome. */
export class AgentHandshake {
  readonly #socket: WebSocket;
  readonly #options: AgentHandshakeOptions;
  readonly #nonce = randomBytes(32);
  readonly #timer: NodeJS.Timeout;
  #greeting: Greeting | undefined;
  #isDone = false;

  constructor(socket: WebSocket, options: AgentHandshakeOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#timer = setTimeout(
      () => this.#drop(closeCodes.handshakeTimeout, 'no handshake in time'),
      options.handshakeTimeoutMs ?? handshakeTimeoutMs,
    );
    socket.on('message', this.#onMessage);
    // 'close' follows; without a listener the error would end the process.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#finish());
  }

  cut(): void {
    this.#finish();
    this.#socket.terminate();
  }

  readonly #onMessage = (data: RawData, isBinary: boolean): void => {
    if (isBinary || !Buffer.isBuffer(data)) {
      this.#drop(closeCodes.protocolError, 'data before the handshake was done');
      return;
    }
    const message = parseAgentMessage(data);
    const greeting = this.#greeting;
    if (message.type === 'malformed') this.#drop(closeCodes.protocolError, message.reason);
    else if (message.type === 'hello' && greeting === undefined) this.#onHello({ message, bytes: data });
    else if (message.type === 'proof' && greeting !== undefined) {
      // One proof per challenge.
      this.#socket.off('message', this.#onMessage);
      this.#onProof(message, greeting).catch(() => this.#socket.terminate());
    } else if (message.type !== 'unknown') this.#drop(closeCodes.protocolError, `${message.type} out of order`);
  };

  #onHello(greeting: Greeting): void {
    const objection = this.#options.objectionTo(greeting.message);
    if (objection !== undefined) {
      this.#reject(objection);
      return;
    }
    this.#greeting = greeting;
    this.#socket.send(encodeMessage({ type: 'challenge', nonce: this.#nonce.toString('base64url') }));
  }

  async #onProof({ signature }: Proof, { message, bytes }: Greeting): Promise<void> {
    const { hosts, registry, origin, urlsOf } = this.#options;
    const { publicKey } = message;
    const dialled = [...hosts].find((relayHost) =>
      verifyProof(publicKey, { relayHost, nonce: this.#nonce, hello: bytes }, signature),
    );
    if (dialled === undefined) {
      const known = [...hosts].slice(0, 3).join(', ');
      this.#reject({
        code: 'auth',
        message: `the key's proof is not for this relay, which knows itself as ${known || 'nothing reachable'}; if it is reached under another address, start it with --public-url`,
      });
      return;
    }
    const name = message.want.name ?? deriveName(publicKey);
    if (!this.#isDone && this.#resume(message, name, urlsOf(name, dialled))) return;
    const claim = await registry.claim(name, publicKey, origin, message.want.replica);
    if (!claim.ok) {
      const retry = claim.code === 'quota' ? { retryAfterMs: fullRetryMs } : {};
      if (!this.#isDone) this.#reject({ code: claim.code, message: claim.message, ...retry });
      return;
    }
    claim.displaced?.close(closeCodes.rejected, 'this relay is full, and another agent needed the place');
    if (this.#isDone) await registry.release(name, claim.epoch);
    else await this.#welcome(message, { name, epoch: claim.epoch, urls: urlsOf(name, dialled) });
  }

  /** Continues the session that the agent has lost. Returns false when there is none that it can resume: it gets a new one. */
  #resume({ publicKey, resume }: Hello, name: string, urls: readonly string[]): boolean {
    const agent = resume && this.#options.sessionOf(resume.session);
    if (resume === undefined || agent?.canResume({ publicKey, name, received: resume.received }) !== true) return false;
    const { id, epoch, receivedBytes } = agent;
    this.#finish();
    this.#sendWelcome({ session: id, epoch, name, urls, resumeMs: this.#options.resumeMs, received: receivedBytes });
    agent.resume(this.#socket, resume.received);
    return true;
  }

  async #welcome(
    { agent: program, publicKey, resume, want: { replica } }: Hello,
    { name, epoch, urls }: { readonly name: string; readonly epoch: number; readonly urls: readonly string[] },
  ): Promise<void> {
    const { registry, address, onAgent, onEvent } = this.#options;
    // An agent that does not know of resuming would acknowledge nothing.
    const resumeMs = resume === undefined ? 0 : this.#options.resumeMs;
    const id = randomBytes(16).toString('base64url');
    this.#finish();
    this.#sendWelcome({ session: id, epoch, name, urls, resumeMs });
    const agent = new AgentSession(this.#socket, { name, epoch, id, publicKey, resumeMs, replica });
    onAgent(agent);
    const { accepted, replaced, online } = await registry.attach(name, epoch, agent);
    for (const old of replaced) old.close(closeCodes.takenOver, 'taken over by a newer connection of the same key');
    if (accepted) onEvent({ type: 'agent_connected', name, epoch, urls, agent: program, address, online });
    else agent.close(closeCodes.takenOver, 'taken over by a newer connection of the same key');
  }

  #sendWelcome(welcome: Omit<Welcome, 'type' | 'heartbeatMs' | 'limits'>): void {
    const limits = { streams: maxStreams };
    this.#socket.send(encodeMessage({ type: 'welcome', ...welcome, heartbeatMs: pingIntervalMs, limits }));
  }

  #reject({ code, message, retryAfterMs }: Rejection): void {
    const retry = retryAfterMs === undefined ? { retryable: false } : { retryable: true, retryAfterMs };
    this.#finish();
    this.#socket.send(encodeMessage({ type: 'reject', code, message, ...retry }));
    this.#close(closeCodes.rejected, code);
    this.#options.onEvent({ type: 'agent_rejected', code, message, address: this.#options.address });
  }

  #drop(code: number, reason: string): void {
    this.#finish();
    this.#close(code, reason);
  }

  #finish(): void {
    this.#isDone = true;
    clearTimeout(this.#timer);
    this.#socket.off('message', this.#onMessage);
    this.#options.onEnd();
  }

  /** A peer that does not answer the close frame must not keep its socket. */
  #close(code: number, reason: string): void {
    const socket = this.#socket;
    socket.close(code, reason);
    const timer = setTimeout(() => socket.terminate(), 1_000);
    socket.once('close', () => clearTimeout(timer));
  }
}
