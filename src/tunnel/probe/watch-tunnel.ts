import { sleep, type Clock } from '../../platform/clock.ts';
import { messageOf } from '../../errors.ts';
import type { Capabilities } from '../capabilities.ts';
import type { HostOverrides } from '../../platform/net/host-overrides.ts';
import type { TunnelStatus } from '../provider.ts';
import { isBlocking, mayPass, ProblemReporter, saysNothing, wordsFor, type Problem } from './problem.ts';
import { RedialPolicy } from './redial-policy.ts';
import type { SelfProbe } from './self-probe.ts';
import { isSame, VerificationState, type ProbeTarget } from './verification-state.ts';

/** Between two looks, in milliseconds, where the tunnel allows it. */
const defaultIntervalMs = 60_000;

/** Between two looks at a tunnel that has just come up, or that has just failed one, in milliseconds. */
const shortPauseMs = 1500;

export interface TunnelWatchOptions {
  readonly probe: SelfProbe;
  readonly capabilities: Capabilities;
  readonly clock: Clock;
  readonly overrides: HostOverrides;
  /** How long a URL that is new may take until it works, in milliseconds. */
  readonly settleMs: number;
  readonly publicUrl: () => string;
  /** As `Tunnel.redial`. */
  readonly redial: (reason: string) => void;
  readonly onWarning: (message: string) => void;
  /** Streams that answer a GET are held back, although nothing was known of that. */
  readonly onGetBuffered: () => void;
  /** Who has no token is let in: the tunnel has to be closed. */
  readonly onUnguarded: (reason: string) => void;
}

export interface TunnelWatch {
  /**
   * Looks whether the public URL works, again and again while that may pass. Resolves with what is wrong in the end, of which
   * nothing has been said yet; undefined when that could not be learnt, as the tunnel was not up for so long.
   */
  untilSettled(signal: AbortSignal): Promise<readonly Problem[] | undefined>;
  /**
   * Begins as a client would, says what is wrong, and looks again and again from then on. What has changed since it settled is
   * looked at anew before.
   */
  begin(signal: AbortSignal): Promise<void>;
  /** Whether the current URL was seen to lead here, past the guard, since the tunnel came up. */
  isVerified(): boolean;
  /** False when somebody else certainly has a hand in what answers there; true also while nothing is known. */
  isTrusted(): boolean;
  statusChanged(status: TunnelStatus): void;
  /** Resolves when nothing is under way any more. */
  close(): Promise<void>;
}

interface Settled {
  readonly target: ProbeTarget;
  readonly problems: readonly Problem[];
}

