import { isBlocking, type Problem } from './problem.ts';
import type { SelfProbe } from './self-probe.ts';
import type { Aim, Standing } from './standing.ts';

/** Checks of a public URL, each made of requests in the order in which one may be sent after the other. */
export interface Checks {
  /** Without the token: whether it leads here past the guard, and with `streams`, whether these come through. */
  way(aim: Aim, options: { readonly streams: boolean; readonly signal: AbortSignal }): Promise<readonly Problem[]>;
  /** With the token, and so only where the way is proved: begins as a client would. */
  enter(aim: Aim, signal: AbortSignal): Promise<readonly Problem[]>;
  /** The same, but asks only how the servers are. */
  look(aim: Aim, signal: AbortSignal): Promise<readonly Problem[]>;
}

export function createChecks(probe: SelfProbe, standing: Standing): Checks {
  async function withToken(what: 'enter' | 'look', aim: Aim, signal: AbortSignal): Promise<readonly Problem[]> {
    if (signal.aborted || !standing.isProved(aim)) return [];
    const problems = await probe[what](aim.url, signal);
    // What is broken off shows nothing.
    if (!signal.aborted) standing.found(aim, problems);
    return problems;
  }
  return {
    async way(aim, { streams, signal }) {
      const problems = await probe.reach(aim.url, signal);
      if (signal.aborted) return problems;
      standing.reached(aim, problems);
      if (!streams || problems.some(isBlocking)) return problems;
      return [...problems, ...(await probe.streams(aim.url, signal))];
    },
    enter: async (aim, signal) => await withToken('enter', aim, signal),
    look: async (aim, signal) => await withToken('look', aim, signal),
  };
}
