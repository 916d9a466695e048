import { closeSync, openSync } from 'node:fs';

import { ExposeError, messageOfServer } from '../errors.ts';
import { expose } from '../expose/expose.ts';
import { optionEntries, partsOf } from '../expose/option-table.ts';
import type {
  Confirm,
  AccessOptions,
  Exposed,
  ExposeEvent,
  ExposeOptions,
  OptionGroup,
  ServerReport,
} from '../expose/options.ts';
import type { Command } from './commander.ts';
import type { CommandContext } from './context.ts';
import { unquotedCommandHints } from './misplaced-words.ts';
import { approvalWords } from './approval-words.ts';
import { oauthWords } from './oauth-events.ts';
import { alertWords } from './alert-words.ts';
import type { Output } from './output.ts';
import { rejectIneffectiveOptions } from './ineffective-options.ts';
import { attributeOf } from './program.ts';
import { countOf, summaryLines, whatIsExposed, withoutPublicUrl } from './summary.ts';

/** Exposes a server until a signal ends the process. */
export async function runExpose(command: Command, context: CommandContext): Promise<void> {
  const { output, ending } = context;
  const startedAt = performance.now();
  const options = optionsOf(command, context.commandLine.serverCommand);
  rejectIneffectiveOptions(command, options);
  requireServer(options);
  const token = takeToken(takeClientSecret(options.access ?? {}));
  const rotates = options.output?.auditFile !== undefined && !hasTerminal();
  if (rotates) context.onHangup = () => {};
  void output.progress('starting');
  const exposed = await expose({
    ...options,
    access: {
      ...token.access,
      control: true,
      confirm: await confirmFor(token.access, output),
      onApproval: await onApprovalFor(token.access, output),
    },
    output: { ...options.output, onEvent: (event) => showEvent(output, event) },
    signal: ending,
  }).catch((error: unknown) => {
    throw withCorrection(error, context);
  });
  context.onHurry = () => void exposed.close({ drainMs: 0 });
  context.onForcedExit = exposed.kill;
  if (rotates) context.onHangup = exposed.reopenAudit;
  output.endProgress();
  const isStored = exposed.token === null && exposed.tokens !== undefined;
  const tokenOrigin = token.origin ?? (isStored ? options.access?.stateFile : undefined);
  showReady(output, exposed, { tokenOrigin, startedInMs: performance.now() - startedAt });

  await context.untilEnding();
  if (output.interactive) output.note('stopping: running calls get up to 10 s; press Ctrl+C again to stop at once');
  await exposed.close();
}

/**
 * Whether SIGHUP can come from a terminal that is closed, also with input and output that are redirected. To a program without
 * a terminal, it says that log files were moved.
 */
