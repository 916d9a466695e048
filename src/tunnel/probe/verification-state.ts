import { isBlocking, isForeign, isSeenFromHere, saysNothing, type Problem } from './problem.ts';

/** What a check goes to. Read once per check, so that no result counts for another URL. */
export interface ProbeTarget {
  readonly url: string;
  /** Counts the changes of the tunnel: a result from before a change says nothing about the state after it. */
  readonly generation: number;
  /** Aborted when the tunnel changes or is closed: the result is no longer needed. */
  readonly signal: AbortSignal;
}

/** Who answers at the public URL of a tunnel, as far as the checks have shown. */
export class VerificationState {
  readonly #publicUrl: () => string;
  #generation = 0;
  #abort = new AbortController();
  #verified: ProbeTarget | undefined;
  #distrusted: ProbeTarget | undefined;

  constructor(publicUrl: () => string) {
    this.#publicUrl = publicUrl;
  }

  target(): ProbeTarget {
    return { url: this.#publicUrl(), generation: this.#generation, signal: this.#abort.signal };
  }

  /** Whether the tunnel has not changed since, and has the same URL. */
  isCurrent(target: ProbeTarget): boolean {
    return !target.signal.aborted && isSame(target, this.target());
  }

  /** Records the result of requests without the token; only these can verify a target. */
  recordReach(target: ProbeTarget, problems: readonly Problem[]): void {
    this.record(target, problems);
    if (!this.isCurrent(target) || problems.some(isBlocking)) return;
    this.#verified = target;
    this.#distrusted = undefined;
  }

  /** Records the result of other requests. */
  record(target: ProbeTarget, problems: readonly Problem[]): void {
    if (!this.isCurrent(target)) return;
    if (problems.some(isForeign)) this.#distrusted = target;
    if (problems.some(disproves)) this.#verified = undefined;
  }

  /** Whether the last result is that the URL leads to this process, past the guard. Only then may the token go there. */
  isVerified(target: ProbeTarget = this.target()): boolean {
    return this.#verified !== undefined && isSame(target, this.#verified) && this.isCurrent(target);
  }

  /** False when another party certainly takes part in the answers; true also while nothing is known. */
  isTrusted(): boolean {
    return this.#distrusted === undefined || !isSame(this.#distrusted, this.target());
  }

  /** The tunnel has come up, gone down, or has another URL. */
  changed(): void {
    this.#generation++;
    this.#abort.abort();
    this.#abort = new AbortController();
  }

  close(): void {
    this.#abort.abort();
  }
}

/** Whether the URL no longer leads here. A failure of the local network does not show that, nor does a removed token. */
function disproves(problem: Problem): boolean {
  return isBlocking(problem) && !isSeenFromHere(problem) && !saysNothing(problem) && problem.kind !== 'token_lost';
}

export function isSame(one: ProbeTarget, other: ProbeTarget): boolean {
  return one.generation === other.generation && one.url === other.url;
}
