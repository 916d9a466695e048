import { sleep, type Clock } from '../../clock.ts';
import type { Capabilities } from '../capabilities.ts';
import type { HostOverrides } from '../host-overrides.ts';
import type { TunnelStatus } from '../provider.ts';
import { isBlocking, isSlowing, mayPass, wordsFor, type Problem } from './problem.ts';
import type { SelfProbe } from './self-probe.ts';

/** Between two looks, in milliseconds. */
const intervalMs = 60_000;

/** Between two looks at a tunnel that has just come up, or that has just failed one, in milliseconds. */
const shortPauseMs = 1500;

/**
 * From a new connection that did not help to the next one, in milliseconds: some providers give out so many names an hour, and
 * it may be this machine's own network that fails.
 */
const redialPauseMs = 600_000;

export interface TunnelWatchOptions {
  readonly probe: SelfProbe;
  readonly capabilities: Capabilities;
  readonly clock: Clock;
  readonly overrides: HostOverrides;
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
   * Looks whether the public URL works, again and again while that may pass, for so long in milliseconds. Resolves with what
   * is wrong in the end, of which nothing has been said yet.
   */
  untilSettled(limitMs: number, signal: AbortSignal): Promise<readonly Problem[]>;
  /** Begins as a client would, says what is wrong, and looks every minute from then on. */
  begin(settled: readonly Problem[], signal: AbortSignal): Promise<void>;
  statusChanged(status: TunnelStatus): void;
  close(): void;
}

/** Sees to it that a tunnel that calls itself up is of use. */
export function watchTunnel(options: TunnelWatchOptions): TunnelWatch {
  const { probe, capabilities, clock, overrides, publicUrl, redial, onWarning, onGetBuffered, onUnguarded } = options;
  const stop = new AbortController();
  /** Of what the user has been told, and not that it is over. */
  const told = new Map<Problem['kind'], Problem>();
  let hasWorked = false;
  let hasBegun = false;
  let isUp = true;
  /** Counts the changes of the tunnel: what was seen before one says nothing of what is there after it. */
  let changes = 0;
  /** When a new connection was made that has not worked yet. */
  let redialledAt: number | undefined;
  let callOffLook: (() => void) | undefined;
  /** While it is not up, there is nothing to look at. */
  const interruption = new AbortController();

  async function untilSettled(limitMs: number, signal: AbortSignal): Promise<readonly Problem[]> {
    const until = AbortSignal.any([stop.signal, signal, interruption.signal]);
    const deadline = clock.now() + limitMs;
    await waitForName(until);
    const looks = async function* (): AsyncGenerator<readonly Problem[]> {
      while (!until.aborted) {
        yield reachAndStream(until);
        // oxlint-disable-next-line no-await-in-loop -- a look, then a pause
        await sleep(clock, shortPauseMs, until);
      }
    };
    for await (const problems of looks()) {
      if (until.aborted) return [];
      if (!problems.some(mayPass) || clock.now() + shortPauseMs >= deadline) return problems;
    }
    return [];
  }

  /** What is wrong with the way as such. */
  async function reachAndStream(until: AbortSignal): Promise<readonly Problem[]> {
    const problems = await probe.reach(publicUrl(), until);
    if (problems.some(isBlocking) || until.aborted) return problems;
    return [...problems, ...(await probe.streams(publicUrl(), until))];
  }

  async function waitForName(until: AbortSignal): Promise<void> {
    const { hostname, port, protocol } = new URL(publicUrl());
    const isResolved = overrides.find(hostname, Number(port || (protocol === 'https:' ? 443 : 80))) !== undefined;
    const { freshNameMs = 0 } = capabilities;
    if (!isResolved && freshNameMs > 0) await sleep(clock, freshNameMs, until);
  }

  function tell(problems: readonly Problem[]): void {
    const url = publicUrl();
    for (const problem of problems) {
      if (!told.has(problem.kind)) onWarning(wordsFor(problem, url, capabilities));
      told.set(problem.kind, problem);
    }
    // What comes late works all the same: that it does not any more is no news.
    const over = [...told.values()].filter((old) => !isSlowing(old) && !problems.some(({ kind }) => kind === old.kind));
    for (const { kind } of over) told.delete(kind);
    if (problems.some(({ kind }) => kind === 'get_buffered')) onGetBuffered();
    if (problems.some(isBlocking)) return;
    hasWorked = true;
    redialledAt = undefined;
    if (over.length > 0 && problems.every(isSlowing)) onWarning(`${url} works again`);
  }

  function lookAfter(delayMs: number): void {
    callOffLook?.();
    callOffLook = clock.after(delayMs, () => void look());
  }

  async function lookOnce(): Promise<readonly Problem[]> {
    const problems = await reachAndStream(stop.signal);
    if (problems.some(isBlocking) || stop.signal.aborted) return problems;
    return [...problems, ...(await probe.look(publicUrl(), stop.signal))];
  }

  async function look(): Promise<void> {
    const seen = changes;
    // Whoever has changed it sees to the next look.
    const isStale = (): boolean => changes !== seen || stop.signal.aborted;
    let problems = await lookOnce();
    if (problems.some(mayPass) && !isStale()) {
      // One look that fails may be the network's; a connection that works is worth more than that.
      await sleep(clock, shortPauseMs, stop.signal);
      if (!isStale()) problems = await lookOnce();
    }
    if (isStale()) return;
    tell(problems);
    const open = problems.find(({ kind }) => kind === 'guard_missing');
    if (open !== undefined) {
      onUnguarded(wordsFor(open, publicUrl(), capabilities));
      return;
    }
    lookAfter(intervalMs);
    // Some services have a page of their own for a tunnel that has gone, which is none of a gateway.
    const dead = problems.find((problem) => mayPass(problem) || problem.kind === 'wrong_service');
    if (dead !== undefined && mayRedial()) {
      redialledAt = clock.now();
      redial(wordsFor(dead, publicUrl(), capabilities));
    }
  }

  function mayRedial(): boolean {
    return hasWorked && (redialledAt === undefined || clock.now() - redialledAt >= redialPauseMs);
  }

  return {
    untilSettled,
    async begin(settled, signal) {
      const seen = changes;
      const until = AbortSignal.any([stop.signal, signal]);
      const entered = settled.some(isBlocking) ? [] : await probe.enter(publicUrl(), until);
      if (until.aborted) return;
      hasBegun = true;
      if (changes === seen) tell([...settled, ...entered]);
      if (isUp) lookAfter(changes === seen ? intervalMs : shortPauseMs);
    },
    statusChanged({ state }) {
      changes++;
      isUp = state === 'up';
      if (!isUp) interruption.abort();
      callOffLook?.();
      if (isUp && hasBegun) lookAfter((capabilities.freshNameMs ?? 0) + shortPauseMs);
    },
    close() {
      stop.abort();
      callOffLook?.();
    },
  };
}
