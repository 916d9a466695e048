import { systemClock, type Clock } from '../clock.ts';
import type { UpstreamHealth } from '../bridge/supervision/upstream-health.ts';
import { messageOf } from '../errors.ts';
import type { Readiness } from '../http/directory.ts';

/** How long an end counts by itself, in milliseconds: so quickly a server that is started again does not answer. */
const failureLifeMs = 2000;

/** How long a sign of life counts after the last connection was closed, in milliseconds. */
const signLifeMs = 30_000;

/** An answer of the probe counts for so long, in milliseconds: whoever asks more often starts no more processes. */
const probeLifeMs = 5000;

/** The longest that a probe may take, in milliseconds: whoever asks for readiness does not wait for `npx`. */
const probeTimeoutMs = 10_000;

export interface ReadinessCheckOptions {
  readonly health: UpstreamHealth;
  /** Whether a connection that lives proves that the server does. Those of Streamable HTTP only remember a session. */
  readonly isLifeProof: boolean;
  /** Asks the server what it is. */
  readonly clock?: Clock;
  readonly probe: (signal: AbortSignal) => Promise<unknown>;
}

/**
 * Tells whether a server can be used: by what is known from its connections, and where those say no or nothing, by asking
 * it. One probe at a time.
 */
export function createReadinessCheck({
  health,
  isLifeProof,
  probe,
  clock = systemClock,
}: ReadinessCheckOptions): () => Promise<Pick<Readiness, 'status' | 'reason'>> {
  let probing: Promise<Pick<Readiness, 'status' | 'reason'>> | undefined;

  async function ask(): Promise<Pick<Readiness, 'status' | 'reason'>> {
    try {
      await probe(AbortSignal.timeout(probeTimeoutMs));
      return { status: 'ready' };
    } catch (error) {
      return { status: 'down', reason: messageOf(error) };
    }
  }

  return () => {
    const { state, reason, children, lastHeardAt = 0, failedAt = 0 } = health.report();
    const hasConnections = state === 'up' || (state === 'unknown' && children > 0);
    const isHeard = state !== 'down' && clock.now() - lastHeardAt < (isLifeProof ? signLifeMs : failureLifeMs);
    if (isHeard || (isLifeProof && hasConnections)) return Promise.resolve({ status: 'ready' });
    if (state === 'down' && clock.now() - failedAt < failureLifeMs) {
      return Promise.resolve({ status: 'down', ...(reason === undefined ? {} : { reason }) });
    }
    if (probing === undefined) {
      probing = ask();
      void probing.then(() => clock.after(probeLifeMs, () => (probing = undefined)));
    }
    return probing;
  };
}