/** Sees to it that a tunnel that calls itself up is of use. */
export function watchTunnel(options: TunnelWatchOptions): TunnelWatch {
  const { probe, capabilities, clock, overrides, settleMs, publicUrl, redial, onWarning } = options;
  const { onGetBuffered, onUnguarded } = options;
  const { probeEveryMs, freshNameMs = 0 } = capabilities;
  const intervalMs = probeEveryMs ?? defaultIntervalMs;
  const stop = new AbortController();
  const verification = new VerificationState(publicUrl);
  const reporter = new ProblemReporter(capabilities, onWarning);
  const redials = new RedialPolicy(clock);
  const underWay = new Set<Promise<unknown>>();
  let hasBegun = false;
  let isUp = true;
  /** What is known of the way as such, of which nothing has been said yet. */
  let settled: Settled | undefined;
  /** Where a session has been begun: once a connection is enough, as it may start a process each time. */
  let enteredAt: ProbeTarget | undefined;
  let cancelLook: (() => void) | undefined;

  async function tracked<Result>(work: Promise<Result>): Promise<Result> {
    underWay.add(work);
    try {
      return await work;
    } finally {
      underWay.delete(work);
    }
  }

  /** As long as the tunnel is up, however often it changes. */
  async function settle(signal: AbortSignal): Promise<Settled | undefined> {
    const deadline = clock.now() + settleMs;
    settled = undefined;
    const isOver = (): boolean => !isUp || signal.aborted || stop.signal.aborted || clock.now() >= deadline;
    do {
      // oxlint-disable-next-line no-await-in-loop -- one connection after the other
      settled = await settleOnce(deadline, signal);
    } while (settled === undefined && !isOver());
    return settled;
  }

  /** Undefined when it has changed meanwhile. */
  async function settleOnce(deadline: number, signal: AbortSignal): Promise<Settled | undefined> {
    const target = verification.target();
    const until = AbortSignal.any([target.signal, signal]);
    const isOver = (): boolean => !isUp || until.aborted || !verification.isCurrent(target);
    if (isOver()) return undefined;
    await waitForName(target.url, until);
    while (!isOver()) {
      // oxlint-disable-next-line no-await-in-loop -- a look, then a pause
      const problems = await checkReach(target, true, until);
      if (isOver()) return undefined;
      if (!problems.some(mayPass) || clock.now() + shortPauseMs >= deadline) return { target, problems };
      // oxlint-disable-next-line no-await-in-loop -- a look, then a pause
      await sleep(clock, shortPauseMs, until);
    }
    return undefined;
  }

  async function waitForName(url: string, until: AbortSignal): Promise<void> {
    const { hostname, port, protocol } = new URL(url);
    const isResolved = overrides.find(hostname, Number(port || (protocol === 'https:' ? 443 : 80))) !== undefined;
    if (!isResolved && freshNameMs > 0) await sleep(clock, freshNameMs, until);
  }

  /** Without the token: whether the URL leads here past the guard, and with `streams`, whether these come through. */
  async function checkReach(target: ProbeTarget, streams: boolean, signal: AbortSignal): Promise<readonly Problem[]> {
    const problems = await probe.reach(target.url, signal);
    if (signal.aborted) return problems;
    verification.recordReach(target, problems);
    if (!streams || problems.some(isBlocking)) return problems;
    return [...problems, ...(await probe.streams(target.url, signal))];
  }

  /** With the token, and so only where the target is verified: `enter` opens a session, `look` asks for the health. */
  async function checkInside(
    how: 'enter' | 'look',
    target: ProbeTarget,
    signal: AbortSignal,
  ): Promise<readonly Problem[]> {
    if (signal.aborted || !verification.isVerified(target)) return [];
    const problems = await probe[how](target.url, signal);
    // An aborted check shows nothing.
    if (!signal.aborted) verification.record(target, problems);
    return problems;
  }

  async function enter(target: ProbeTarget, signal: AbortSignal): Promise<readonly Problem[]> {
    const problems = await checkInside('enter', target, signal);
    // A session that did not reach the server has to be tried again.
    if (!signal.aborted && !problems.some(isBlocking)) enteredAt = target;
    return problems;
  }

  const hasEntered = (target: ProbeTarget): boolean => enteredAt !== undefined && isSame(enteredAt, target);

  async function begin(signal: AbortSignal): Promise<void> {
    const isSettled = settled !== undefined && verification.isCurrent(settled.target);
    const way = isSettled ? settled : await settle(signal);
    const entered =
      way === undefined || way.problems.some(isBlocking)
        ? []
        : await enter(way.target, AbortSignal.any([way.target.signal, signal]));
    if (signal.aborted || stop.signal.aborted) return;
    hasBegun = true;
    if (way !== undefined && verification.isCurrent(way.target)) {
      if (conclude(way.target, [...way.problems, ...entered], true)) lookAfter(intervalMs);
    } else if (isUp) {
      lookAfter(freshNameMs + shortPauseMs);
    }
  }

  /** Makes known what was found; false when the tunnel has to be closed. */
  function conclude({ url }: ProbeTarget, problems: readonly Problem[], isEntry: boolean): boolean {
    reporter.report(url, problems, isEntry);
    if (problems.some(({ kind }) => kind === 'get_buffered')) onGetBuffered();
    if (!problems.some(isBlocking)) redials.worked();
    const open = problems.find(({ kind }) => kind === 'guard_missing');
    if (open !== undefined) onUnguarded(wordsFor(open, url, capabilities));
    return open === undefined;
  }

  function lookAfter(delayMs: number): void {
    cancelLook?.();
    if (stop.signal.aborted) return;
    cancelLook = clock.after(delayMs, () => {
      tracked(look()).catch((error: unknown) => {
        if (stop.signal.aborted) return;
        onWarning(`the public URL could not be looked at: ${messageOf(error)}`);
        lookAfter(intervalMs);
      });
    });
  }

  /** Thorough at first, and then only what costs the servers nothing. */
  async function check(target: ProbeTarget, isEntry: boolean): Promise<readonly Problem[]> {
    const { signal } = target;
    const streams = isEntry || probeEveryMs === undefined;
    const problems = await checkReach(target, streams, signal);
    if (problems.some(isBlocking) || signal.aborted) return problems;
    return [...problems, ...(await (isEntry ? enter(target, signal) : checkInside('look', target, signal)))];
  }

  async function look(): Promise<void> {
    const target = verification.target();
    const isEntry = !hasEntered(target);
    let problems = await check(target, isEntry);
    if (problems.some(needsSecondLook) && verification.isCurrent(target)) {
      await sleep(clock, shortPauseMs, target.signal);
      if (verification.isCurrent(target)) problems = await check(target, isEntry);
    }
    // Whoever has changed it sees to the next look.
    if (target.signal.aborted) return;
    if (!verification.isCurrent(target)) {
      lookAfter(shortPauseMs);
      return;
    }
    if (problems.some(saysNothing)) {
      lookAfter(intervalMs);
      return;
    }
    if (!conclude(target, problems, isEntry)) return;
    lookAfter(intervalMs);
    const reason = redials.reasonIn(problems);
    if (reason !== undefined) redial(wordsFor(reason, target.url, capabilities));
  }

  return {
    async untilSettled(signal) {
      return (await tracked(settle(signal)))?.problems;
    },
    begin: async (signal) => await tracked(begin(signal)),
    isVerified: () => verification.isVerified(),
    isTrusted: () => verification.isTrusted(),
    statusChanged({ state }) {
      if (stop.signal.aborted) return;
      isUp = state === 'up';
      verification.changed();
      redials.changed();
      cancelLook?.();
      if (isUp && hasBegun) lookAfter(freshNameMs + shortPauseMs);
    },
    async close() {
      stop.abort();
      verification.close();
      cancelLook?.();
      await Promise.allSettled(underWay);
    },
  };
}

/** One look that fails may be the network's, or an edge that is about to restart; a connection that works is worth more. */
function needsSecondLook(problem: Problem): boolean {
  return (mayPass(problem) && !saysNothing(problem)) || problem.kind === 'wrong_service';
}