function hasTerminal(): boolean {
  if (process.platform === 'win32') return true;
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/** Corrects a whole command that was quoted as one word after `--`. */
function withCorrection(error: unknown, { commandLine }: CommandContext): unknown {
  if (!(error instanceof ExposeError && error.message.includes('one word with blanks'))) return error;
  const hints = unquotedCommandHints(commandLine);
  return hints.length === 0 ? error : new ExposeError(error.code, error.message, { hints, cause: error });
}

/**
 * The options of `expose()` from a command line, to which environment variables have been applied.
 * @throws ExposeError `usage` if the server is specified twice.
 */
export function optionsOf(command: Command, serverCommand: readonly string[]): ExposeOptions {
  const flags = command.opts<Readonly<Record<string, unknown>>>();
  const groups: Record<OptionGroup, Record<string, unknown>> = {
    server: {},
    access: {},
    tunnel: {},
    listen: {},
    output: { reportRequests: flags['json'] === true && flags['verbose'] === true },
  };
  for (const [key, spec] of optionEntries()) {
    const [group, name] = partsOf(key);
    groups[group][name] = flags[attributeOf(spec)];
  }
  // Set by --no-auth.
  groups.access['token'] = flags['auth'] === false ? false : undefined;
  const [file, ...args] = serverCommand;
  if (file !== undefined && groups.server['stdio'] !== undefined) {
    throw new ExposeError('usage', 'the server is specified twice, with --stdio and after --', {
      hints: ['omit one of the two'],
    });
  }
  if (file !== undefined) groups.server['stdio'] = [file, ...args];
  return groups;
}

function requireServer({ server: { stdio, http, sse, config } }: ExposeOptions): void {
  if ([stdio, http, sse, config].some((way) => way !== undefined)) return;
  throw new ExposeError('usage', 'no server specified', {
    hints: [
      'give the command that starts it: mcp-expose --stdio "npx -y @modelcontextprotocol/server-filesystem ."',
      'mcp-expose --help lists the other options',
    ],
  });
}

interface TokenChoice {
  readonly access: AccessOptions;
  /** Where the user's own token comes from, as text; undefined for a new one. */
  readonly origin: string | undefined;
}

/** Removes the token from the environment, so that child processes do not get it. */
function takeToken(access: AccessOptions): TokenChoice {
  const fromEnvironment = process.env['MCP_EXPOSE_TOKEN'];
  delete process.env['MCP_EXPOSE_TOKEN'];
  const { tokenFile } = access;
  const origin = tokenFile === undefined ? (fromEnvironment === undefined ? undefined : 'MCP_EXPOSE_TOKEN') : tokenFile;
  if (access.token !== false) {
    return { access: tokenFile === undefined ? { ...access, token: fromEnvironment } : access, origin };
  }
  if (origin === undefined) return { access, origin };
  const given = tokenFile === undefined ? origin : `--token-file ${tokenFile}`;
  throw new ExposeError('usage', `${given} sets a token, but --no-auth requires none`, {
    hints: ['omit one of the two'],
  });
}

/** Removes the client secret from the environment, too. */
function takeClientSecret(access: AccessOptions): AccessOptions {
  const fromEnvironment = process.env['MCP_EXPOSE_OIDC_CLIENT_SECRET'];
  delete process.env['MCP_EXPOSE_OIDC_CLIENT_SECRET'];
  return fromEnvironment === undefined || fromEnvironment === ''
    ? access
    : { ...access, oidcClientSecret: fromEnvironment };
}

interface Start {
  readonly tokenOrigin: string | undefined;
  readonly startedInMs: number;
}

function showReady(output: Output, exposed: Exposed, start: Start): void {
  const { publicUrl, localUrl, token, notice, servers } = exposed;
  const newToken = start.tokenOrigin === undefined ? token : null;
  if (output.json) {
    output.event({
      event: 'ready',
      publicUrl,
      localUrl,
      token: newToken,
      ...(exposed.pairingCode === undefined ? {} : { pairingCode: exposed.pairingCode }),
      ...(exposed.identityProvider === undefined ? {} : { identityProvider: exposed.identityProvider }),
      tunnel: tunnelEvent(exposed),
      servers: servers.map(serverEvent),
    });
    if (notice !== undefined) output.warning(notice);
    return;
  }
  if (output.interactive) {
    for (const line of summaryLines({ exposed, ...start })) output.result(...line);
    return;
  }
  if (newToken !== null) output.essential(`token: ${newToken}`);
  if (exposed.pairingCode !== undefined) output.essential(`pairing code for OAuth: ${exposed.pairingCode}`);
  if (exposed.identityProvider !== undefined) {
    const { host, redirectUri } = exposed.identityProvider;
    output.essential(`redirect URI to register at ${host}: ${redirectUri}`);
  }
  if (notice !== undefined) output.warning(notice);
  if (publicUrl === null) output.note(`public url: ${withoutPublicUrl(exposed)}`);
  output.result(`mcp-expose: ready at ${publicUrl ?? localUrl} (${whatIsExposed(servers)})`);
}

function tunnelEvent({ provider, tunnel }: Exposed): Readonly<Record<string, unknown>> {
  if (tunnel === undefined) return { provider };
  const { operator, readsTraffic, headers, expiresAt, isVerified, isTrusted } = tunnel;
  return {
    provider,
    operator,
    readsTraffic,
    verified: isVerified,
    ...(isTrusted ? {} : { trusted: false }),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() }),
  };
}

/** With an error instead of a description if the server did not describe itself. */
function serverEvent(report: ServerReport): Readonly<Record<string, unknown>> {
  const { name, path, description, translatedFor, error } = report;
  if (description === undefined) {
    const nothing = { era: null, protocolVersion: null, translatedFor: null, tools: null };
    return { name, path, ...nothing, error: error?.message ?? null };
  }
  const { era, protocolVersion, tools } = description;
  return { name, path, era, protocolVersion, translatedFor: translatedFor ?? null, tools };
}

