import { writeFileSync } from 'node:fs';
import path from 'node:path';

import type { StartingSession } from '../external/process-session.ts';
import type { ProgramCall } from '../external/tunnel-program.ts';
import { makeTemporaryFolder } from '../external/temporary-folder.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import { sshArguments } from './arguments.ts';
import { wordsForServer } from './destination.ts';
import { sshErrorIn } from './errors.ts';
import { openSshFiles, type SshFiles } from './ssh-files.ts';
import type { SshPlan } from './plan.ts';

export interface SshCallOptions extends Pick<
  ProgramCall,
  'read' | 'isChatter' | 'saysReady' | 'settleMs' | 'knownUrls' | 'noUrlHints'
> {
  readonly plan: SshPlan;
  readonly session: TunnelSessionOptions;
  /** Whether there was a tunnel before. */
  readonly isRestart: boolean;
  /** Undefined for no session. */
  readonly command: readonly string[] | undefined;
  readonly logLevel: 'INFO' | 'DEBUG1';
  /** Takes the place of a tunnel with the same token. */
  readonly isForced?: boolean;
}

/** Begins one life of a tunnel, which may not be the first. */
export type StartSshSession = (session: TunnelSessionOptions, isRestart: boolean) => Promise<TunnelSession>;

/** Starts ssh as the plan says. What it says goes wrong is found here, what it is to say well by `read`. */
export async function callSsh(options: SshCallOptions): Promise<StartingSession> {
  const { plan, session, isRestart, command, logLevel, read } = options;
  const { environment, service, host, port, user, remote, pinggyToken } = plan;
  const { isAnonymous } = service;
  const files = await openSshFiles({
    environment,
    keyFor: service.needsKey && plan.keyFile === undefined ? service.name : undefined,
    onWarning: session.onWarning,
  });
  const keyFile = plan.keyFile ?? files.keyFile;
  const knownHostsFiles = [files.knownHostsFile, ...(isAnonymous ? [] : ['~/.ssh/known_hosts'])];
  const login = pinggyToken === undefined ? undefined : writeLogin(pinggyToken, options.isForced === true);
  const starting = plan.program.start(session, {
    ...options,
    args: sshArguments({
      host,
      port,
      user,
      remote,
      localPort: session.port,
      command,
      knownHostsFiles,
      keyFile,
      configFile: login?.file ?? (isAnonymous ? 'none' : undefined),
      address: environment.overrides.find(host, port ?? 22)?.[0],
      withAgent: !isAnonymous,
      withKeys: !isAnonymous || keyFile !== undefined,
      isBatch: !service.asksForPassword,
      logLevel,
    }),
    // Of the agent, of Kerberos, and by which a password would be asked for.
    withheld: [...(isAnonymous ? ['SSH_AUTH_SOCK', 'KRB5CCNAME'] : []), 'DISPLAY', 'WAYLAND_DISPLAY'],
    variables: new Map([['SSH_ASKPASS_REQUIRE', 'never']]),
    secrets: pinggyToken === undefined ? [] : [pinggyToken],
    read(line, output) {
      // Its configuration is what ssh reads first of all, once: when the server speaks, that is long over. Not at what stands
      // on its standard error, where a system may complain of a library before ssh itself begins.
      if (output === 'stdout') login?.remove();
      const error =
        output === 'stderr'
          ? sshErrorIn(line, { server: wordsForServer(plan), remote, knownHostsFiles, isAnonymous, isRestart })
          : undefined;
      return error === undefined ? read(line, output) : { kind: 'failure', error };
    },
  });
  void removeInTime(starting, files, login);
  return starting;
}

interface Login {
  readonly file: string;
  remove(): void;
}

/** A configuration that names the user, whose name is a token: arguments can be read by everybody on this machine. */
function writeLogin(token: string, isForced: boolean): Login {
  const folder = makeTemporaryFolder('pinggy');
  const file = path.join(folder.path, 'config');
  writeFileSync(file, `User ${token}${isForced ? '+force' : ''}\n`, { mode: 0o600 });
  return { file, remove: folder.remove };
}

/** The token also where ssh has never said anything, the rest when it has ended. */
async function removeInTime({ started }: StartingSession, files: SshFiles, login: Login | undefined): Promise<void> {
  const session = await started.catch(() => undefined);
  login?.remove();
  await session?.ended;
  files.close();
}
