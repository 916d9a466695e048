import type { Clock } from '../../platform/clock.ts';
import type { RpcMessage } from '../../mcp/json-rpc.ts';
import { SharedState, type SharedContext } from './shared-state.ts';
import { SharedInbound } from './inbound.ts';
import { restoreRequest } from './messages.ts';
import { ClientSession } from './client-session.ts';
import { SharedOutbound } from './outbound.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';

/** What a session has of a connection once it has joined. */
export type ClientSessionLink = Omit<Upstream, 'start'>;

export interface SharedConnection {
  /** Starts the upstream. Called once, when the first session has joined. */
  start(): void;
  join(events: UpstreamEvents): ClientSessionLink;
  /** Ends the upstream, and so everybody's. */
  close(): Promise<void>;
}

export interface SharedConnectionOptions {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly warnOnce: SharedContext['warnOnce'];
  /** Nobody may join any more: the upstream has ended, or is of no use. It has yet to be closed. */
  readonly onEnd: () => void;
}

/** One connection to a server from its start to its end, and the sessions that share it. */
export function createSharedConnection(options: SharedConnectionOptions): SharedConnection {
  const { upstream, clock, warnOnce, onEnd } = options;
  const state = new SharedState(clock);
  const context: SharedContext = { state, warnOnce, send: (message) => upstream.send(message) };
  const outbound = new SharedOutbound(context);
  const inbound = new SharedInbound(context, () => outbound.openNext());
  const { members } = state;
  /** Those that do not read and for whom no more can wait. */
  const full = new Set<ClientSession>();

  function drained(session: ClientSession): void {
    if (full.delete(session) && full.size === 0) upstream.resume();
  }

  /** What will be sent again is still in flight for its session; everything else the server has forgotten. */
  function lose(end: UpstreamEnd): void {
    const surviving = new Set<number>();
    const untaken = new Map<ClientSession, RpcMessage[]>();
    for (const message of end.untaken ?? []) {
      const call = message.kind === 'request' ? state.ids.find(message.id) : undefined;
      // An upstream heals only once both sides have agreed, so an `initialize` cannot be among them.
      if (message.kind !== 'request' || call === undefined || call.method === 'initialize') continue;
      surviving.add(call.id);
      if (call.owner === undefined) continue;
      const own = untaken.get(call.owner) ?? [];
      own.push(restoreRequest(message, call.clientId, call.token?.value));
      untaken.set(call.owner, own);
    }
    state.ids.forget(surviving);
    state.serverRequests.clear();
    state.taskOwners.clear();
    state.handshake.abandon();
    for (const session of members) session.lose({ ...end, untaken: untaken.get(session) ?? [] });
  }

  return {
    start: () =>
      upstream.start({
        onMessage: (message, origin) => inbound.receive(message, origin),
        onLost: lose,
        onClose(end) {
          onEnd();
          const bereft = [...members];
          members.clear();
          // What may be sent again holds messages of all sessions, and none of them can send it.
          const { untaken: _untaken, ...reason } = end;
          for (const session of bereft) session.end(reason);
        },
      }),
    join(events) {
      const session = new ClientSession({
        events,
        onDropped: () => warnOnce('reading', 'a client does not read: notifications for it are dropped'),
        onFull() {
          full.add(session);
          if (full.size === 1) upstream.pause();
        },
        onDrained: () => drained(session),
      });
      members.add(session);
      return {
        send: (message) => members.has(session) && outbound.send(session, message),
        isWritable: () => upstream.isWritable(),
        whenWritable: (callback) => upstream.whenWritable(callback),
        pause: () => session.pause(),
        resume: () => session.resume(),
        async close() {
          if (!members.delete(session)) return;
          outbound.release(session);
          session.close(left);
          drained(session);
          // A server that has not come to terms with anybody may be stuck: the next client gets a new one.
          if (members.size === 0 && !state.handshake.isAgreed()) onEnd();
        },
      };
    },
    close: () => upstream.close(),
  };
}

/** The end of one session alone; the server goes on. */
const left: UpstreamEnd = { reason: 'the session has left the server', code: 'upstream_exited', stderr: '' };
