import { randomBytes } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';

import { createAddressList } from '../auth/address-list.ts';
import type { StoredToken } from '../auth/token-store.ts';
import { createOriginMatcher } from '../auth/origins.ts';
import { ExposeError } from '../errors.ts';
import { resolveBindAddress, type BindAddress } from '../http/addresses.ts';
import { globsIn, probableWord } from '../policy/approval-rule.ts';
import type { Policy } from '../policy/policy.ts';
import { ToolGlobs } from '../policy/tool-globs.ts';
import type { StateFile } from '../platform/state-file.ts';
import { createWatchdog, type Watchdog } from '../platform/process/watchdog.ts';
import type { RunApprovals } from './approvals.ts';
import { checkAddresses, checkExposure, checkReplica, choosePolicy, chooseToken, guardedTunnel } from './access.ts';
import type { Audit } from './audit.ts';
import type { RunIdentity } from './identity.ts';
import type { SignIn } from './oauth.ts';
import type { AccessOptions, ExposeEvent, ExposeOptions, TunnelOptions } from './options.ts';
import { readServerSources, type ServerSources } from './servers/server-sources.ts';
import { shareIdentity } from './servers/share-identity.ts';
import type { PlanContext, TunnelPlan } from './tunnel-plan.ts';

/** Only the processes of one key must not get the same id. */
const replicaIdBytes = 8;

/**
 * Checks the options, reads the servers and chooses the tunnel, before anything is started.
 * @throws ExposeError with any code of `ErrorCode` that concerns options, or the signal's reason.
 */
export async function prepare(options: ExposeOptions, signal: AbortSignal): Promise<Prepared> {
  const endings: (() => unknown)[] = [];
  try {
    return await prepareParts(options, signal, endings);
  } catch (error) {
    await endAll(endings);
    throw error;
  }
}

/** Ends parts in the reverse order, each after the parts that use it, even if these fail to end. Never rejects. */
export async function endAll(endings: readonly (() => unknown)[]): Promise<void> {
  for (const ending of endings.toReversed()) {
    // oxlint-disable-next-line no-await-in-loop -- in this order
    await Promise.allSettled([(async () => ending())()]);
  }
}

/** @param endings gets how to end each part, to be called in reverse. */
async function prepareParts(
  options: ExposeOptions,
  signal: AbortSignal,
  endings: (() => unknown)[],
): Promise<Prepared> {
  const { server, access = {}, listen = {} } = options;
  const { onEvent = () => {} } = options.output ?? {};
  const warn = (message: string): void => onEvent({ type: 'warning', message });
  checkFiles(options);
  const allowsOrigin = createOriginMatcher(access.allowOrigins ?? []);
  const admitsAddress = access.allowIps && createAddressList(access.allowIps);
  const sources = await readServerSources(server, warn);
  const bind = await resolveBindAddress(listen.host ?? '127.0.0.1');
  const watchdog = createWatchdog();
  endings.push(() => watchdog.close());
  const tunnel = guardedTunnel(options, warn);
  checkReplica(options);
  // Without a dot, which ends it in ids.
  const replicaId = tunnel.replica === true ? randomBytes(replicaIdBytes).toString('base64url') : undefined;
  const hasFront = tunnel.kind === 'none' && tunnel.publicUrl !== undefined;
  checkAddresses(options, hasFront);
  const plan = await choosePlan(tunnel, {
    watchdog,
    share: shareIdentity(server),
    replicaId,
    needsAddress: admitsAddress !== undefined,
    onAttempt: (attempt) => onEvent({ type: 'attempt', ...attempt }),
  });
  checkExposure(options, bind, plan, hasFront);
  const requiresToken = access.token !== false;
  const tokenFile =
    access.stateFile !== undefined && requiresToken
      ? await (await import('./token-file.ts')).openTokenFile(access.stateFile, warn)
      : undefined;
  endings.push(() => tokenFile?.close());
  const token = await chooseToken(access, tokenFile, signal, warn);
  const policy = choosePolicy(access, warn);
  const CreateSignIn = access.oauth === true ? (await import('./oauth.ts')).SignIn : undefined;
  const identity =
    access.oauth === true && access.oidcIssuer !== undefined
      ? await (await import('./identity.ts')).openIdentity(access.oidcIssuer, access, signal)
      : undefined;
  endings.push(() => identity?.provider.close());
  const { auditFile, auditBodies = false } = options.output ?? {};
  const audit = auditFile === undefined ? undefined : await (await import('./audit.ts')).openAudit(auditFile, warn);
  endings.push(() => audit?.close());
  const hasBodies = audit !== undefined && auditBodies;
  const onAuditedEvent =
    audit === undefined
      ? onEvent
      : (event: ExposeEvent): void => {
          audit.event(event);
          onEvent(event);
        };
  const approvals = await chooseApprovals(access, watchdog, onAuditedEvent);
  endings.push(() => approvals?.close());
  return {
    options,
    onEvent: onAuditedEvent,
    allowsOrigin,
    admitsAddress,
    sources,
    bind,
    watchdog,
    plan,
    replicaId,
    hasFront,
    requiresToken,
    tokenFile,
    token,
    policy,
    toolGlobs: new ToolGlobs({
      '--allow-tool': access.allowTools ?? [],
      '--deny-tool': access.denyTools ?? [],
      '--approve': globsIn(access.approve ?? []),
    }),
    approvals,
    CreateSignIn,
    identity,
    audit,
    readBody: hasBodies ? (await import('../inspect/redact-body.ts')).redactBody : undefined,
    endings,
  };
}

