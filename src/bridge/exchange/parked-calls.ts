import { rpcCode } from '../../mcp/json-rpc.ts';
import type { Clock } from '../../platform/clock.ts';
import { makeRoom } from '../limits.ts';
import type { CallFailure } from '../session/pending-request.ts';
import { RequestStates, type UnreadableState } from '../translate/request-state.ts';

/** For so long a call waits for its client by default, in milliseconds: somebody may have to find a password. */
export const defaultParkTtlMs: number = 10 * 60_000;

/** Calls that wait for their clients: of one caller, and of all. The oldest gives way. */
const maxPerCaller = 64;
const maxParked = 256;

/** Calls that ended while they waited, of which the reason is remembered. */
const maxRemembered = 1000;

/** Why a `requestState` is of no use; `data.reason` of the error. */
export type StateFault = UnreadableState | 'mismatch' | 'expired' | 'consumed' | 'upstream_exited';

/** A call that waits until its client sends it again. */
export interface ParkedCall {
  readonly callerId: string;
  /** The client has not come back in time, or others need the place. */
  expire(): void;
}

/** A call's place among those that wait. */
export interface Parking {
  /** For the client. */
  readonly requestState: string;
  /** The call is over without its client. @param why told to a client that comes back. */
  leave(why: StateFault): void;
}

interface Entry<Call> {
  readonly call: Call;
  readonly cancelTimeout: () => void;
}

/** The calls of all clients that wait for a retry. Each can be taken once, by the same caller with the same request. */
export class ParkedCalls<Call extends ParkedCall> {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #states = new RequestStates();
  readonly #parked = new Map<number, Entry<Call>>();
  readonly #byCaller = new Map<string, Set<number>>();
  readonly #remembered = new Map<number, StateFault>();
  #lastId = 0;

  constructor(clock: Clock, ttlMs: number) {
    this.#clock = clock;
    this.#ttlMs = ttlMs;
  }

  get size(): number {
    return this.#parked.size;
  }

  /** @param binding as `bindingOf`. */
  park(call: Call, binding: string): Parking {
    const own = this.#byCaller.get(call.callerId);
    if (own !== undefined && own.size >= maxPerCaller) this.#expireOldest(own.keys());
    if (this.#parked.size >= maxParked) this.#expireOldest(this.#parked.keys());
    const id = ++this.#lastId;
    this.#parked.set(id, { call, cancelTimeout: this.#clock.after(this.#ttlMs, () => this.#expire(id)) });
    this.#byCaller.set(call.callerId, (this.#byCaller.get(call.callerId) ?? new Set()).add(id));
    const requestState = this.#states.seal({ id, binding, expiresAt: this.#clock.now() + this.#ttlMs });
    return {
      requestState,
      leave: (why) => {
        if (this.#remove(id) !== undefined) this.#remember(id, why);
      },
    };
  }

  /** The call that waits for this request; it waits no more. */
  take(requestState: string, binding: string): Call | StateFault {
    const claims = this.#states.open(requestState);
    if (typeof claims === 'string') return claims;
    if (claims.binding !== binding) return 'mismatch';
    const call = this.#remove(claims.id);
    if (call !== undefined) return call;
    return this.#remembered.get(claims.id) ?? (claims.expiresAt <= this.#clock.now() ? 'expired' : 'consumed');
  }

  #expireOldest(ids: Iterable<number>): void {
    const [oldest] = ids;
    if (oldest === undefined) return;
    this.#remember(oldest, 'expired');
    this.#expire(oldest);
  }

  #expire(id: number): void {
    this.#remove(id)?.expire();
  }

  #remember(id: number, why: StateFault): void {
    makeRoom(this.#remembered, maxRemembered);
    this.#remembered.set(id, why);
  }

  #remove(id: number): Call | undefined {
    const entry = this.#parked.get(id);
    if (entry === undefined) return undefined;
    entry.cancelTimeout();
    this.#parked.delete(id);
    const own = this.#byCaller.get(entry.call.callerId);
    own?.delete(id);
    if (own?.size === 0) this.#byCaller.delete(entry.call.callerId);
    return entry.call;
  }
}

const explanations: Readonly<Record<StateFault, string>> = {
  malformed: 'it is not one of this server',
  integrity: 'it was changed on the way',
  bridge_restarted: 'mcp-expose was restarted since',
  mismatch: 'it is that of another request or another caller',
  expired: 'the call has waited too long and was cancelled',
  consumed: 'it was used before',
  upstream_exited: 'the server has exited since',
};

/** What a client is told whose `requestState` is of no use. */
export function stateFailure(reason: StateFault): CallFailure {
  const message = `the requestState cannot be used: ${explanations[reason]}; send the request again without it`;
  return { code: rpcCode.invalidParams, message, data: { reason } };
}
