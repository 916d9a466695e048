import type { Clock } from '../../platform/clock.ts';
import type { RequestId } from '../../mcp/json-rpc.ts';
import { makeRoom, maxUnansweredCancelled } from '../limits.ts';
import type { CallDetails } from '../shared/ids.ts';

/** For so long after a call was cancelled, the server may have more to say of it, in milliseconds. */
const cancelledMs = 10_000;

/** What is to be known of a call that one of several clients has made. */
export interface ModernCall<Owner> extends Omit<CallDetails, 'onOutcome'> {
  /** The id at the server, and the progress token. */
  readonly id: number;
  readonly owner: Owner;
  /** Equal for those that may see each other's log messages. */
  readonly party: unknown;
  /** Of the least severe log messages that it asks for; undefined: it asks for none. */
  readonly severity: number | undefined;
}

interface CancelledCall extends Pick<ModernCall<unknown>, 'party' | 'severity'> {
  /** Until when the server may speak of it. */
  readonly until: number;
}

/** Who makes calls. */
export interface CallOwner<Owner> {
  /** Those in flight, by the ids that it has given them. */
  readonly calls: Map<RequestId, ModernCall<Owner>>;
}

/** The calls of several clients over one connection to a modern server. */
export class CallsInFlight<Owner extends CallOwner<Owner>> {
  readonly #clock: Clock;
  #last = 0;
  readonly #calls = new Map<number, ModernCall<Owner>>();
  /** Those in flight but for subscriptions, which a server has nothing to say of without naming them. */
  readonly #nameless = new Map<number, ModernCall<Owner>>();
  /** Those among them that ask for log messages. */
  readonly #logged = new Map<number, ModernCall<Owner>>();
  /** The oldest stand first. */
  readonly #cancelled = new Map<number, CancelledCall>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A number that no call of this connection has had. */
  next(): number {
    return ++this.#last;
  }

  open(call: ModernCall<Owner>): void {
    this.#calls.set(call.id, call);
    if (call.method !== 'subscriptions/listen') {
      this.#nameless.set(call.id, call);
      if (call.severity !== undefined) this.#logged.set(call.id, call);
    }
    call.owner.calls.set(call.clientId, call);
  }

  /** A call in flight that nobody has cancelled. */
  find(id: unknown): ModernCall<Owner> | undefined {
    return typeof id === 'number' ? this.#calls.get(id) : undefined;
  }

  /** Takes a call off the list: it is answered, or was never sent. Undefined if it was cancelled. */
  settle(id: unknown): ModernCall<Owner> | undefined {
    if (typeof id === 'number') this.#cancelled.delete(id);
    const call = this.find(id);
    if (call !== undefined) this.#drop(call);
    return call;
  }

  /** The client no longer waits for its call. */
  cancel(owner: Owner, clientId: RequestId): ModernCall<Owner> | undefined {
    const call = owner.calls.get(clientId);
    if (call !== undefined) this.#withdraw(call);
    return call;
  }

  /** The client has gone; returns its calls in flight. */
  release(owner: Owner): readonly ModernCall<Owner>[] {
    const own = [...owner.calls.values()];
    for (const call of own) this.#withdraw(call);
    return own;
  }

  /** The server has forgotten everything but these calls, which will be sent to it again. */
  forget(surviving: ReadonlySet<number>): void {
    for (const call of this.#calls.values()) if (!surviving.has(call.id)) this.#drop(call);
    this.#cancelled.clear();
  }

  /** The only call that the server can be at work for, subscriptions apart; undefined if there is none, or are several. */
  only(): ModernCall<Owner> | undefined {
    this.#forgetCancelled();
    const [only] = this.#nameless.values();
    return this.#cancelled.size === 0 && this.#nameless.size === 1 ? only : undefined;
  }

  /**
   * The newest call that asks for a log message of this severity, as one has to that the server logs for (MCP 2026-07-28, logging);
   * undefined if none does, or it may be for another party.
   * @param severity undefined if the message names none.
   */
  askingForLog(severity: number = Infinity): ModernCall<Owner> | undefined {
    this.#forgetCancelled();
    const asks = (call: Pick<CancelledCall, 'severity'>): boolean =>
      call.severity !== undefined && call.severity <= severity;
    const newest = [...this.#logged.values()].findLast(asks);
    const asking = [...this.#cancelled.values(), ...this.#logged.values()].filter(asks);
    return asking.every(({ party }) => party === newest?.party) ? newest : undefined;
  }

  #forgetCancelled(): void {
    const now = this.#clock.now();
    for (const [id, { until }] of this.#cancelled) {
      if (until > now) return;
      this.#cancelled.delete(id);
    }
  }

  #withdraw(call: ModernCall<Owner>): void {
    const isNameless = this.#nameless.has(call.id);
    this.#drop(call);
    if (!isNameless) return;
    makeRoom(this.#cancelled, maxUnansweredCancelled);
    const { party, severity } = call;
    this.#cancelled.set(call.id, { party, severity, until: this.#clock.now() + cancelledMs });
  }

  #drop(call: ModernCall<Owner>): void {
    this.#calls.delete(call.id);
    this.#nameless.delete(call.id);
    this.#logged.delete(call.id);
    const { calls } = call.owner;
    if (calls.get(call.clientId) === call) calls.delete(call.clientId);
  }
}
