import { isBlocking, isForeign, isSeenFromHere, saysNothing, type Problem } from './problem.ts';

/** Where a check goes. Read once for all of it, so that what one request has shown is held to be true of no other URL. */
export interface ProbeTarget {
  readonly url: string;
  /** Counts the changes of the tunnel: what was seen before one says nothing of what is there after it. */
  readonly generation: number;
  /** Aborted when the tunnel changes or is closed: nobody wants to know any more. */
  readonly signal: AbortSignal;
}

/** What is known of who answers at the public URL of a tunnel. */
export interface VerificationState {
  target(): ProbeTarget;
  /** Whether the tunnel is still what it was, under the same URL. */
  isCurrent(target: ProbeTarget): boolean;
  /** Takes down what requests without the token have shown, from which alone a proof comes. */
  reached(target: ProbeTarget, problems: readonly Problem[]): void;
  /** Takes down what other requests have shown. */
  found(target: ProbeTarget, problems: readonly Problem[]): void;
  /** Whether the last verdict of this aim is that it leads here, past the guard; only then may the token go there. */
  isProved(target: ProbeTarget): boolean;
  /** As `isProved` of what is there now. */
  isVerified(): boolean;
  /** False when somebody else certainly has a hand in what answers there now; true also while nothing is known. */
  isTrusted(): boolean;
  /** The tunnel has come up, gone down, or has another URL. */
  changed(): void;
  close(): void;
}

export function createVerificationState(publicUrl: () => string): VerificationState {
  let generation = 0;
  let life = new AbortController();
  let proved: ProbeTarget | undefined;
  let distrusted: ProbeTarget | undefined;

  const target = (): ProbeTarget => ({ url: publicUrl(), generation, signal: life.signal });
  const isCurrent = (one: ProbeTarget): boolean => !one.signal.aborted && isSame(one, target());
  const isProved = (one: ProbeTarget): boolean => proved !== undefined && isSame(one, proved) && isCurrent(one);

  function found(one: ProbeTarget, problems: readonly Problem[]): void {
    if (!isCurrent(one)) return;
    if (problems.some(isForeign)) distrusted = one;
    if (problems.some(disproves)) proved = undefined;
  }

  return {
    target,
    isCurrent,
    reached(one, problems) {
      found(one, problems);
      if (!isCurrent(one) || problems.some(isBlocking)) return;
      proved = one;
      distrusted = undefined;
    },
    found,
    isProved,
    isVerified: () => isProved(target()),
    isTrusted: () => distrusted === undefined || !isSame(distrusted, target()),
    changed() {
      generation++;
      life.abort();
      life = new AbortController();
    },
    close: () => life.abort(),
  };
}

/** Whether it no longer leads here, which neither a failure of this machine's network nor a token that is taken out shows. */
function disproves(problem: Problem): boolean {
  return isBlocking(problem) && !isSeenFromHere(problem) && !saysNothing(problem) && problem.kind !== 'token_lost';
}

function isSame(one: ProbeTarget, other: ProbeTarget): boolean {
  return one.generation === other.generation && one.url === other.url;
}
