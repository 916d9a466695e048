import type { Clock } from '../../platform/clock.ts';
import type { RequestId } from '../../mcp/json-rpc.ts';
import { makeRoom, maxUnansweredCancelled } from '../limits.ts';

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

/** The calls of several clients over one connection, whose own ids and tokens may be equal. */
export class SharedIds<Owner> {
  readonly #clock: Clock;
  #last = 0;
  readonly #calls = new Map<number, SharedCall<Owner>>();
  readonly #cancelled = new Map<number, SharedCall<Owner>>();
  readonly #byOwner = new Map<Owner, Map<RequestId, SharedCall<Owner>>>();
  /** Until when an owner without a call is active; the oldest stand first. */
  readonly #echoes = new Map<Owner, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A number that no call of this connection has had. */
  next(): number {
    return ++this.#last;
  }

  open(call: SharedCall<Owner>): void {
    this.#calls.set(call.id, call);
    if (call.owner === undefined) return;
    const own = this.#byOwner.get(call.owner);
    if (own === undefined) this.#byOwner.set(call.owner, new Map([[call.clientId, call]]));
    else own.set(call.clientId, call);
  }

  /** A call in flight that nobody has cancelled. */
  find(id: unknown): SharedCall<Owner> | undefined {
    return typeof id === 'number' ? this.#calls.get(id) : undefined;
  }

  /** As `find`, and also a call that was cancelled. */
  trace(id: unknown): SharedCall<Owner> | undefined {
    return this.find(id) ?? (typeof id === 'number' ? this.#cancelled.get(id) : undefined);
  }

  /** Takes a call off the list: it is answered, or was never sent. */
  settle(id: unknown, failed: boolean): SharedCall<Owner> | undefined {
    const call = this.trace(id);
    if (call === undefined) return undefined;
    this.#drop(call);
    this.#cancelled.delete(call.id);
    if (call.owner !== undefined) this.touch(call.owner);
    call.onOutcome?.(failed);
    return call;
  }

  /** The client no longer waits for its call: nothing but the answer comes back. */
  cancel(owner: Owner, clientId: RequestId): SharedCall<Owner> | undefined {
    const call = this.#byOwner.get(owner)?.get(clientId);
    if (call === undefined) return undefined;
    this.#drop(call);
    this.#bury(call, owner);
    return call;
  }

  /** The client has gone; returns its calls in flight. */
  release(owner: Owner): readonly SharedCall<Owner>[] {
    const own = [...(this.#byOwner.get(owner)?.values() ?? [])];
    for (const call of own) {
      this.#drop(call);
      this.#bury({ ...call, owner: undefined }, owner);
    }
    return own;
  }

  /** The client has told the server something that is no request. */
  touch(owner: Owner): void {
    this.#forgetEchoes();
    this.#echoes.delete(owner);
    this.#echoes.set(owner, this.#clock.now() + echoMs);
  }

  /** Those because of whom the server may be at work, those among them that have gone included. */
  active(): ReadonlySet<Owner> {
    this.#forgetEchoes();
    return new Set([...this.#byOwner.keys(), ...this.#echoes.keys()]);
  }

  /** The server has forgotten everything but these calls, which will be sent to it again. */
  forget(surviving: ReadonlySet<number>): void {
    const lost = [...this.#calls.values()].filter(({ id }) => !surviving.has(id));
    for (const call of lost) this.#drop(call);
    lost.push(...this.#cancelled.values());
    this.#cancelled.clear();
    this.#echoes.clear();
    for (const call of lost) call.onOutcome?.(true);
  }

  #drop(call: SharedCall<Owner>): void {
    this.#calls.delete(call.id);
    if (call.owner === undefined) return;
    const own = this.#byOwner.get(call.owner);
    if (own?.get(call.clientId) === call) own.delete(call.clientId);
    if (own?.size === 0) this.#byOwner.delete(call.owner);
  }

  #bury(call: SharedCall<Owner>, owner: Owner): void {
    const [oldest] = this.#cancelled.values();
    if (makeRoom(this.#cancelled, maxUnansweredCancelled) !== undefined) oldest?.onOutcome?.(true);
    this.#cancelled.set(call.id, call);
    this.touch(owner);
  }

  #forgetEchoes(): void {
    const now = this.#clock.now();
    for (const [owner, until] of this.#echoes) {
      if (until > now) return;
      this.#echoes.delete(owner);
    }
  }
}
