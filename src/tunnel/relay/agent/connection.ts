import type { RawData, WebSocket } from 'ws';
import { ExposeError } from '../../../errors.ts';
import type { Clock } from '../../../platform/clock.ts';
import { createDeferred } from '../../../platform/deferred.ts';
import { createDeadline } from '../../../platform/deadline.ts';
import { agentHandshake, type AgentHandshakeOptions } from './handshake.ts';
import { watchSocket } from '../protocol/heartbeat.ts';
import { pingIntervalMs } from '../protocol/limits.ts';
import { parseRelayMessage } from '../protocol/parse-message.ts';
import { type Pipe, reportFaults } from '../protocol/pipe.ts';
import { closeCodes, type Welcome } from '../protocol/protocol.ts';
import { toSingleLine } from '../../../platform/text/sanitize.ts';
import type { ConnectFailure, TunnelSession } from '../../reconnect.ts';
import { dial } from './dial.ts';
import {
  handshakeFailure,
  networkFailure,
  otherProtocolFailure,
  refusalFailure,
  rejectFailure,
  timeoutFailure,
  urlsFailure,
} from './failures.ts';
import type { ServePipe } from './stream-server.ts';

/** How long an orderly close may take before the socket is terminated, in milliseconds. */
const closeGraceMs = 1_000;
/** How long requests may continue when the tunnel is closed, in milliseconds: a response that is nearly sent is completed. */
const drainGraceMs = 500;

export interface ConnectOptions extends Omit<AgentHandshakeOptions, 'socket' | 'relayHost'> {
  /** As the user gave it, for messages. */
  readonly relayUrl: string;
  /** ws: or wss: URL of the tunnel endpoint. */
  readonly endpoint: URL;
  readonly serve: ServePipe;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly onNotice: (message: string) => void;
}

/** Dials, performs the handshake and serves. Resolves with the session or the failure; rejects only on `signal`. */
export async function connectOnce(options: ConnectOptions): Promise<TunnelSession | ConnectFailure> {
  const { relayUrl, endpoint } = options;
  const attempt = createDeadline(options.timeoutMs, options.signal, options.clock);
  try {
    const dialled = await dial(endpoint, options.env, attempt.signal);
    if (dialled.type === 'refused') return refusalFailure(relayUrl, dialled.refusal);
    if (dialled.type === 'other_protocol') return otherProtocolFailure(relayUrl, dialled.protocol);
    const { socket } = dialled;
    const result = await agentHandshake({ ...options, socket, relayHost: endpoint.host, signal: attempt.signal });
    if (result.type === 'reject') return rejectFailure(relayUrl, result, options.name);
    if (result.type === 'bad_url') return urlsFailure(relayUrl, result.url);
    if (result.type === 'failed') return handshakeFailure(relayUrl, result.reason);
    return createSession(socket, result.pipe, result.welcome, options);
  } catch (error) {
    options.signal.throwIfAborted();
    const isLate = attempt.signal.aborted;
    return isLate ? timeoutFailure(relayUrl, options.timeoutMs) : networkFailure(relayUrl, error);
  } finally {
    attempt.cancel();
  }
}

function createSession(socket: WebSocket, pipe: Pipe, welcome: Welcome, options: ConnectOptions): TunnelSession {
  const ended = createDeferred<ExposeError>();
  const goaway = createDeferred<void>();
  let deathReason: string | undefined;
  // The HTTP/2 session reports it too; a pipe without a listener would end the process.
  pipe.on('error', () => undefined);
  socket.once('close', (code, reason) => {
    // Do not reconnect: that would end the other connection of this key, which would reconnect in turn.
    const errorCode = code === closeCodes.takenOver ? 'tunnel_rejected' : 'tunnel_unavailable';
    ended.resolve(new ExposeError(errorCode, deathReason ?? closeReason(code, reason.toString())));
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
  /** Without HTTP/2 the connection is useless; the tunnel reconnects. */
  const fail = (): void => {
    if (socket.readyState === socket.CLOSED) return;
    deathReason = 'the HTTP/2 connection to the relay broke';
    socket.close(closeCodes.protocolError, 'HTTP/2 error');
    const cancelGrace = options.clock.after(closeGraceMs, () => socket.terminate());
    socket.once('close', cancelGrace);
  };
  pipe.once('broken', fail);
  const served = options.serve(pipe);
  const session = served?.session;
  if (session === undefined) fail();
  else reportFaults(session, pipe);

  const finish = (): void => {
    if (session === undefined || session.destroyed) socket.close(closeCodes.normal);
    else session.close(() => socket.close(closeCodes.normal));
  };
  return {
    publicUrls: welcome.urls,
    ended: ended.promise,
    goaway: goaway.promise,
    finish,
    async close() {
      finish();
      const cancelDrain = options.clock.after(drainGraceMs, () =>
        socket.close(closeCodes.normal, 'the agent was stopped'),
      );
      const cancelGrace = options.clock.after(drainGraceMs + closeGraceMs, () => socket.terminate());
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
