import type { Clock } from '../../platform/clock.ts';
import type { RequestId } from '../../mcp/json-rpc.ts';
import { maxUnansweredCancelled } from '../limits.ts';

/**
 * For so long after a client was answered, has cancelled or has told the server something, what the server asks may be
 * because of that, in milliseconds. There is no event that would tell that it has finished with it.
 */
const echoMs = 10_000;

/** What is to be known of a call that one of several clients has made of one server. */
export interface CallDetails {
  readonly method: string;
  /** The client's own id, as a value and as it was written. */
  readonly clientId: RequestId;
  readonly writtenId: string;
  /** The client's own progress token, where it gave one. */
  readonly token?: { readonly value: RequestId; readonly written: string } | undefined;
  /** Called once with whether the server refused or never answered. */
  readonly onOutcome?: ((failed: boolean) => void) | undefined;
}

export interface SharedCall<Owner> extends CallDetails {
  /** The id at the server, and the progress token. */
  readonly id: number;
  /** Whose call it is; undefined when it is our own, or its client has gone. */
  readonly owner: Owner | undefined;
}

export interface SharedIds<Owner> {
  /** A number that no call of this connection has had. */
  next(): number;
  open(call: SharedCall<Owner>): void;
  /** A call in flight that nobody has cancelled. */
  find(id: unknown): SharedCall<Owner> | undefined;
  /** As `find`, and also a call that was cancelled. */
  trace(id: unknown): SharedCall<Owner> | undefined;
  /** Takes a call off the list: it is answered, or was never sent. */
  settle(id: unknown, failed: boolean): SharedCall<Owner> | undefined;
  /** The client no longer waits for its call: nothing but the answer comes back. */
  cancel(owner: Owner, clientId: RequestId): SharedCall<Owner> | undefined;
  /** The client has gone; returns its calls in flight. */
  release(owner: Owner): readonly SharedCall<Owner>[];
  /** The client has told the server something that is no request. */
  touch(owner: Owner): void;
  /** Those because of whom the server may be at work, those among them that have gone included. */
  active(): ReadonlySet<Owner>;
  /** The server has forgotten everything but these calls, which will be sent to it again. */
  forget(surviving: ReadonlySet<number>): void;
}

/** The calls of several clients over one connection, whose own ids and tokens may be equal. */
export function createSharedIds<Owner>(clock: Clock): SharedIds<Owner> {
  let last = 0;
  const calls = new Map<number, SharedCall<Owner>>();
  const cancelled = new Map<number, SharedCall<Owner>>();
  const byOwner = new Map<Owner, Map<RequestId, SharedCall<Owner>>>();
  /** Until when an owner without a call is active; the oldest stand first. */
  const echoes = new Map<Owner, number>();

  function find(id: unknown): SharedCall<Owner> | undefined {
    return typeof id === 'number' ? calls.get(id) : undefined;
  }

  function drop(call: SharedCall<Owner>): void {
    calls.delete(call.id);
    if (call.owner === undefined) return;
    const own = byOwner.get(call.owner);
    if (own?.get(call.clientId) === call) own.delete(call.clientId);
    if (own?.size === 0) byOwner.delete(call.owner);
  }

  function touch(owner: Owner): void {
    forgetEchoes();
    echoes.delete(owner);
    echoes.set(owner, clock.now() + echoMs);
  }

  function bury(call: SharedCall<Owner>, owner: Owner): void {
    if (cancelled.size >= maxUnansweredCancelled) {
      for (const [id, oldest] of cancelled) {
        cancelled.delete(id);
        oldest.onOutcome?.(true);
        break;
      }
    }
    cancelled.set(call.id, call);
    touch(owner);
  }

  function forgetEchoes(): void {
    const now = clock.now();
    for (const [owner, until] of echoes) {
      if (until > now) return;
      echoes.delete(owner);
    }
  }

  return {
    next: () => ++last,
    open(call) {
      calls.set(call.id, call);
      if (call.owner === undefined) return;
      const own = byOwner.get(call.owner);
      if (own === undefined) byOwner.set(call.owner, new Map([[call.clientId, call]]));
      else own.set(call.clientId, call);
    },
    find,
    trace: (id) => find(id) ?? (typeof id === 'number' ? cancelled.get(id) : undefined),
    settle(id, failed) {
      if (typeof id !== 'number') return undefined;
      const call = calls.get(id) ?? cancelled.get(id);
      if (call === undefined) return undefined;
      drop(call);
      cancelled.delete(id);
      if (call.owner !== undefined) touch(call.owner);
      call.onOutcome?.(failed);
      return call;
    },
    cancel(owner, clientId) {
      const call = byOwner.get(owner)?.get(clientId);
      if (call === undefined) return undefined;
      drop(call);
      bury(call, owner);
      return call;
    },
    release(owner) {
      const own = [...(byOwner.get(owner)?.values() ?? [])];
      for (const call of own) {
        drop(call);
        bury({ ...call, owner: undefined }, owner);
      }
      return own;
    },
    touch,
    active() {
      forgetEchoes();
      return new Set([...byOwner.keys(), ...echoes.keys()]);
    },
    forget(surviving) {
      const lost = [...calls.values()].filter(({ id }) => !surviving.has(id));
      for (const call of lost) drop(call);
      lost.push(...cancelled.values());
      cancelled.clear();
      echoes.clear();
      for (const call of lost) call.onOutcome?.(true);
    },
  };
}