/** Shortens `cloudflared is not installed` to `not installed`, to follow `cloudflared: `. */
function withoutSubject(reason: string, subject: string): string {
  const rest = reason.startsWith(`${subject} `) ? reason.slice(subject.length + 1) : reason;
  return rest.replace(/^is /, '');
}

/** @throws ExposeError `usage` if the terminal has to be asked, and there is none. */
async function confirmFor({ pairing, oauth, oidcIssuer }: AccessOptions, output: Output): Promise<Confirm | undefined> {
  if (oauth !== true || oidcIssuer !== undefined || pairing === undefined || pairing === 'code') return undefined;
  if (!canAsk(output)) {
    throw new ExposeError('usage', `--pairing ${pairing} asks on a terminal, and there is none`, {
      hints: ['use --pairing code'],
    });
  }
  return (await import('./confirm.ts')).confirmOnTerminal(output);
}

/** Undefined if a program decides, or there is no terminal to ask on. */
async function onApprovalFor(
  { approve, approveCommand }: AccessOptions,
  output: Output,
): Promise<AccessOptions['onApproval']> {
  if (approve === undefined || approveCommand !== undefined || !canAsk(output)) return undefined;
  return (await import('./confirm.ts')).approveOnTerminal(output);
}

/** With --json and --quiet, nobody is asked: a script reads the output. */
function canAsk({ interactive }: Output): boolean {
  return interactive && process.stdin.isTTY;
}

const tokenWords = {
  expired: 'has expired, its sessions have ended',
  revoked: 'was revoked, its sessions have ended',
  rotated: 'was replaced by a new one, the sessions of the old one have ended',
  exhausted: 'allows no more calls',
  claimed: 'is now for the client that has connected, and for no other',
} as const;

/** Prints what happens while a server is being exposed. */
export function showEvent(output: Output, event: ExposeEvent): void {
  switch (event.type) {
    case 'progress':
      void output.progress(event.text);
      output.detail(event.text);
      return;
    case 'warning':
      output.warning(event.message);
      return;
    case 'stderr':
      output.serverLine(event.line, event.server);
      return;
    case 'tunnel': {
      const { state, publicUrl, reason } = event;
      output.event({ event: 'tunnel', state, publicUrl });
      const why = reason === undefined ? '' : `: ${reason}`;
      output.note(`tunnel ${state}${state === 'up' ? ` at ${publicUrl}` : why}`);
      if (state === 'down') output.note('the public URL is lost, the local URL still works');
      return;
    }
    case 'attempt': {
      const { provider, outcome, reason } = event;
      output.event({ event: 'attempt', provider, outcome, ...(reason === undefined ? {} : { reason }) });
      if (outcome === 'trying') void output.progress(`trying ${provider}`);
      // One line for each tunnel that did not work.
      else if (reason !== undefined) output.note(`${provider}: ${withoutSubject(reason, provider)}`);
      return;
    }
    case 'sessions':
      output.event({
        event: 'session',
        open: event.open,
        ...(event.server === undefined ? {} : { server: event.server }),
      });
      output.detail(`${event.server === undefined ? '' : `${event.server}: `}${countOf(event.open, 'session')} open`);
      return;
    case 'oauth': {
      const { event: what, pairingCode } = event;
      output.event({ event: 'oauth', ...what });
      const words = oauthWords(what, pairingCode);
      if (words !== undefined) output.essential(words);
      return;
    }
    case 'token':
      output.event({ event: 'token', name: event.name, change: event.change });
      if (event.change !== 'added') output.note(`the token ${event.name} ${tokenWords[event.change]}`);
      return;
    case 'alert':
      output.event({ event: 'alert', ...event.alert });
      output.alert(alertWords(event.alert));
      return;
    case 'approval': {
      const { type: _type, ...report } = event;
      output.event({ event: 'approval', ...report });
      output.note(approvalWords(event));
      return;
    }
    case 'servers':
      output.event({
        event: 'servers',
        publicUrl: event.publicUrl,
        localUrl: event.localUrl,
        servers: event.servers.map(serverEvent),
      });
      output.note(`the configuration has changed: ${whatIsExposed(event.servers)}`);
      for (const { name, error } of event.servers)
        if (error !== undefined) output.warning(messageOfServer(name, error));
      return;
    case 'request': {
      const { type: _type, ...report } = event;
      output.event({ event: 'request', ...report });
    }
  }
}