/** @throws ExposeError `usage` if one file would be used for two things. */
function checkFiles({ access = {}, output = {} }: ExposeOptions): void {
  const { stateFile } = access;
  const { auditFile } = output;
  if (stateFile === undefined || auditFile === undefined || locationOf(stateFile) !== locationOf(auditFile)) return;
  throw new ExposeError('usage', `--state and --audit are the same file, ${stateFile}`, {
    hints: ['choose another file for one of the two'],
  });
}

/** The same for all names of a file that exists, or of one in a folder that exists. */
function locationOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    const folder = path.dirname(path.resolve(file));
    return existsSync(folder) ? path.join(realpathSync(folder), path.basename(file)) : path.resolve(file);
  }
}

/** What a run is made of. */
export interface Prepared {
  readonly options: ExposeOptions;
  readonly onEvent: (event: ExposeEvent) => void;
  readonly allowsOrigin: (origin: string) => boolean;
  /** Undefined if clients of any address are. */
  readonly admitsAddress: ((address: string | undefined) => boolean) | undefined;
  readonly sources: ServerSources;
  readonly bind: BindAddress;
  readonly watchdog: Watchdog;
  readonly plan: TunnelPlan;
  readonly replicaId: string | undefined;
  readonly hasFront: boolean;
  readonly requiresToken: boolean;
  /** Keeps the tokens for the next run. */
  readonly tokenFile: StateFile<StoredToken> | undefined;
  /** Undefined if none is required, or if it is in the file. */
  readonly token: string | undefined;
  /** Loaded with OAuth only. */
  readonly CreateSignIn: typeof SignIn | undefined;
  /** Where users sign in, instead of pairing. */
  readonly identity: RunIdentity | undefined;
  readonly policy: Policy;
  readonly toolGlobs: ToolGlobs;
  /** Undefined if no call needs approval. */
  readonly approvals: RunApprovals | undefined;
  readonly audit: Audit | undefined;
  /** Makes what the audit file has of arguments and results; undefined if that is nothing. */
  readonly readBody: ((body: unknown) => unknown) | undefined;
  /** How to end its parts, to be called in reverse. */
  readonly endings: readonly (() => unknown)[];
}

/** @throws ExposeError `usage` for a mistyped word, and for a command that cannot be used. */
async function chooseApprovals(
  { approve = [], onApproval, approveCommand, approveTimeoutMs }: AccessOptions,
  watchdog: Watchdog,
  onEvent: (event: ExposeEvent) => void,
): Promise<RunApprovals | undefined> {
  if (approve.length === 0) return undefined;
  for (const what of approve) {
    const word = probableWord(what);
    if (word === undefined) continue;
    throw new ExposeError('usage', `--approve ${what} is not ${word}, and would be the name of a tool`, {
      hints: [`did you mean --approve ${word}?`],
    });
  }
  const onWarning = (message: string): void => onEvent({ type: 'warning', message });
  const onStderr = (line: string): void => onEvent({ type: 'stderr', line, server: 'approve-command' });
  const command =
    approveCommand === undefined
      ? undefined
      : new (await import('./approval-command.ts')).ApprovalCommand({ command: approveCommand, watchdog, onStderr });
  if (command !== undefined) await checkInstalled(command.file);
  const decide = command?.decide ?? onApproval;
  if (decide === undefined)
    onWarning('calls that need approval are refused: there is no terminal to ask on, and no --approve-command');
  return new (await import('./approvals.ts')).RunApprovals({
    approve,
    decide,
    endDeciding: command && (() => command.close()),
    timeoutMs: approveTimeoutMs,
    onDecided: (report) => onEvent({ type: 'approval', ...report }),
    onWarning,
  });
}

/** @throws ExposeError `usage` for a program that is not there. */
async function checkInstalled(program: string): Promise<void> {
  const { isInstalled } = await import('../tunnel/host-environment.ts');
  if (await isInstalled({ env: process.env }, program)) return;
  throw new ExposeError('usage', `the program of --approve-command was not found: ${program}`, {
    hints: ['give its path, or the name of an executable file in a folder of PATH'],
  });
}

/** Imports only what the choice needs. */
async function choosePlan(tunnel: TunnelOptions, context: PlanContext): Promise<TunnelPlan> {
  if (tunnel.kind === 'none' && tunnel.publicUrl === undefined)
    return { kinds: [], isAuto: false, open: async () => undefined };
  const { planTunnel } = await import('./tunnel-plan.ts');
  return await planTunnel(tunnel, tunnel.kind ?? 'auto', context);
}
