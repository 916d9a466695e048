import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import { inUrl } from '../../../platform/net/addresses.ts';
import { outputOf } from '../external/program-output.ts';
import { destinationArguments } from './arguments.ts';
import type { SshPlan } from './plan.ts';
import { betterUrls, isDebugLine, readGenericSshLine } from './readers.ts';
import { callSsh, type StartSshSession } from './ssh-call.ts';

/**
 * Sessions of a tunnel through a server without a known dialect. A URL in its output is used; otherwise the server itself with
 * the port on which it listens. Accounts that may only forward end every session at once: the next attempt for them runs
 * without a session.
 */
export function createGenericSshStart(plan: SshPlan): StartSshSession {
  const { publicUrl, service } = plan;
  let mayHaveSession = publicUrl === undefined;

  async function attempt(
    session: TunnelSessionOptions,
    isRestart: boolean,
    hasSession: boolean,
  ): Promise<TunnelSession> {
    const fixedPort = Number(/\d+$/.exec(plan.remote)?.[0] ?? 0);
    let said: readonly string[] = [];
    let isForwarded = false;
    let cancelTimeout: (() => void) | undefined;

    const host = publicUrl === undefined ? await hostFor(plan, session.signal) : '';

    /** The server listens: from now on a URL is enough, and without one in the output it is that of the server. */
    function forwarded(port: number): void {
      if (isForwarded || port === 0) return;
      isForwarded = true;
      starting.take({ kind: 'ready' });
      if (publicUrl !== undefined) return;
      const url = `http://${inUrl(host)}${port === 80 ? '' : `:${port}`}`;
      cancelTimeout = plan.environment.clock.after(hasSession ? service.settleMs : 0, () => {
        if (said.length === 0) starting.take({ kind: 'urls', urls: [url] });
      });
    }

    const starting = await callSsh({
      plan,
      session,
      isRestart,
      command: hasSession ? service.command : undefined,
      logLevel: 'DEBUG1',
      isChatter: isDebugLine,
      saysReady: true,
      ...(publicUrl === undefined ? {} : { knownUrls: [publicUrl] }),
      read(line, output) {
        const event = readGenericSshLine(line, output);
        switch (event?.kind) {
          case 'forwarded':
            forwarded(event.port ?? fixedPort);
            return undefined;
          case 'session over':
            if (isForwarded && said.length === 0) mayHaveSession = false;
            return undefined;
          case 'urls':
            if (publicUrl !== undefined) return undefined;
            said = betterUrls(said, event.urls);
            return { kind: 'urls', urls: said };
          default:
            return event;
        }
      },
    });
    try {
      return await starting.started;
    } finally {
      cancelTimeout?.();
    }
  }

  return async (session, isRestart) => {
    const hasSession = mayHaveSession;
    try {
      return await attempt(session, isRestart, hasSession);
    } catch (error) {
      const hasLostSession = hasSession && !mayHaveSession;
      if (!hasLostSession || session.signal.aborted) throw error;
      return await attempt(session, isRestart, false);
    }
  };
}

/** The real name of the server, which may be an alias in the user's ssh configuration. */
async function hostFor(plan: SshPlan, signal: AbortSignal): Promise<string> {
  const asked = await outputOf(plan.environment, 'ssh', ['-G', ...destinationArguments(plan)], { signal });
  return /^hostname (\S+)$/m.exec(asked?.stdout ?? '')?.[1] ?? plan.host;
}
