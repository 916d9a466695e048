import { sleep } from '../../platform/clock.ts';
import { messageOf } from '../../errors.ts';
import type { Capabilities } from '../capabilities.ts';
import type { TunnelStatus } from '../provider.ts';
import { isBlocking, mayPass, ProblemReporter, saysNothing, wordsFor, type Problem } from './problem.ts';
import { RedialPolicy } from './redial-policy.ts';
import { settle, shortPauseMs, type SettleOptions, type Settled } from './settle.ts';
import { TargetCheck, type Probe } from './target-check.ts';
import { VerificationState, type ProbeTarget } from './verification-state.ts';

/** Between two checks, in milliseconds, where the provider allows that many. */
const defaultIntervalMs = 60_000;

export interface TunnelWatchOptions extends Pick<SettleOptions, 'clock' | 'overrides' | 'settleMs'> {
  readonly probe: Probe;
  readonly capabilities: Capabilities;
  readonly publicUrl: () => string;
  /** As `Tunnel.redial`. */
  readonly redial: (reason: string) => void;
  readonly onWarning: (message: string) => void;
  /** Responses to GET are buffered, although the provider is not known for that. */
  readonly onGetBuffered: () => void;
  /** Requests without the token are accepted: the tunnel has to be closed. */
  readonly onUnguarded: (reason: string) => void;
}

/** Checks again and again whether a tunnel that reports to be up can be used. */
export class TunnelWatch {
  readonly #options: TunnelWatchOptions;
  readonly #freshNameMs: number;
  readonly #intervalMs: number;
  readonly #verification: VerificationState;
  readonly #check: TargetCheck;
  readonly #reporter: ProblemReporter;
  readonly #redials: RedialPolicy;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #hasBegun = false;
  #isUp = true;
  #settled: Settled | undefined;
  #cancelNext: (() => void) | undefined;

  constructor(options: TunnelWatchOptions) {
    const { capabilities, publicUrl, probe, clock, onWarning } = options;
    this.#options = options;
    this.#freshNameMs = capabilities.freshNameMs ?? 0;
    this.#intervalMs = capabilities.probeEveryMs ?? defaultIntervalMs;
    this.#verification = new VerificationState(publicUrl);
    this.#check = new TargetCheck(probe, this.#verification);
    this.#reporter = new ProblemReporter(capabilities, onWarning);
    this.#redials = new RedialPolicy(clock);
  }

