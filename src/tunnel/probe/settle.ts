import { sleep, type Clock } from '../../platform/clock.ts';
import type { HostOverrides } from '../../platform/net/host-overrides.ts';
import { portOf } from '../../platform/net/http-proxy.ts';
import { mayPass, type Problem } from './problem.ts';
import type { TargetCheck } from './target-check.ts';
import type { ProbeTarget, VerificationState } from './verification-state.ts';

/** Between two checks of a tunnel that has just come up or has just failed one, in milliseconds. */
export const shortPauseMs = 1500;

/** The lasting result of the checks of a new URL, which nobody has been told yet. */
export interface Settled {
  readonly target: ProbeTarget;
  readonly problems: readonly Problem[];
}

export interface SettleOptions {
  readonly check: Pick<TargetCheck, 'reach'>;
  readonly verification: VerificationState;
  readonly clock: Clock;
  readonly overrides: HostOverrides;
  /** How long a new name stays unknown to some resolvers, in milliseconds. */
  readonly freshNameMs: number;
  /** How long a new URL may take until it works, in milliseconds. */
  readonly settleMs: number;
  readonly isUp: () => boolean;
}

/**
 * Checks the URL of a tunnel until it works, has a problem that lasts, or the time is over; starts anew whenever the tunnel
 * changes. Undefined when there is no result, since the tunnel was not up for long enough.
 */
export async function settle(options: SettleOptions, signal: AbortSignal): Promise<Settled | undefined> {
  const deadline = options.clock.now() + options.settleMs;
  do {
    // oxlint-disable-next-line no-await-in-loop -- one connection after the other
    const settled = await settleTarget(options, deadline, signal);
    if (settled !== undefined) return settled;
  } while (options.isUp() && !signal.aborted && options.clock.now() < deadline);
  return undefined;
}

/** Undefined when the tunnel has changed meanwhile. */
async function settleTarget(
  options: SettleOptions,
  deadline: number,
  signal: AbortSignal,
): Promise<Settled | undefined> {
  const { check, verification, clock, isUp } = options;
  const target = verification.target();
  const until = AbortSignal.any([target.signal, signal]);
  const isOver = (): boolean => !isUp() || until.aborted || !verification.isCurrent(target);
  if (isOver()) return undefined;
  await waitForName(options, target.url, until);
  while (!isOver()) {
    // oxlint-disable-next-line no-await-in-loop -- a check, then a pause
    const problems = await check.reach(target, true, until);
    if (isOver()) return undefined;
    if (!problems.some(mayPass) || clock.now() + shortPauseMs >= deadline) return { target, problems };
    // oxlint-disable-next-line no-await-in-loop -- a check, then a pause
    await sleep(clock, shortPauseMs, until);
  }
  return undefined;
}

/** A resolver that is asked too early may remember for minutes that there is no such name. */
async function waitForName(
  { clock, overrides, freshNameMs }: SettleOptions,
  url: string,
  until: AbortSignal,
): Promise<void> {
  const target = new URL(url);
  const isResolved = overrides.find(target.hostname, portOf(target)) !== undefined;
  if (!isResolved && freshNameMs > 0) await sleep(clock, freshNameMs, until);
}
