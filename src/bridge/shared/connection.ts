import type { Clock } from '../../clock.ts';
import type { RpcMessage } from '../../mcp/json-rpc.ts';
import { createSharedBooks, type SharedRoad } from './books.ts';
import { createSharedInbound } from './inbound.ts';
import { restoreRequest } from './messages.ts';
import { createMember, type Member } from './member.ts';
import { createSharedOutbound } from './outbound.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';

/** What a member has of a connection once it has joined. */
export type MemberLink = Omit<Upstream, 'start'>;

export interface SharedConnection {
  /** Starts the upstream. Called once, when the first member has joined. */
  start(): void;
  join(events: UpstreamEvents): MemberLink;
  /** Ends the upstream, and so everybody's. */
  close(): Promise<void>;
}

export interface SharedConnectionOptions {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly warnOnce: SharedRoad['warnOnce'];
  /** Nobody may join any more: the upstream has ended, or is of no use. It has yet to be closed. */
  readonly onEnd: () => void;
}

/** One connection to a server from its start to its end, and the members that share it. */
export function createSharedConnection(options: SharedConnectionOptions): SharedConnection {
  const { upstream, clock, warnOnce, onEnd } = options;
  const books = createSharedBooks(clock);
  const road: SharedRoad = { books, warnOnce, send: (message) => upstream.send(message) };
  const outbound = createSharedOutbound(road);
  const receive = createSharedInbound(road, outbound.openNext);
  const { members } = books;
  /** Those that do not read and for whom no more can wait. */
  const full = new Set<Member>();

  function drained(member: Member): void {
    if (full.delete(member) && full.size === 0) upstream.resume();
  }

  /** What will be sent again is still in flight for its member; everything else the server has forgotten. */
  function lose(end: UpstreamEnd): void {
    const surviving = new Set<number>();
    const untaken = new Map<Member, RpcMessage[]>();
    for (const message of end.untaken ?? []) {
      const call = message.kind === 'request' ? books.ids.find(message.id) : undefined;
      // An upstream heals only once both sides have agreed, so an `initialize` cannot be among them.
      if (message.kind !== 'request' || call === undefined || call.method === 'initialize') continue;
      surviving.add(call.id);
      if (call.owner === undefined) continue;
      const own = untaken.get(call.owner) ?? [];
      own.push(restoreRequest(message, call.clientId, call.token?.value));
      untaken.set(call.owner, own);
    }
    books.ids.forget(surviving);
    books.asks.clear();
    books.belongings.clear();
    books.handshake.abandon();
    for (const member of members) member.lose({ ...end, untaken: untaken.get(member) ?? [] });
  }

  return {
    start: () =>
      upstream.start({
        onMessage: receive,
        onLost: lose,
        onClose(end) {
          onEnd();
          const bereft = [...members];
          members.clear();
          // What may be sent again holds messages of all members, and none of them can send it.
          const { untaken: _untaken, ...reason } = end;
          for (const member of bereft) member.end(reason);
        },
      }),
    join(events) {
      const member = createMember({
        events,
        onDropped: () => warnOnce('reading', 'a client does not read: notifications for it are dropped'),
        onFull() {
          full.add(member);
          if (full.size === 1) upstream.pause();
        },
        onDrained: () => drained(member),
      });
      members.add(member);
      return {
        send: (message) => members.has(member) && outbound.send(member, message),
        isWritable: upstream.isWritable,
        whenWritable: upstream.whenWritable,
        pause: member.pause,
        resume: member.resume,
        async close() {
          if (!members.delete(member)) return;
          outbound.release(member);
          member.close(left);
          drained(member);
          // A server that has not come to terms with anybody may be stuck: the next client gets a new one.
          if (members.size === 0 && !books.handshake.isAgreed()) onEnd();
        },
      };
    },
    close: () => upstream.close(),
  };
}

/** The end of one member alone; the server goes on. */
const left: UpstreamEnd = { reason: 'the session has left the server', code: 'upstream_exited', stderr: '' };