  /**
   * Checks the public URL until it works or has a problem that lasts. Resolves with the problems, which are not reported
   * yet; undefined when there is no result, since the tunnel was not up for long enough.
   */
  async untilSettled(signal: AbortSignal): Promise<readonly Problem[] | undefined> {
    return (await this.#tracked(this.#settle(signal)))?.problems;
  }

  /** Opens a session as a client would, reports what is wrong, and keeps checking from then on. */
  async begin(signal: AbortSignal): Promise<void> {
    await this.#tracked(this.#begin(signal));
  }

  /** Whether the current URL is known to lead here, past the guard. */
  isVerified(): boolean {
    return this.#verification.isVerified();
  }

  /** False when another party certainly takes part in the responses; true also while nothing is known. */
  isTrusted(): boolean {
    return this.#verification.isTrusted();
  }

  statusChanged({ state }: TunnelStatus): void {
    if (this.#stop.signal.aborted) return;
    this.#isUp = state === 'up';
    this.#verification.changed();
    this.#redials.changed();
    this.#cancelNext?.();
    if (this.#isUp && this.#hasBegun) this.#checkAfter(this.#freshNameMs + shortPauseMs);
  }

  /** Resolves when no check is running any more. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#verification.close();
    this.#cancelNext?.();
    await Promise.allSettled(this.#running);
  }

  async #tracked<Result>(work: Promise<Result>): Promise<Result> {
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
    }
  }

  async #settle(signal: AbortSignal): Promise<Settled | undefined> {
    this.#settled = await settle(
      {
        ...this.#options,
        check: this.#check,
        verification: this.#verification,
        freshNameMs: this.#freshNameMs,
        isUp: () => this.#isUp,
      },
      AbortSignal.any([signal, this.#stop.signal]),
    );
    return this.#settled;
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const isSettled = this.#settled !== undefined && this.#verification.isCurrent(this.#settled.target);
    const settled = isSettled ? this.#settled : await this.#settle(signal);
    const entered =
      settled === undefined || settled.problems.some(isBlocking)
        ? []
        : await this.#check.enter(settled.target, AbortSignal.any([settled.target.signal, signal]));
    if (signal.aborted || this.#stop.signal.aborted) return;
    this.#hasBegun = true;
    if (settled !== undefined && this.#verification.isCurrent(settled.target)) {
      this.#conclude(settled.target, [...settled.problems, ...entered], true);
    } else if (this.#isUp) {
      this.#checkAfter(this.#freshNameMs + shortPauseMs);
    }
  }

  #checkAfter(delayMs: number): void {
    this.#cancelNext?.();
    if (this.#stop.signal.aborted) return;
    this.#cancelNext = this.#options.clock.after(delayMs, () => {
      this.#tracked(this.#checkNow()).catch((error: unknown) => {
        if (this.#stop.signal.aborted) return;
        this.#options.onWarning(`the public URL could not be looked at: ${messageOf(error)}`);
        this.#checkAfter(this.#intervalMs);
      });
    });
  }

  async #checkNow(): Promise<void> {
    const { clock, redial, capabilities } = this.#options;
    const target = this.#verification.target();
    const isEntry = !this.#check.hasEntered(target);
    let problems = await this.#checkAll(target, isEntry);
    if (problems.some(needsSecondCheck) && this.#verification.isCurrent(target)) {
      await sleep(clock, shortPauseMs, target.signal);
      if (this.#verification.isCurrent(target)) problems = await this.#checkAll(target, isEntry);
    }
    // The change that aborted it has scheduled the next check.
    if (target.signal.aborted) return;
    if (!this.#verification.isCurrent(target)) {
      this.#checkAfter(shortPauseMs);
    } else if (problems.some(saysNothing)) {
      this.#checkAfter(this.#intervalMs);
    } else if (this.#conclude(target, problems, isEntry)) {
      const reason = this.#redials.reasonIn(problems);
      if (reason !== undefined) redial(wordsFor(reason, target.url, capabilities));
    }
  }

  /** `isEntry`: everything, for the first check of a connection; otherwise only what costs the servers nothing. */
  async #checkAll(target: ProbeTarget, isEntry: boolean): Promise<readonly Problem[]> {
    const { signal } = target;
    const withStreams = isEntry || this.#options.capabilities.probeEveryMs === undefined;
    const problems = await this.#check.reach(target, withStreams, signal);
    if (problems.some(isBlocking) || signal.aborted) return problems;
    return [...problems, ...(await this.#check[isEntry ? 'enter' : 'look'](target, signal))];
  }

  /** Reports a result and schedules the next check; false when the tunnel has to be closed. */
  #conclude({ url }: ProbeTarget, problems: readonly Problem[], isEntry: boolean): boolean {
    const { capabilities, onGetBuffered, onUnguarded } = this.#options;
    this.#reporter.report(url, problems, isEntry);
    if (problems.some(({ kind }) => kind === 'get_buffered')) onGetBuffered();
    if (!problems.some(isBlocking)) this.#redials.worked();
    const open = problems.find(({ kind }) => kind === 'guard_missing');
    if (open === undefined) this.#checkAfter(this.#intervalMs);
    else onUnguarded(wordsFor(open, url, capabilities));
    return open === undefined;
  }
}

/** One failed check may be the network's fault, or an edge that restarts; a connection that works is worth a second one. */
function needsSecondCheck(problem: Problem): boolean {
  return (mayPass(problem) && !saysNothing(problem)) || problem.kind === 'wrong_service';
}
