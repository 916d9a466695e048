import type { Command, Option } from './commander.ts';

import { ExposeError } from '../errors.ts';
import { optionEntries } from '../expose/option-table.ts';
import { longOf, type Need } from '../expose/option-spec.ts';
import type { ExposeOptions, TunnelChoice } from '../expose/options.ts';
import { twinOf } from './environment-twins.ts';
import { writtenOptions } from './misplaced-words.ts';
import { attributeOf } from './program.ts';

/**
 * Rejects options of the command line that have no effect with the others. Environment variables are not rejected, since a
 * profile may set them for many runs.
 * @param options what the command line and the environment set.
 * @throws ExposeError `usage`.
 */
export function rejectIneffectiveOptions(command: Command, options: ExposeOptions): void {
  for (const [, spec] of optionEntries()) {
    const { needs } = spec;
    if (needs === undefined || command.getOptionValueSource(attributeOf(spec)) !== 'cli') continue;
    const long = longOf(spec);
    const problem = problemOf(long, needs, options, command);
    if (problem === undefined) continue;
    throw new ExposeError('usage', `${long} has no effect ${problem.why}`, { hints: [problem.hint] });
  }
}

function problemOf(long: string, needs: Need, options: ExposeOptions, command: Command): Problem | undefined {
  if ('server' in needs) return serverProblem(long, needs.server, options);
  if ('translation' in needs) {
    return options.server.strictEra === true
      ? { why: 'with --strict-era, which translates nothing', hint: 'omit one of the two' }
      : undefined;
  }
  if ('tunnels' in needs) return tunnelProblem(long, needs, options, command);
  if ('approve' in needs) {
    if (options.access?.approve !== undefined) return undefined;
    return { why: 'without --approve', hint: 'add --approve destructive, --approve all or --approve <glob>' };
  }
  if ('audit' in needs) {
    return options.output?.auditFile === undefined
      ? { why: 'without --audit', hint: 'name the file with --audit <file>' }
      : undefined;
  }
  return signInProblem(long, needs, options);
}

function signInProblem(
  long: string,
  { signIn }: Extract<Need, { readonly token: true }>,
  { access: { token, oauth, oidcIssuer } = {} }: ExposeOptions,
): Problem | undefined {
  if (token === false) return { why: 'with --no-auth', hint: 'omit one of the two' };
  if (signIn === 'oauth' && oauth !== true) return { why: 'without --oauth', hint: `add --oauth, or omit ${long}` };
  if (signIn === 'pairing' && oidcIssuer !== undefined)
    return { why: 'with --oidc-issuer', hint: 'omit one of the two' };
  if (signIn === 'oidc' && oidcIssuer === undefined) {
    return { why: 'without --oidc-issuer', hint: `add --oidc-issuer <url>, or omit ${long}` };
  }
  return undefined;
}

interface Problem {
  /** Completes "has no effect …". */
  readonly why: string;
  readonly hint: string;
}

function serverProblem(
  long: string,
  need: Extract<Need, { readonly server: string }>['server'],
  { server: { http, sse, config } }: ExposeOptions,
): Problem | undefined {
  const callsUrl = http !== undefined || sse !== undefined;
  switch (need) {
    case 'process':
      return callsUrl ? { why: 'with --http or --sse, which start no process', hint: `omit ${long}` } : undefined;
    case 'either-era':
      return sse === undefined ? undefined : { why: 'with --sse, whose servers are all legacy', hint: `omit ${long}` };
    case 'config':
      return config === undefined ? { why: 'without --config', hint: 'name the file with --config <file>' } : undefined;
    default:
      if (callsUrl || (config !== undefined && need === 'url-or-config')) return undefined;
      return config === undefined
        ? { why: 'without --http or --sse', hint: `omit ${long}` }
        : { why: 'with --config', hint: 'write the "headers" into the configuration' };
  }
}

const userServers: ReadonlySet<TunnelChoice> = new Set(['ssh', 'sish']);

function tunnelProblem(
  long: string,
  { tunnels, without, hint }: Extract<Need, { readonly hint: string }>,
  { tunnel: { kind = 'auto', relay, order = [], publicUrl } = {} }: ExposeOptions,
  command: Command,
): Problem | undefined {
  const used = kind === 'auto' && relay !== undefined ? 'relay' : kind;
  if (long === '--name' && used === 'auto') {
    return {
      why: 'without a relay',
      hint: 'name the relay with --relay https://relay.example, or the service with --tunnel',
    };
  }
  // `auto` uses the ssh options for the user's own servers that it tries.
  const isTried = used === 'auto' && order.some((tried) => userServers.has(tried) && tunnels.includes(tried));
  // With --tunnel none there are no hosts of a tunnel, but the public URL is probed.
  const isProbed = long === '--resolve' && publicUrl !== undefined;
  if (tunnels.includes(used) || (isTried && long.startsWith('--ssh')) || isProbed) return undefined;
  return { why: without ?? `with ${tunnelText(command, kind)}`, hint };
}

/** The choice of the tunnel as the user wrote it. */
function tunnelText(command: Command, kind: TunnelChoice): string {
  const option = command.options.find(({ long }) => long === '--tunnel');
  const isFromEnvironment = option !== undefined && command.getOptionValueSource('tunnel') === 'env';
  return isFromEnvironment ? `${twinOf(option)}=${kind}` : `--tunnel ${kind}`;
}

/**
 * Rejects options of the main program before a command, which would ignore them.
 * @param own the command line.
 * @throws ExposeError `usage`.
 */
export function rejectOptionsBefore(command: Command, own: readonly string[]): void {
  const { parent } = command;
  if (parent === null) return;
  const given = parent.options.filter((option) => parent.getOptionValueSource(option.attributeName()) === 'cli');
  if (given.length === 0) return;
  const name = command.name();
  const known = new Set(command.options.map(longFlag));
  const misplaced = given.map(longFlag).filter((long) => known.has(long));
  const foreign = given.map(longFlag).filter((long) => !known.has(long));
  throw new ExposeError(
    'usage',
    `${given.map(longFlag).join(', ')} ${given.length === 1 ? 'has' : 'have'} no effect before ${name}`,
    {
      hints: [
        ...(misplaced.length === 0
          ? []
          : [`write options of ${name} after it: mcp-expose ${name} ${writtenOptions(parent, own, misplaced)}`]),
        ...(foreign.length === 0
          ? []
          : [`${name} has no ${foreign.join(', ')}; mcp-expose ${name} --help lists its options`]),
      ],
    },
  );
}

function longFlag({ long, flags }: Option): string {
  return long ?? flags;
}
