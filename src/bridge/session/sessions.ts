import { randomBytes } from 'node:crypto';

import { systemClock, type Clock } from '../../platform/clock.ts';
import { memberOf, type RpcRequest } from '../../mcp/json-rpc.ts';
import { credentialEnded, shuttingDown } from './call-failures.ts';
import type { PendingRequest } from './pending-request.ts';
import type { Policy } from '../../policy/policy.ts';
import { guard, originOf, type GuardOptions, type SessionCaller } from './guarded-upstream.ts';
import { createSession, type Session } from './session.ts';
import type { Upstream } from '../upstream/upstream.ts';

export type { SessionApprovals, SessionCaller } from './guarded-upstream.ts';

/** Each session has a server process of its own, which may well need 100 MB. */
export const defaultMaxSessions = 32;

/** A session without any message for so long has been forgotten by its client, in milliseconds. */
export const defaultIdleTimeoutMs: number = 30 * 60_000;

/** In how many steps the time of an idle session is measured: it ends at most one step too late. */
const looksPerTimeout = 20;
const minLookMs = 10;

/** 128 bits from the system's generator, in base64url (MCP 2025-11-25, Streamable HTTP, session management). */
const sessionIdBytes = 16;

export interface SessionsOptions extends Pick<GuardOptions, 'approvals' | 'onToolsChange'> {
  /** Gives the upstream of a new session, not yet started. */
  readonly nextUpstream: () => Upstream;
  /** With which the ids of the sessions begin. */
  readonly idPrefix?: string | undefined;
  /** Default 32. */
  readonly maxSessions?: number | undefined;
  /** How long a server may take to answer `initialize`, in milliseconds. */
  readonly startTimeoutMs: number;
  /**
   * A session ends when there was no message for so long, in milliseconds, and nobody waits for a response; that a
   * client holds a stream open does not count, since a connection may live on long after its client. Default 30 minutes.
   */
  readonly idleTimeoutMs?: number | undefined;
  readonly clock?: Clock;
  readonly onChange?: (open: number) => void;
  /** A server has not answered `initialize` in time. */
  readonly onSilent?: (reason: string) => void;
  readonly onWarning: (message: string) => void;
}

export interface Sessions {
  /**
   * Opens a session for a client's `initialize`; the outcome goes to `call`. Undefined when there are too many sessions
   * and none of them is idle, or after `close`.
   * @param policy what the caller may use, as long as the session lasts. Default: everything.
   */
  open(caller: SessionCaller, initialize: RpcRequest, call: PendingRequest, policy?: Policy): Session | undefined;
  count(): number;
  /** The open session of this id, if it belongs to this caller. */
  find(id: string, callerId: string): Session | undefined;
  /** Ends the sessions of a caller whose credential ended, and tells clients that wait. */
  endCaller(callerId: string): void;
  /** Ends the open sessions, so that their clients begin new ones. */
  dismiss(): void;
  /** Ends all sessions and tells clients that wait; resolves when nothing of them is left. */
  close(): Promise<void>;
}

interface OpenSession {
  readonly session: Session;
  /** The higher, the later. */
  lastUse: number;
  /** Its messages at the last look, and since when there have been no more. */
  traffic: number;
  quietSince: number;
}

/** Holds the sessions of all clients. When there are too many, the one that has been idle longest gives way. */
export function createSessions(options: SessionsOptions): Sessions {
  const {
    nextUpstream,
    idPrefix = '',
    maxSessions = defaultMaxSessions,
    startTimeoutMs,
    onChange,
    onWarning,
  } = options;
  const { idleTimeoutMs = defaultIdleTimeoutMs, clock = systemClock } = options;
  const open = new Map<string, OpenSession>();
  let uses = 0;
  let closed = false;
  let warned = false;
  /** Those and the ones that are opening. */
  const living = new Set<Session>();
  const endings = new Set<Promise<void>>();

  /** The sessions that may give way to a new one, since nobody is there who waits for a response. */
  function idle(): OpenSession[] {
    return [...open.values()].filter(({ session }) => !session.isBusy());
  }

  /** The one of them that is missed least: the client of another listens to it, or may come back for a response. */
  function leastUseful(): Session | undefined {
    const [first] = idle().toSorted((a, b) => useOf(a.session) - useOf(b.session) || a.lastUse - b.lastUse);
    return first?.session;
  }

  const lookMs = Math.max(minLookMs, idleTimeoutMs / looksPerTimeout);
  let stopLooking = clock.after(lookMs, endIdle);

  function endIdle(): void {
    const now = clock.now();
    for (const entry of open.values()) {
      const traffic = entry.session.traffic();
      if (traffic !== entry.traffic || entry.session.isBusy()) {
        entry.traffic = traffic;
        entry.quietSince = now;
      } else if (now - entry.quietSince >= idleTimeoutMs) {
        void entry.session.close();
      }
    }
    stopLooking = clock.after(lookMs, endIdle);
  }

  /**
   * Each session that is opening needs one that gives way to it, and not the same as another. Processes that do not want
   * to end count too: opening and ending sessions in turn must not pile them up.
   */
  function hasRoom(): boolean {
    if (closed || living.size + endings.size >= 2 * maxSessions) return false;
    return living.size < maxSessions + idle().length;
  }

  return {
    open(caller, initialize, call, policy) {
      if (!hasRoom()) {
        if (!warned && !closed)
          onWarning(`refused a session: ${maxSessions} are in use, the most that --max-sessions allows`);
        warned = true;
        return undefined;
      }
      const id = idPrefix + randomBytes(sessionIdBytes).toString('base64url');
      const origin = originOf(caller, memberOf(initialize.json['params'], 'clientInfo'));
      const guards = { policy, approvals: options.approvals, originOf: () => origin, clock };
      const upstream = guard(nextUpstream(), { ...guards, onToolsChange: options.onToolsChange });
      const session = createSession({
        id,
        callerId: caller.id,
        upstream,
        isRestricted: policy?.isOpen === false || options.approvals !== undefined,
        startTimeoutMs,
        onOpen() {
          // Only now: a client that fails to open a session costs nobody theirs. By now nobody may be idle any more.
          if (open.size >= maxSessions) void leastUseful()?.close();
          if (open.size >= maxSessions) return false;
          open.set(id, { session, lastUse: ++uses, traffic: session.traffic(), quietSince: clock.now() });
          onChange?.(open.size);
          return true;
        },
        onEnd() {
          living.delete(session);
          const ending = upstream.close().finally(() => endings.delete(ending));
          endings.add(ending);
          if (open.delete(id)) onChange?.(open.size);
        },
        onSilent: options.onSilent,
        onWarning,
      });
      living.add(session);
      session.open(initialize, call);
      return session;
    },
    count: () => open.size,
    find(id, callerId) {
      const found = open.get(id);
      if (found?.session.callerId !== callerId) return undefined;
      found.lastUse = ++uses;
      return found.session;
    },
    endCaller(callerId) {
      for (const session of living) if (session.callerId === callerId) void session.close(credentialEnded);
    },
    dismiss() {
      for (const { session } of open.values()) void session.close();
    },
    async close() {
      closed = true;
      stopLooking();
      for (const session of living) void session.close(shuttingDown);
      await Promise.all(endings);
    },
  };
}

/** A response that was under way when the connection broke is the hardest to get again. */
function useOf(session: Session): number {
  if (session.isAwaited()) return 2;
  return session.isListening() ? 1 : 0;
}
