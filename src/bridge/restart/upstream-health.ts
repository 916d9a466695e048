import type { Clock } from '../../platform/clock.ts';

/** What is known of a server from all connections to it. */
export interface UpstreamHealthReport {
  /**
   * `down` from an end that nobody has asked for until a connection that began after it is heard; otherwise `up` while a connection
   * lives that has been heard, and `unknown` while there is none.
   */
  readonly state: 'up' | 'down' | 'unknown';
  readonly reason?: string;
  /** Connections that live, which are processes where the server is one; idle servers count. */
  readonly children: number;
  /** How often a connection was made anew under its client. */
  readonly restarts: number;
  /** When the last message came from it, in milliseconds since 1970; undefined before the first. */
  readonly lastHeardAt: number | undefined;
  /** When a connection last ended that nobody had asked to, likewise. */
  readonly failedAt: number | undefined;
}

/** Knows from the connections alone, without asking anything, whether the server behind them works. */
export class UpstreamHealth {
  /** How often a connection was made anew under its client. */
  restarts = 0;
  readonly #clock: Clock;
  #children = 0;
  #lastHeardAt: number | undefined;
  #failedAt: number | undefined;
  #failure: string | undefined;
  /** Connections by their start: the newest, the newest that failed, and those that live and have been heard. */
  #newest = 0;
  #newestFailed = 0;
  readonly #heard = new Set<number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Tell it of each connection that was started. @returns its place in their order. */
  started(): number {
    this.#children++;
    return ++this.#newest;
  }

  /** Tell it of each message. @param isEnding we have asked the connection to end: a last word proves nothing. */
  heard(place: number, isEnding: boolean): void {
    this.#heard.add(place);
    this.#lastHeardAt = this.#clock.now();
    // That an older one still lives does not mean that another one could be made.
    if (!isEnding && place > this.#newestFailed) this.#failure = undefined;
  }

  /** Tell it of each end. @param failure why, where nobody has asked for it. */
  ended(place: number, failure: string | undefined): void {
    this.#children--;
    this.#heard.delete(place);
    if (failure !== undefined) this.failed(failure, place);
  }

  /** Tell it of a connection that lives and does not work, and why. */
  failed(reason: string, place: number = this.#newest): void {
    this.#newestFailed = Math.max(this.#newestFailed, place);
    this.#failure = reason;
    this.#failedAt = this.#clock.now();
  }

  report(): UpstreamHealthReport {
    const counts = {
      children: this.#children,
      restarts: this.restarts,
      lastHeardAt: this.#lastHeardAt,
      failedAt: this.#failedAt,
    };
    if (this.#failure !== undefined) return { state: 'down', reason: this.#failure, ...counts };
    return { state: this.#heard.size > 0 ? 'up' : 'unknown', ...counts };
  }
}
