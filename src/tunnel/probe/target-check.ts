import { isBlocking, type Problem } from './problem.ts';
import type { SelfProbe } from './self-probe.ts';
import { isSame, type ProbeTarget, type VerificationState } from './verification-state.ts';

/** The checks of `SelfProbe`. */
export type Probe = Pick<SelfProbe, 'reach' | 'streams' | 'enter' | 'look'>;

/** Checks a target through a probe, and records in the verification state what each check has shown. */
export class TargetCheck {
  readonly #probe: Probe;
  readonly #verification: VerificationState;
  /** Where a session was opened: once per connection is enough, since that may start a process each time. */
  #enteredAt: ProbeTarget | undefined;

  constructor(probe: Probe, verification: VerificationState) {
    this.#probe = probe;
    this.#verification = verification;
  }

  hasEntered(target: ProbeTarget): boolean {
    return this.#enteredAt !== undefined && isSame(this.#enteredAt, target);
  }

  /** Without the token: whether the URL leads here, past the guard, and `withStreams` whether event streams arrive. */
  async reach(target: ProbeTarget, withStreams: boolean, signal: AbortSignal): Promise<readonly Problem[]> {
    const problems = await this.#probe.reach(target.url, signal);
    if (signal.aborted) return problems;
    this.#verification.recordReach(target, problems);
    if (!withStreams || problems.some(isBlocking)) return problems;
    return [...problems, ...(await this.#probe.streams(target.url, signal))];
  }

  async enter(target: ProbeTarget, signal: AbortSignal): Promise<readonly Problem[]> {
    const problems = await this.#withToken('enter', target, signal);
    // A session that did not reach the server has to be tried again.
    if (!signal.aborted && !problems.some(isBlocking)) this.#enteredAt = target;
    return problems;
  }

  async look(target: ProbeTarget, signal: AbortSignal): Promise<readonly Problem[]> {
    return await this.#withToken('look', target, signal);
  }

  /** The token goes only to a target that is verified. */
  async #withToken(how: 'enter' | 'look', target: ProbeTarget, signal: AbortSignal): Promise<readonly Problem[]> {
    if (signal.aborted || !this.#verification.isVerified(target)) return [];
    const problems = await this.#probe[how](target.url, signal);
    // An aborted check shows nothing.
    if (!signal.aborted) this.#verification.record(target, problems);
    return problems;
  }
}
