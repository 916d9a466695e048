import { Backoff } from '../../platform/backoff.ts';
import type { Clock } from '../../platform/clock.ts';
import type { ManagedConnection } from './managed-connection.ts';

/** So many idle servers that die one after the other, before anybody has used them, mean that the next one will, too. */
const maxDeathsInRow = 3;

/**
 * How long an idle server that was taken is not replaced, in milliseconds: to start a process takes some in which nothing else is
 * done, and the client that has taken it comes first.
 */
const refillDelayMs = 50;

export interface WarmPoolOptions {
  /** Makes a server, not yet started. */
  readonly create: () => ManagedConnection;
  /** How many are kept; 0: none. */
  readonly count: number;
  /** Whether another one is started in the place of one that was taken. */
  readonly isRefilled: boolean;
  /** Whether one may be started now that nobody has asked for; asked again after `refill()`. */
  readonly mayKeep: () => boolean;
  readonly clock: Clock;
  readonly random?: (() => number) | undefined;
  readonly onWarning: (message: string) => void;
}

/** Decides how many idle servers are kept, and when the next one is started. */
export class WarmPool {
  readonly #options: WarmPoolOptions;
  readonly #backoff: Backoff;
  /** The oldest first. */
  readonly #idle: ManagedConnection[] = [];
  #count: number;
  #deathsInRow = 0;
  #cancelFill: (() => void) | undefined;
  #delayMs = refillDelayMs;
  #phase: 'new' | 'filling' | 'closed' = 'new';

  constructor(options: WarmPoolOptions) {
    const { clock, random, count } = options;
    this.#options = options;
    this.#backoff = new Backoff(clock, random);
    this.#count = count;
  }

  /** Number of idle servers that live. */
  get ready(): number {
    return this.#idle.length;
  }

  begin(): void {
    if (this.#phase !== 'new') return;
    this.#phase = 'filling';
    this.#fill();
  }

  /** One may be started soon where `mayKeep` said no before. */
  refill(): void {
    const isWanted = this.#phase === 'filling' && this.#idle.length < this.#count && this.#deathsInRow < maxDeathsInRow;
    if (isWanted && this.#cancelFill === undefined && this.#options.mayKeep()) {
      this.#cancelFill = this.#options.clock.after(this.#delayMs, () => this.#fill());
    }
  }

  /** The oldest idle server that lives, if there is one. */
  take(): ManagedConnection | undefined {
    const taken = this.#idle.shift();
    if (!this.#options.isRefilled) this.#count--;
    this.refill();
    return taken;
  }

  /** A server that was started ahead has ended before it was of use to anybody. */
  died(server: ManagedConnection, reason: string): void {
    if (++this.#deathsInRow === maxDeathsInRow) {
      this.#options.onWarning(
        `${maxDeathsInRow} idle servers exited, the last one: ${reason}; no idle servers are started now`,
      );
    }
    const place = this.#idle.indexOf(server);
    if (place === -1) return;
    this.#idle.splice(place, 1);
    this.#delayMs = this.#backoff.next();
    this.refill();
  }

  /** A server has said something to its client, so idle servers are of use. */
  works(): void {
    this.#deathsInRow = 0;
    this.refill();
  }

  /** Ends the idle servers, and goes on. */
  dismiss(): void {
    for (const server of this.#idle.splice(0)) void server.close();
  }

  /** Ends the idle servers; no more are started. */
  close(): void {
    this.#phase = 'closed';
    this.#cancelFill?.();
    this.dismiss();
  }

  #fill(): void {
    this.#cancelFill = undefined;
    this.#delayMs = refillDelayMs;
    for (let missing = this.#count - this.#idle.length; missing > 0 && this.#options.mayKeep(); missing--) {
      const server = this.#options.create();
      this.#idle.push(server);
      this.#backoff.connected();
      server.warmUp();
    }
  }
}
