import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { startProcessRun, type ProcessRunOptions, type StartingRun } from '../../external/process-run.ts';
import type { RunOptions } from '../../external/run.ts';
import { sshArguments } from './arguments.ts';
import { wordsForServer } from './destination.ts';
import { sshErrorIn } from './errors.ts';
import { openOwnFiles, type OwnFiles } from './own-files.ts';
import type { SshPlan } from './plan.ts';

export interface SshCallOptions extends Pick<
  ProcessRunOptions,
  'read' | 'isChatter' | 'saysReady' | 'settleMs' | 'knownUrls' | 'noUrlHints'
> {
  readonly plan: SshPlan;
  readonly run: RunOptions;
  /** Whether there was a tunnel before. */
  readonly isRestart: boolean;
  /** Undefined for no session. */
  readonly command: readonly string[] | undefined;
  readonly logLevel: 'INFO' | 'DEBUG1';
  /** Takes the place of a tunnel with the same token. */
  readonly isForced?: boolean;
}

/** How to get ssh, for whom it is missing. */
const installHint = 'install OpenSSH’s client, for example the package openssh-client';

/** Starts ssh as the plan says. What it says goes wrong is found here, what it is to say well by `read`. */
export async function callSsh(options: SshCallOptions): Promise<StartingRun> {
  const { plan, run, isRestart, command, logLevel, read } = options;
  const { machine, service, host, port, user, remote, pinggyToken } = plan;
  const { isAnonymous } = service;
  const files = await openOwnFiles({
    machine,
    needsKey: isAnonymous && plan.keyFile === undefined,
    onWarning: run.onWarning,
  });
  const keyFile = plan.keyFile ?? files.keyFile;
  const knownHostsFiles = [files.knownHostsFile, ...(isAnonymous ? [] : ['~/.ssh/known_hosts'])];
  const login = pinggyToken === undefined ? undefined : writeLogin(pinggyToken, options.isForced === true);
  const starting = startProcessRun({
    ...options,
    ...run,
    machine,
    program: 'ssh',
    installHint,
    file: 'ssh',
    args: sshArguments({
      host,
      port,
      user,
      remote,
      localPort: run.port,
      command,
      knownHostsFiles,
      keyFile,
      configFile: login?.file ?? (isAnonymous ? 'none' : undefined),
      address: machine.overrides.find(host, port ?? 22)?.[0],
      withAgent: !isAnonymous,
      isBatch: !service.asksForPassword,
      logLevel,
    }),
    // Of the agent, of Kerberos, and by which a password would be asked for.
    withheld: [...(isAnonymous ? ['SSH_AUTH_SOCK', 'KRB5CCNAME'] : []), 'DISPLAY', 'WAYLAND_DISPLAY'],
    variables: new Map([['SSH_ASKPASS_REQUIRE', 'never']]),
    secrets: pinggyToken === undefined ? [] : [pinggyToken],
    read(line, output) {
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
  const folder = mkdtempSync(path.join(tmpdir(), 'mcp-expose-pinggy-'));
  const file = path.join(folder, 'config');
  writeFileSync(file, `User ${token}${isForced ? '+force' : ''}\n`, { mode: 0o600 });
  return { file, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** The token once it was read, the rest when ssh has ended. */
async function removeInTime({ started }: StartingRun, files: OwnFiles, login: Login | undefined): Promise<void> {
  const run = await started.catch(() => undefined);
  login?.remove();
  await run?.ended;
  files.close();
}
