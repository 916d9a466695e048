import { systemClock, type Clock } from '../../platform/clock.ts';
import type { UpstreamHealthReport } from '../../bridge/restart/upstream-health.ts';
import { settledWithin } from '../../platform/deferred.ts';
import { messageOf } from '../../errors.ts';
import type { Readiness } from '../../http/directory.ts';

/** How long an end counts by itself, in milliseconds: so quickly a server that is started again does not answer. */
const failureLifeMs = 2000;

/** How long a sign of life counts when nothing is connected that could have shown another one, in milliseconds. */
const signLifeMs = 60_000;

/** An answer of the probe counts for so long, in milliseconds: whoever asks more often starts no more processes. */
const probeLifeMs = 5000;

/** As long is waited for a probe before the last known answer is given again, in milliseconds. */
const patienceMs = 5000;

type Verdict = Pick<Readiness, 'status' | 'reason'>;

export interface ReadinessCheckOptions {
  /** What is known from its connections. */
  readonly report: () => UpstreamHealthReport;
  /** Whether a connection that lives proves that the server does. Those of Streamable HTTP only remember a session. */
  readonly isLifeProof: boolean;
  /** Asks the server what it is; undefined where a second connection to it would do harm. */
  readonly probe: ((signal: AbortSignal) => Promise<unknown>) | undefined;
  readonly clock?: Clock;
}

/**
 * Tells whether a server that has started can be used: by what is known from its connections, and where those say no or
 * nothing, by asking it. One probe at a time.
 */
export function createReadinessCheck(options: ReadinessCheckOptions): () => Promise<Verdict> {
  const { report, isLifeProof, probe, clock = systemClock } = options;
  let lastKnown: Verdict = { status: 'ready' };
  let probing: Promise<Verdict> | undefined;

  async function ask(look: NonNullable<typeof probe>): Promise<Verdict> {
    try {
      await look(new AbortController().signal);
      lastKnown = { status: 'ready' };
    } catch (error) {
      lastKnown = { status: 'down', reason: messageOf(error) };
    }
    clock.after(probeLifeMs, () => (probing = undefined));
    return lastKnown;
  }

  return async () => {
    const { state, reason, lastHeardAt = 0, failedAt = 0 } = report();
    const signAge = clock.now() - lastHeardAt;
    const isAlive = isLifeProof && state === 'up';
    if (isAlive || (state !== 'down' && signAge < (isLifeProof ? signLifeMs : failureLifeMs)))
      return { status: 'ready' };
    if (state === 'down' && (probe === undefined || clock.now() - failedAt < failureLifeMs)) {
      return { status: 'down', ...(reason === undefined ? {} : { reason }) };
    }
    if (probe === undefined) return lastKnown;
    probing ??= ask(probe);
    await settledWithin(probing, patienceMs);
    return lastKnown;
  };
}
