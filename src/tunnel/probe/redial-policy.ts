import type { Clock } from '../../platform/clock.ts';
import { isSeenFromHere, type Problem } from './problem.ts';

/**
 * From a new connection that did not help to the next one, in milliseconds: some providers give out so many names an hour, and
 * it may be this machine's own network that fails.
 */
const redialPauseMs = 600_000;

/**
 * Looks in a row after which a URL that cannot be reached from here is held to be gone. A new connection costs many users
 * their URL, and a moment without a network of one's own is no reason for that.
 */
const awayLooks = 2;

/** Decides when a tunnel that calls itself up and is of no use is to be dialled anew. */
export interface RedialPolicy {
  /** It is of use. */
  worked(): void;
  /** It has changed by itself or has been dialled anew. */
  changed(): void;
  /** To be told of each look: the problem for which to dial anew now, if any. */
  reasonIn(problems: readonly Problem[]): Problem | undefined;
}

export function createRedialPolicy(clock: Clock): RedialPolicy {
  let hasWorked = false;
  let looksAway = 0;
  /** When a new connection was made that has not worked yet. */
  let redialledAt: number | undefined;

  function mayHelp(problem: Problem): boolean {
    // The far end itself says that we are not there.
    if (problem.kind === 'tunnel_dead') return true;
    if (!hasWorked) return false;
    // Some services have a page of their own for a tunnel that has gone, which is none of a gateway.
    return isSeenFromHere(problem) ? looksAway >= awayLooks : problem.kind === 'wrong_service';
  }

  return {
    worked() {
      hasWorked = true;
      redialledAt = undefined;
    },
    changed() {
      looksAway = 0;
    },
    reasonIn(problems) {
      looksAway = problems.some(isSeenFromHere) ? looksAway + 1 : 0;
      const reason = problems.find(mayHelp);
      if (reason === undefined) return undefined;
      if (redialledAt !== undefined && clock.now() - redialledAt < redialPauseMs) return undefined;
      redialledAt = clock.now();
      return reason;
    },
  };
}
