import type { RawData, WebSocket } from 'ws';
import { ExposeError } from '../../../errors.ts';
import type { Clock } from '../../../platform/clock.ts';
import { createDeferred } from '../../../platform/deferred.ts';
import { createDeadline } from '../../../platform/deadline.ts';
import { agentHandshake, type AgentHandshakeOptions } from './handshake.ts';
import { createHeartbeat } from '../protocol/heartbeat.ts';
import { pingIntervalMs } from '../protocol/limits.ts';
import { parseRelayMessage } from '../protocol/parse-message.ts';
import { closeCodes, encodeMessage, type Welcome } from '../protocol/protocol.ts';
import type { ConnectFailure, TunnelSession } from '../../reconnect.ts';
import { dial } from './dial.ts';
import {
  closeReason,
  handshakeCloseFailure,
  handshakeFailure,
  networkFailure,
  otherProtocolFailure,
  refusalFailure,
  rejectFailure,
  timeoutFailure,
  urlsFailure,
} from './failures.ts';
import { RelaySession } from './relay-session.ts';
import type { ServePipe } from './stream-server.ts';

/** How long an orderly close may take before the socket is terminated, in milliseconds. */
const closeGraceMs = 1_000;
/**
 * How long the relay that sent this agent away may still send it requests once there is another connection, in milliseconds:
 * longer than a relay drains. It ends the connection itself when its clients are gone.
 */
const sentAwayMs = 60_000;
/** The content of the ping with which an agent leaves. */
const leaving: Buffer = Buffer.from('leaving');
/** How long requests may continue when the tunnel is closed, in milliseconds: a response that is nearly sent is completed. */
const drainGraceMs = 500;

export interface ConnectOptions extends Omit<AgentHandshakeOptions, 'socket' | 'relayHost'> {
  /** As the user gave it, for messages. */
  readonly relayUrl: string;
  /** ws: or wss: URL of the tunnel endpoint. */
  readonly endpoint: URL;
  readonly serve: ServePipe;
  /** What one connection leaves to the next. */
  readonly state: ConnectionState;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly onNotice: (message: string) => void;
}

export interface ConnectionState {
  /** The session whose socket was lost. */
  lostSession?: RelaySession | undefined;
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
    const { lostSession } = options.state;
    const lost = lostSession?.isAlive === true ? lostSession.position : undefined;
    const handshake = { ...options, socket, relayHost: endpoint.host, lost, signal: attempt.signal };
    const result = await agentHandshake(handshake, (welcome) => {
      const session = enterSession(socket, welcome, options);
      return typeof session === 'string' ? session : createConnection(socket, session, welcome, options);
    });
    if (result.type === 'reject') return rejectFailure(relayUrl, result, options.name);
    if (result.type === 'bad_url') return urlsFailure(relayUrl, result.url);
    if (result.type === 'closed') return handshakeCloseFailure(relayUrl, result.code, result.reason);
    if (result.type === 'failed') return handshakeFailure(relayUrl, result.reason);
    return result.session;
  } catch (error) {
    options.signal.throwIfAborted();
    const isLate = attempt.signal.aborted;
    return isLate ? timeoutFailure(relayUrl, options.timeoutMs) : networkFailure(relayUrl, error);
  } finally {
    attempt.cancel();
  }
}

/** Resumes the session that was lost, or begins a new one in its place. Returns why the relay's welcome cannot be used. */
function enterSession(
  socket: WebSocket,
  welcome: Welcome,
  { state, serve, clock }: ConnectOptions,
): RelaySession | string {
  const { lostSession } = state;
  state.lostSession = undefined;
  if (lostSession !== undefined && welcome.session === lostSession.id) {
    if (welcome.received !== undefined && lostSession.resume(socket, welcome.received)) return lostSession;
    lostSession.end();
    return 'it resumed the session at a byte that this agent does not have';
  }
  lostSession?.end();
  return new RelaySession(socket, welcome, serve, clock);
}

function createConnection(
  socket: WebSocket,
  relaySession: RelaySession,
  welcome: Welcome,
  { clock, state, onNotice }: ConnectOptions,
): TunnelSession {
  const { pipe, streams } = relaySession;
  const ended = createDeferred<ExposeError>();
  const goaway = createDeferred<void>();
  let deathReason: string | undefined;
  /** The connection ends on purpose, or the relay is about to stop: the session is not to be resumed. */
  let isEnding = false;
  const breakOff = (reason: string): void => {
    if (socket.readyState === socket.CLOSED) return;
    isEnding = true;
    socket.close(closeCodes.protocolError, reason);
    const cancelGrace = clock.after(closeGraceMs, () => socket.terminate());
    socket.once('close', cancelGrace);
  };
  relaySession.onFault = (reason) => {
    deathReason = `the relay broke the tunnel protocol: ${reason}`;
    relaySession.end();
    breakOff(reason);
  };
  socket.once('close', (code, reason) => {
    if (!isEnding && relaySession.survives(code)) {
      relaySession.detach();
      state.lostSession = relaySession;
    } else relaySession.end();
    // Do not reconnect: that would end the other connection of this key, which would reconnect in turn.
    const errorCode = code === closeCodes.takenOver ? 'tunnel_rejected' : 'tunnel_unavailable';
    ended.resolve(new ExposeError(errorCode, deathReason ?? closeReason(code, reason.toString())));
  });
  socket.on('message', (data: RawData, isBinary: boolean) => {
    if (isBinary || !Buffer.isBuffer(data)) return;
    const message = parseRelayMessage(data);
    switch (message.type) {
      case 'ack':
        if (!pipe.acknowledge(message.received)) breakOff('ack beyond what was sent');
        break;
      case 'goaway':
        isEnding = true;
        goaway.resolve();
        break;
      case 'notice':
        if (message.message !== undefined) onNotice(message.message);
        break;
      case 'malformed':
        breakOff(message.reason);
        break;
      default:
    }
  });
  const intervalMs = Math.min(pingIntervalMs, Math.max(1_000, welcome.heartbeatMs));
  createHeartbeat({ clock, intervalMs }).watch(socket, (reason) => {
    deathReason = reason;
    socket.terminate();
  });

  const finish = (): void => {
    // The session may go on over the next connection.
    if (socket.readyState === socket.CLOSED) return;
    isEnding = true;
    if (socket.readyState !== socket.OPEN) return;
    socket.send(encodeMessage({ type: 'goaway' }));
    // Requests that the relay sent before it read that come before its pong.
    socket.ping(leaving);
    socket.on('pong', (data: Buffer) => {
      if (data.equals(leaving)) streams.finish(() => socket.close(closeCodes.normal));
    });
  };
  return {
    publicUrls: welcome.urls,
    ended: ended.promise,
    goaway: goaway.promise,
    finish() {
      if (socket.readyState !== socket.CLOSED) socket.once('close', clock.after(sentAwayMs, finish));
    },
    async close() {
      finish();
      const cancelDrain = clock.after(drainGraceMs, () => socket.close(closeCodes.normal, 'the agent was stopped'));
      const cancelGrace = clock.after(drainGraceMs + closeGraceMs, () => socket.terminate());
      await ended.promise;
      cancelDrain();
      cancelGrace();
    },
  };
}
