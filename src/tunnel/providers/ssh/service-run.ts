import { ExposeError } from '../../../errors.ts';
import type { Finding } from '../../external/finding.ts';
import type { Run, RunOptions } from '../../external/run.ts';
import type { SshPlan } from './plan.ts';
import { betterUrls, isPinggyTaken } from './readers.ts';
import type { SshService } from './services.ts';
import { callSsh } from './ssh-call.ts';

/** A life of a tunnel of a service that says in its own dialect what its URL is. */
export async function startServiceRun(plan: SshPlan, run: RunOptions, isRestart: boolean): Promise<Run> {
  const first = await attempt(plan, run, isRestart, false);
  if (first !== 'taken') return first;
  run.onWarning('the token had a tunnel already, which was ended');
  const second = await attempt(plan, run, isRestart, true);
  if (second !== 'taken') return second;
  throw new ExposeError('tunnel_unavailable', 'Pinggy does not let go of the tunnel that the token has already', {
    hints: ['end the other tunnel of this token'],
  });
}

async function attempt(plan: SshPlan, run: RunOptions, isRestart: boolean, isForced: boolean): Promise<Run | 'taken'> {
  const { service, name, publicUrl, pinggyToken } = plan;
  let urls: readonly string[] = [];
  let isTaken = false;

  function take(finding: Finding | undefined): Finding | undefined {
    if (finding?.kind !== 'urls') return finding;
    // What the user says of it stands; that the service has a URL means that it is up.
    if (publicUrl !== undefined) return { kind: 'ready' };
    urls = betterUrls(urls, finding.urls);
    const refused = name === undefined ? undefined : otherName(service, name, urls, isRestart);
    return refused === undefined ? { kind: 'urls', urls } : { kind: 'failure', error: refused };
  }

  const starting = await callSsh({
    plan,
    run,
    isRestart,
    isForced,
    command: service.command,
    logLevel: 'INFO',
    settleMs: service.settleMs,
    noUrlHints: ['say what the world calls it with --public-url'],
    ...(publicUrl === undefined ? {} : { knownUrls: [publicUrl], saysReady: true }),
    read(line) {
      if (pinggyToken !== undefined && !isForced && isPinggyTaken(line)) {
        isTaken = true;
        return { kind: 'failure', error: new ExposeError('tunnel_rejected', 'the token has a tunnel already') };
      }
      return take(service.read?.(line));
    },
  });
  try {
    return await starting.started;
  } catch (error) {
    if (isTaken && !run.signal.aborted) return 'taken';
    throw error;
  }
}

/** Services give out another name, rather than none, where the wished one is taken or not theirs to give. */
function otherName(
  { name: service }: SshService,
  wished: string,
  [url = '']: readonly string[],
  isRestart: boolean,
): ExposeError | undefined {
  const { hostname } = new URL(url);
  if (hostname.startsWith(`${wished.toLowerCase()}.`)) return undefined;
  // Our own connection, when it has died, keeps the name for a while.
  return new ExposeError(
    isRestart ? 'tunnel_unavailable' : 'tunnel_rejected',
    `${service} did not give the name ${wished}, but ${hostname}`,
    {
      hints: [
        service === 'serveo'
          ? 'it gives names to registered keys: see https://serveo.net, and show yours with --ssh-key'
          : 'somebody else has it, or the server gives no names: choose another --name, or leave it away',
      ],
    },
  );
}
