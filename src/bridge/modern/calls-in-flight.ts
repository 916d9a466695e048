import type { Clock } from '../../platform/clock.ts';
import type { RequestId } from '../../mcp/json-rpc.ts';
import { makeRoom, maxUnansweredCancelled } from '../limits.ts';
import { SharedIds, type CallDetails, type SharedCall } from '../shared/ids.ts';

/** For so long after a call was cancelled, the server may have more to say of it, in milliseconds. */
const cancelledMs = 10_000;

/** The calls of several clients over one connection to a modern server. */
export class CallsInFlight<Owner> {
  readonly #clock: Clock;
  readonly #ids: SharedIds<Owner>;
  /** Those in flight but for subscriptions, which a server has nothing to say of without naming them. */
  readonly #nameless = new Map<number, SharedCall<Owner>>();
  /** Until when the server may speak of one that was cancelled; the oldest stand first. */
  readonly #cancelled = new Map<number, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#ids = new SharedIds(clock);
  }

  /** A number that no call of this connection has had. */
  next(): number {
    return this.#ids.next();
  }

  open(owner: Owner, id: number, details: CallDetails): void {
    const call = { ...details, id, owner };
    this.#ids.open(call);
    if (call.method !== 'subscriptions/listen') this.#nameless.set(id, call);
  }

  /** A call in flight that nobody has cancelled. */
  find(id: unknown): SharedCall<Owner> | undefined {
    return this.#ids.find(id);
  }

  /** Takes a call off the list, also one that was cancelled: it is answered, or was never sent. */
  settle(id: unknown): SharedCall<Owner> | undefined {
    const call = this.#ids.settle(id, false);
    if (call === undefined) return undefined;
    this.#nameless.delete(call.id);
    this.#cancelled.delete(call.id);
    return call;
  }

  /** The client no longer waits for its call. */
  cancel(owner: Owner, clientId: RequestId): SharedCall<Owner> | undefined {
    const call = this.#ids.cancel(owner, clientId);
    if (call !== undefined) this.#withdraw(call);
    return call;
  }

  /** The client has gone; returns its calls in flight. */
  release(owner: Owner): readonly SharedCall<Owner>[] {
    const own = this.#ids.release(owner);
    for (const call of own) this.#withdraw(call);
    return own;
  }

  /** The server has forgotten everything but these calls, which will be sent to it again. */
  forget(surviving: ReadonlySet<number>): void {
    this.#ids.forget(surviving);
    for (const id of this.#nameless.keys()) if (!surviving.has(id)) this.#nameless.delete(id);
    this.#cancelled.clear();
  }

  /** The only call that the server can be at work for, subscriptions apart; undefined if there is none, or are several. */
  only(): SharedCall<Owner> | undefined {
    const now = this.#clock.now();
    for (const [id, until] of this.#cancelled) {
      if (until > now) return undefined;
      this.#cancelled.delete(id);
    }
    const [only] = this.#nameless.values();
    return this.#nameless.size === 1 ? only : undefined;
  }

  #withdraw({ id }: SharedCall<Owner>): void {
    if (!this.#nameless.delete(id)) return;
    makeRoom(this.#cancelled, maxUnansweredCancelled);
    this.#cancelled.set(id, this.#clock.now() + cancelledMs);
  }
}
