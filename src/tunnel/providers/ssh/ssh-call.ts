import { writeFileSync } from 'node:fs';
import path from 'node:path';

import type { ProcessSession } from '../external/process-session.ts';
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
  readonly isRestart: boolean;
  /** Undefined for no session. */
  readonly command: readonly string[] | undefined;
  readonly logLevel: 'INFO' | 'DEBUG1';
  /** Replaces the tunnel that the same token has. */
  readonly isForced?: boolean;
}

export type StartSshSession = (session: TunnelSessionOptions, isRestart: boolean) => Promise<TunnelSession>;

/** Starts ssh as planned. Errors of ssh are read here; what the server prints is read by `read`. */
export async function callSsh(options: SshCallOptions): Promise<ProcessSession> {
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
    // Those of the agent and of Kerberos, and those by which ssh would prompt for a password.
    withheld: [...(isAnonymous ? ['SSH_AUTH_SOCK', 'KRB5CCNAME'] : []), 'DISPLAY', 'WAYLAND_DISPLAY'],
    variables: new Map([['SSH_ASKPASS_REQUIRE', 'never']]),
    secrets: pinggyToken === undefined ? [] : [pinggyToken],
    read(line, output) {
      // ssh reads its configuration once, before it connects, so the server's output shows that it is no longer needed. Its
      // standard error does not: the system may print a warning there before ssh has started.
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

/** A configuration file for the user name, which is a token: arguments are visible to everybody on this machine. */
function writeLogin(token: string, isForced: boolean): Login {
  const folder = makeTemporaryFolder('pinggy');
  const file = path.join(folder.path, 'config');
  writeFileSync(file, `User ${token}${isForced ? '+force' : ''}\n`, { mode: 0o600 });
  return { file, remove: folder.remove };
}

/** Removes the token even when ssh has printed nothing, and the rest when it has ended. */
async function removeInTime({ started }: ProcessSession, files: SshFiles, login: Login | undefined): Promise<void> {
  const session = await started.catch(() => undefined);
  login?.remove();
  await session?.ended;
  files.close();
}
