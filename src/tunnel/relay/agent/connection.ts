import type { RawData, WebSocket } from 'ws';
import type { Clock } from '../../../platform/clock.ts';
import { createDeferred } from '../../../platform/deferred.ts';
import { agentHandshake } from './handshake.ts';
import { watchSocket } from '../protocol/heartbeat.ts';
import type { Identity } from '../protocol/identity.ts';
import { pingIntervalMs } from '../protocol/limits.ts';
import { parseRelayMessage } from '../protocol/parse-message.ts';
import { type Pipe, reportFaults } from '../protocol/pipe.ts';
import type { Welcome } from '../protocol/protocol.ts';
import { closeCodes } from '../protocol/protocol.ts';
import { toSingleLine } from '../../../platform/text/sanitize.ts';
import { dial } from './dial.ts';
import type { Failure } from './failures.ts';
import {
  handshakeFailure,
  networkFailure,
  otherProtocolFailure,
  refusalFailure,
  rejectFailure,
  timeoutFailure,
  urlsFailure,
} from './failures.ts';
import type { StreamServer } from './stream-server.ts';

/** How long an orderly end may take before the socket is cut, in milliseconds. */
const closeGraceMs = 1_000;
/** How long requests may go on when the tunnel is closed, in milliseconds: an answer that is nearly out gets out. */
const drainGraceMs = 500;

/** One live connection to the relay. */
export interface Connection {
  readonly welcome: Welcome;
  /** Resolves, never rejects, when the connection is gone. */
  readonly ended: Promise<{ readonly code: number; readonly reason: string }>;
  /** Resolves when the relay asks to dial anew, or when the connection is gone. */
  readonly goaway: Promise<void>;
  /** Takes no new requests and ends when the open ones are done. */
  finish(): void;
  /** Ends it within about two seconds; resolves when the socket is gone. */
  close(): Promise<void>;
}

export interface ConnectOptions {
  /** As the user gave it, for messages. */
  readonly relayUrl: string;
  /** ws: or wss: URL of the tunnel endpoint. */
  readonly endpoint: URL;
  readonly identity: Identity;
  readonly agent: string;
  readonly name?: string;
  readonly server: StreamServer;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onNotice: (message: string) => void;
}

export type ConnectResult =
  | { readonly type: 'connected'; readonly connection: Connection }
  | { readonly type: 'failed'; readonly failure: Failure };

/** Dials, shakes hands and serves. Resolves with the connection or why there is none; rejects only on `signal`. */
export async function connectOnce(options: ConnectOptions): Promise<ConnectResult> {
  const { relayUrl, endpoint } = options;
  const attempt = new AbortController();
  const onAbort = (): void => {
    attempt.abort(options.signal.reason);
  };
  let timedOut = false;
  const cancelTimeout = options.clock.after(options.timeoutMs, () => {
    timedOut = true;
    attempt.abort(new Error('timeout'));
  });
  options.signal.addEventListener('abort', onAbort);
  if (options.signal.aborted) onAbort();
  try {
    const dialled = await dial({ url: endpoint, env: options.env, signal: attempt.signal });
    if (dialled.type === 'refused') return failed(refusalFailure(relayUrl, dialled.refusal));
    if (dialled.type === 'other_protocol') return failed(otherProtocolFailure(relayUrl, dialled.protocol));
    const { socket } = dialled;
    const result = await agentHandshake({ ...options, socket, relayHost: endpoint.host, signal: attempt.signal });
    if (result.type === 'reject') return failed(rejectFailure(relayUrl, result, options.name));
    if (result.type === 'bad_url') return failed(urlsFailure(relayUrl, result.url));
    if (result.type === 'failed') return failed(handshakeFailure(relayUrl, result.reason));
    return { type: 'connected', connection: createConnection(socket, result.pipe, result.welcome, options) };
  } catch (error) {
    options.signal.throwIfAborted();
    return failed(timedOut ? timeoutFailure(relayUrl, options.timeoutMs) : networkFailure(relayUrl, error));
  } finally {
    cancelTimeout();
    options.signal.removeEventListener('abort', onAbort);
  }
}

function failed(failure: Failure): ConnectResult {
  return { type: 'failed', failure };
}

function createConnection(socket: WebSocket, pipe: Pipe, welcome: Welcome, options: ConnectOptions): Connection {
  const ended = createDeferred<{ code: number; reason: string }>();
  const goaway = createDeferred<void>();
  let deathReason: string | undefined;
  // The HTTP/2 session reports it too; a pipe without a listener would end the process.
  pipe.on('error', () => undefined);
  socket.once('close', (code, reason) => {
    goaway.resolve();
    ended.resolve({ code, reason: deathReason ?? closeReason(code, reason.toString()) });
  });
  socket.on('message', (data: RawData, isBinary: boolean) => {
    if (isBinary || !Buffer.isBuffer(data)) return;
    const message = parseRelayMessage(data);
    if (message.type === 'goaway') goaway.resolve();
    else if (message.type === 'cancel') served?.cancel(message.stream);
    else if (message.type === 'notice' && message.message !== undefined) options.onNotice(message.message);
    else if (message.type === 'malformed') socket.close(closeCodes.protocolError, message.reason);
  });
  watchSocket(socket, {
    clock: options.clock,
    intervalMs: Math.min(pingIntervalMs, Math.max(1_000, welcome.heartbeatMs)),
    onDead(reason) {
      deathReason = reason;
      socket.terminate();
    },
  });
  /** A connection without HTTP/2 serves nobody; the supervisor dials anew. */
  const fail = (): void => {
    if (socket.readyState === socket.CLOSED) return;
    deathReason = 'the HTTP/2 connection to the relay broke';
    socket.close(closeCodes.protocolError, 'HTTP/2 error');
    const cancelGrace = options.clock.after(closeGraceMs, () => {
      socket.terminate();
    });
    socket.once('close', cancelGrace);
  };
  pipe.once('broken', fail);
  const served = options.server.serve(pipe);
  const session = served?.session;
  if (session === undefined) fail();
  else reportFaults(session, pipe);

  const finish = (): void => {
    if (session === undefined || session.destroyed) socket.close(closeCodes.normal);
    else
      session.close(() => {
        socket.close(closeCodes.normal);
      });
  };
  return {
    welcome,
    ended: ended.promise,
    goaway: goaway.promise,
    finish,
    async close() {
      finish();
      const cancelDrain = options.clock.after(drainGraceMs, () => {
        socket.close(closeCodes.normal, 'the agent was stopped');
      });
      const cancelGrace = options.clock.after(drainGraceMs + closeGraceMs, () => {
        socket.terminate();
      });
      await ended.promise;
      cancelDrain();
      cancelGrace();
      session?.destroy();
      pipe.destroy();
    },
  };
}

function closeReason(code: number, reason: string): string {
  if (code === closeCodes.takenOver) return 'another mcp-expose with the same key took this name over';
  if (code === closeCodes.normal || code === closeCodes.goingAway) return 'the relay closed the connection';
  const detail = toSingleLine(reason);
  if (code >= 4000) return `the relay closed the connection: ${detail === '' ? String(code) : detail}`;
  return 'the connection to the relay was lost';
}
