import type { Clock } from '../platform/clock.ts';
import { ExposeError, messageOf } from '../errors.ts';
import type { TunnelProvider } from './provider.ts';

/** How long finding a tunnel may take in total, in milliseconds; the local URL works meanwhile. */
export const autoLimitMs = 20_000;

export interface Candidate {
  readonly name: string;
  readonly create: () => Promise<TunnelProvider>;
  /** The most that it may take of the total time, in milliseconds. */
  readonly limitMs?: number;
}

export interface Attempt {
  readonly provider: string;
  /** `trying`: it has been started. `skipped`: it cannot be used on this machine. */
  readonly outcome: 'trying' | 'skipped' | 'failed' | 'up';
  readonly reason?: string;
}

export interface OpenFirstOptions<Opened> {
  readonly candidates: readonly Candidate[];
  /** Opens a tunnel and checks that it works. Nothing of it is left when it throws. */
  readonly open: (provider: TunnelProvider, signal: AbortSignal) => Promise<Opened>;
  /** Why a tunnel cannot be used, whatever the machine. Default: each can. */
  readonly objectionTo?: (provider: TunnelProvider) => string | undefined;
  readonly onAttempt: (attempt: Attempt) => void;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Default: `autoLimitMs`. */
  readonly limitMs?: number;
}

/**
 * Opens the first of several tunnels that works. Nothing is installed, no login and no prompt happens. Undefined when none
 * works in time.
 * @throws the signal's reason.
 */
export async function openFirst<Opened>(options: OpenFirstOptions<Opened>): Promise<Opened | undefined> {
  const { candidates, open, objectionTo, onAttempt, clock, signal, limitMs = autoLimitMs } = options;
  const deadline = clock.now() + limitMs;

  /** Undefined when it was skipped or failed. */
  async function attempt({ name, create, limitMs: ownLimitMs = limitMs }: Candidate): Promise<Opened | undefined> {
    const skip = (reason: string): undefined => {
      onAttempt({ provider: name, outcome: 'skipped', reason });
      return undefined;
    };
    const leftMs = Math.min(ownLimitMs, deadline - clock.now());
    if (leftMs <= 0) return skip(`the ${limitMs / 1000} s for all of them were over`);
    const limit = new AbortController();
    const cancel = clock.after(leftMs, () => limit.abort(tooSlow(leftMs)));
    const until = AbortSignal.any([signal, limit.signal]);
    try {
      const provider = await create();
      const reason = objectionTo?.(provider) ?? (await provider.unusable?.(until));
      if (reason !== undefined) return skip(reason);
      onAttempt({ provider: name, outcome: 'trying' });
      const opened = await open(provider, until);
      onAttempt({ provider: name, outcome: 'up' });
      return opened;
    } catch (error) {
      signal.throwIfAborted();
      onAttempt({ provider: name, outcome: 'failed', reason: messageOf(error) });
      return undefined;
    } finally {
      cancel();
    }
  }

  for (const candidate of candidates) {
    // oxlint-disable-next-line no-await-in-loop -- the next is tried only when this one does not do
    const opened = await attempt(candidate);
    // A caller that has aborted meanwhile has to close it.
    if (opened !== undefined) return opened;
    signal.throwIfAborted();
  }
  return undefined;
}

function tooSlow(limitMs: number): ExposeError {
  return new ExposeError('tunnel_unreachable', `it was not up after ${Math.round(limitMs / 1000)} s`);
}
