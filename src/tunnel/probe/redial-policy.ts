import type { Clock } from '../../platform/clock.ts';
import { isSeenFromHere, type Problem } from './problem.ts';

/**
 * Pause after a redial that did not help, in milliseconds: some providers give out so many names an hour, and the fault may be
 * in the network of this machine.
 */
const redialPauseMs = 600_000;

/**
 * Checks in a row after which a URL that cannot be reached from here counts as gone. A redial costs many users their URL, and
 * a short outage of the local network is not worth that.
 */
const unreachableChecks = 2;

/** Decides when to redial a tunnel that reports to be up but does not work. */
export class RedialPolicy {
  readonly #clock: Clock;
  #hasWorked = false;
  #unreachableInARow = 0;
  /** When the tunnel was redialled without success so far. */
  #redialledAt: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A check found no blocking problem. */
  worked(): void {
    this.#hasWorked = true;
    this.#redialledAt = undefined;
  }

  /** The status of the tunnel has changed. */
  changed(): void {
    this.#unreachableInARow = 0;
  }

  /** Takes the result of each check. Returns the problem for which to redial now, if any. */
  reasonIn(problems: readonly Problem[]): Problem | undefined {
    this.#unreachableInARow = problems.some(isSeenFromHere) ? this.#unreachableInARow + 1 : 0;
    const reason = problems.find((problem) => this.#mayHelp(problem));
    if (reason === undefined) return undefined;
    const now = this.#clock.now();
    if (this.#redialledAt !== undefined && now - this.#redialledAt < redialPauseMs) return undefined;
    this.#redialledAt = now;
    return reason;
  }

  #mayHelp(problem: Problem): boolean {
    // The provider itself says that the tunnel has no near end.
    if (problem.kind === 'tunnel_dead') return true;
    if (!this.#hasWorked) return false;
    // Some services answer for a lost tunnel with a page of their own and no gateway status.
    return isSeenFromHere(problem) ? this.#unreachableInARow >= unreachableChecks : problem.kind === 'wrong_service';
  }
}
