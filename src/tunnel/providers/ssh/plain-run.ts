import type { Run, RunOptions } from '../../external/run.ts';
import { outputOf } from '../../external/program-output.ts';
import { destinationArguments } from './arguments.ts';
import { bracketed } from './destination.ts';
import type { SshPlan } from './plan.ts';
import { betterUrls, isDebugLine, readPlainLine } from './readers.ts';
import { callSsh, type StartSshRun } from './ssh-call.ts';

/**
 * Lives of a tunnel through a server that has no dialect. A URL that it says is taken; otherwise the server itself is where
 * the tunnel can be reached, at the port on which it listens. Accounts that may only forward end every session at once: to
 * those the next call is without one.
 */
export function createPlainStart(plan: SshPlan): StartSshRun {
  const { publicUrl, service } = plan;
  let mayHaveSession = publicUrl === undefined;

  async function attempt(run: RunOptions, isRestart: boolean, hasSession: boolean): Promise<Run> {
    const fixedPort = Number(/\d+$/.exec(plan.remote)?.[0] ?? 0);
    let said: readonly string[] = [];
    let isForwarded = false;
    let callOffPatience: (() => void) | undefined;

    const host = publicUrl === undefined ? await hostFor(plan, run.signal) : '';

    /** It listens: from now on a URL is enough, and while none is said, it is that of the server. */
    function forwarded(port: number): void {
      if (isForwarded || port === 0) return;
      isForwarded = true;
      starting.take({ kind: 'ready' });
      if (publicUrl !== undefined) return;
      const url = `http://${bracketed(host)}${port === 80 ? '' : `:${port}`}`;
      callOffPatience = plan.machine.clock.after(hasSession ? service.settleMs : 0, () => {
        if (said.length === 0) starting.take({ kind: 'urls', urls: [url] });
      });
    }

    const starting = await callSsh({
      plan,
      run,
      isRestart,
      command: hasSession ? service.command : undefined,
      logLevel: 'DEBUG1',
      isChatter: isDebugLine,
      saysReady: true,
      ...(publicUrl === undefined ? {} : { knownUrls: [publicUrl] }),
      read(line, output) {
        const finding = readPlainLine(line, output);
        switch (finding?.kind) {
          case 'forwarded':
            forwarded(finding.port ?? fixedPort);
            return undefined;
          case 'session over':
            if (isForwarded && said.length === 0) mayHaveSession = false;
            return undefined;
          case 'urls':
            if (publicUrl !== undefined) return undefined;
            said = betterUrls(said, finding.urls);
            return { kind: 'urls', urls: said };
          default:
            return finding;
        }
      },
    });
    try {
      return await starting.started;
    } finally {
      callOffPatience?.();
    }
  }

  return async (run, isRestart) => {
    const hasSession = mayHaveSession;
    try {
      return await attempt(run, isRestart, hasSession);
    } catch (error) {
      const hasLostSession = hasSession && !mayHaveSession;
      if (!hasLostSession || run.signal.aborted) throw error;
      return await attempt(run, isRestart, false);
    }
  };
}

/** What the world calls the server, for which the user's configuration of ssh may have a name of its own. */
async function hostFor(plan: SshPlan, signal: AbortSignal): Promise<string> {
  const asked = await outputOf(plan.machine, 'ssh', ['-G', ...destinationArguments(plan)], { signal });
  return /^hostname (\S+)$/m.exec(asked?.stdout ?? '')?.[1] ?? plan.host;
}
