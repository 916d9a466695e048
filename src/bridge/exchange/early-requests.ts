import type { Clock } from '../../platform/clock.ts';
import type { RequestId } from '../../mcp/json-rpc.ts';
import type { ServerRequest } from './input-request.ts';

/** Shorter than the minute for which most servers wait for an answer, in milliseconds. */
const holdMs = 55_000;

/**
 * A list that is requested meanwhile should be there by then, in milliseconds. If it is not, the server may want the answer before
 * it lists anything.
 */
const listMs = 3000;

/** A server asks for roots once after its start, and again for each change. */
const maxHeld = 16;

interface Held {
  readonly request: ServerRequest;
  readonly cancelTimeouts: () => void;
}

/**
 * Server requests for roots that belong to no call: a server may want to know the roots before it does anything (as soon as it is
 * initialized), and a modern client can be asked only in a call.
 */
export class EarlyRequests {
  readonly #clock: Clock;
  readonly #held = new Map<RequestId, Held>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param isBlocking whether what was requested of the server when it came is still not answered. */
  hold(request: ServerRequest, isBlocking: () => boolean): void {
    const { id } = request.request;
    const [oldest] = this.#held.values();
    if (oldest !== undefined && this.#held.size >= maxHeld) {
      this.withdraw(oldest.request.request.id);
      oldest.request.giveUp();
    }
    const giveUp = (): void => {
      if (this.withdraw(id)) request.giveUp();
    };
    const cancelLook = this.#clock.after(listMs, () => {
      if (isBlocking()) giveUp();
    });
    const cancelTimeout = this.#clock.after(holdMs, giveUp);
    const cancelTimeouts = (): void => {
      cancelLook();
      cancelTimeout();
    };
    this.#held.set(id, { request, cancelTimeouts });
  }

  /** For a call whose client can be asked. */
  take(): readonly ServerRequest[] {
    const requests = Array.from(this.#held.values(), ({ request }) => request);
    this.clear();
    return requests;
  }

  /** Returns whether the server has asked this. */
  withdraw(id: RequestId): boolean {
    this.#held.get(id)?.cancelTimeouts();
    return this.#held.delete(id);
  }

  /** The server does not remember them. */
  clear(): void {
    for (const id of this.#held.keys()) this.withdraw(id);
  }
}
