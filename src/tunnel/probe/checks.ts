import { isBlocking, type Problem } from './problem.ts';
import type { SelfProbe } from './self-probe.ts';
import type { ProbeTarget, VerificationState } from './verification-state.ts';

/** Checks of a public URL, each made of requests in the order in which one may be sent after the other. */
export interface Checks {
  /** Without the token: whether it leads here past the guard, and with `streams`, whether these come through. */
  way(
    target: ProbeTarget,
    options: { readonly streams: boolean; readonly signal: AbortSignal },
  ): Promise<readonly Problem[]>;
  /** With the token, and so only where the way is proved: begins as a client would. */
  enter(target: ProbeTarget, signal: AbortSignal): Promise<readonly Problem[]>;
  /** The same, but asks only how the servers are. */
  look(target: ProbeTarget, signal: AbortSignal): Promise<readonly Problem[]>;
}

export function createChecks(probe: SelfProbe, verification: VerificationState): Checks {
  async function withToken(
    what: 'enter' | 'look',
    target: ProbeTarget,
    signal: AbortSignal,
  ): Promise<readonly Problem[]> {
    if (signal.aborted || !verification.isProved(target)) return [];
    const problems = await probe[what](target.url, signal);
    // What is broken off shows nothing.
    if (!signal.aborted) verification.found(target, problems);
    return problems;
  }
  return {
    async way(target, { streams, signal }) {
      const problems = await probe.reach(target.url, signal);
      if (signal.aborted) return problems;
      verification.reached(target, problems);
      if (!streams || problems.some(isBlocking)) return problems;
      return [...problems, ...(await probe.streams(target.url, signal))];
    },
    enter: async (target, signal) => await withToken('enter', target, signal),
    look: async (target, signal) => await withToken('look', target, signal),
  };
}
