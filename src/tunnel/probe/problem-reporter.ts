import type { Capabilities } from '../capabilities.ts';
import { isSlowing, wordsFor, type Problem } from './problem.ts';

/** What a check has found, and at which URL. */
export interface ProblemReport {
  readonly url: string;
  readonly problems: readonly Problem[];
  /** Whether a session was begun, or only asked how the servers are. */
  readonly hasEntered: boolean;
}

/** Tells the user of each kind of problem once, as long as it lasts, and that all is well again. */
export interface ProblemReporter {
  tell(finding: ProblemReport): void;
}

export function createProblemReporter(
  capabilities: Pick<Capabilities, 'interstitial'>,
  onWarning: (message: string) => void,
): ProblemReporter {
  /** Of what the user has been told, and not that it is over; and whether that was seen by beginning a session. */
  const told = new Map<Problem['kind'], { readonly problem: Problem; readonly hasEntered: boolean }>();
  return {
    tell({ url, problems, hasEntered }) {
      for (const problem of problems) {
        if (!told.has(problem.kind)) onWarning(wordsFor(problem, url, capabilities));
        if (hasEntered || !told.has(problem.kind)) told.set(problem.kind, { problem, hasEntered });
      }
      const over = [...told.values()].filter(
        (old) =>
          !problems.some(({ kind }) => kind === old.problem.kind) &&
          // What comes late works all the same: that it does not any more is no news.
          !isSlowing(old.problem) &&
          // A server that is there may still refuse every session.
          (hasEntered || !old.hasEntered || old.problem.kind !== 'upstream_dead'),
      );
      for (const { problem } of over) told.delete(problem.kind);
      if (over.length > 0 && problems.every(isSlowing)) onWarning(`${url} works again`);
    },
  };
}
