import { ExposeError } from '../../../errors.ts';
import { failure, type OutputEvent } from '../external/output-event.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import type { SshPlan } from './plan.ts';
import { betterUrls, isPinggyTaken } from './readers.ts';
import type { SshService } from './services.ts';
import { callSsh, type StartSshSession } from './ssh-call.ts';

/**
 * How long a token may already have a tunnel because the server has not noticed the end of our own connection, in milliseconds;
 * after that, the tunnel is another run's.
 */
const ownTunnelMs = 120_000;

/**
 * Sessions of a tunnel of a service that prints its URL in a known dialect. When Pinggy's token has a tunnel already, the first
 * session replaces it, since it may be that of a killed run; a later one does not, otherwise two runs with one token would end
 * each other's tunnels for ever.
 */
export function createSshServiceStart(plan: SshPlan): StartSshSession {
  const { clock } = plan.environment;
  let takenSince: number | undefined;

  return async (session, isRestart) => {
    const before = takenSince;
    takenSince = undefined;
    const first = await attempt(plan, session, isRestart, false);
    if (first !== 'taken') return first;
    if (isRestart) {
      const now = clock.now();
      takenSince = before ?? now;
      throw takenMeanwhile(now - takenSince >= ownTunnelMs);
    }
    session.onWarning('the token had a tunnel already, which was ended');
    const second = await attempt(plan, session, isRestart, true);
    if (second !== 'taken') return second;
    throw new ExposeError('tunnel_unavailable', 'Pinggy does not let go of the tunnel that the token has already', {
      hints: ['end the other tunnel of this token'],
    });
  };
}

function takenMeanwhile(isOfAnother: boolean): ExposeError {
  const hints = ['end the other run, or give each of the two a token of its own'];
  return isOfAnother
    ? new ExposeError('tunnel_rejected', 'another run has taken the tunnel of this Pinggy token', { hints })
    : new ExposeError('tunnel_unavailable', 'the Pinggy token has a tunnel already: a lost one, or another run’s', {
        hints,
      });
}

/** Resolves with `taken` when Pinggy's token has a tunnel already. */
async function attempt(
  plan: SshPlan,
  session: TunnelSessionOptions,
  isRestart: boolean,
  isForced: boolean,
): Promise<TunnelSession | 'taken'> {
  const { service, name, publicUrl, pinggyToken } = plan;
  let urls: readonly string[] = [];
  let isTaken = false;

  function take(event: OutputEvent | undefined): OutputEvent | undefined {
    if (event?.kind !== 'urls') return event;
    // The user's URL takes precedence; a URL of the service shows that the tunnel is up.
    if (publicUrl !== undefined) return { kind: 'ready' };
    urls = betterUrls(urls, event.urls);
    const refused = name === undefined ? undefined : otherName(service, name, urls, isRestart);
    return refused === undefined ? { kind: 'urls', urls } : { kind: 'failure', error: refused };
  }

  const starting = await callSsh({
    plan,
    session,
    isRestart,
    isForced,
    command: service.command,
    logLevel: 'INFO',
    settleMs: service.settleMs,
    noUrlHints: ['give the public URL of the tunnel with --public-url'],
    ...(publicUrl === undefined ? {} : { knownUrls: [publicUrl], saysReady: true }),
    read(line) {
      if (pinggyToken !== undefined && isPinggyTaken(line)) {
        isTaken = true;
        return failure('tunnel_unavailable', 'the token has a tunnel already');
      }
      return take(service.read?.(line));
    },
  });
  try {
    return await starting.started;
  } catch (error) {
    if (isTaken && !session.signal.aborted) return 'taken';
    throw error;
  }
}

/** Services assign another name when the requested one is taken or not available. */
function otherName(
  { name: service }: SshService,
  wished: string,
  [url = '']: readonly string[],
  isRestart: boolean,
): ExposeError | undefined {
  const { hostname } = new URL(url);
  if (hostname.startsWith(`${wished.toLowerCase()}.`)) return undefined;
  // Our own dead connection keeps the name for a while.
  return new ExposeError(
    isRestart ? 'tunnel_unavailable' : 'tunnel_rejected',
    `${service} did not give the name ${wished}, but ${hostname}`,
    {
      hints: [
        service === 'serveo'
          ? 'it gives names to registered keys: see https://serveo.net, and show yours with --ssh-key'
          : 'it is taken, or the server gives no names: choose another --name, or omit it',
      ],
    },
  );
}
