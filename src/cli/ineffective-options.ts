import type { Command, Option } from './commander.ts';

import { ExposeError } from '../errors.ts';
import type { TunnelChoice } from '../expose/expose.ts';
import { tunnelKinds } from '../expose/options.ts';
import { twinOf } from './environment-twins.ts';
import { writtenOptions } from './misplaced-words.ts';
import type { ExposeFlags } from './program.ts';

/**
 * Refuses options of the command line that the others leave without effect. Those from the environment are let pass,
 * since a profile may set them for many runs.
 * @param command with its environment twins applied.
 * @throws ExposeError `usage`.
 */
export function refuseIneffectiveOptions(command: Command): void {
  const { http, sse, config } = command.opts<ExposeFlags>();
  const isGiven = (attribute: keyof ExposeFlags): boolean => command.getOptionValueSource(attribute) === 'cli';
  refuseIneffectiveTunnelOptions(command, isGiven);
  const callsUrl = http !== undefined || sse !== undefined;
  for (const [attribute, option] of urlOptions) {
    const isUsed = callsUrl || (config !== undefined && attribute !== 'upstreamHeader');
    if (!isGiven(attribute) || isUsed) continue;
    const isHeader = config !== undefined;
    const hint = isHeader ? 'write the "headers" into the configuration' : `leave ${option} away`;
    throw ineffective(option, isHeader ? 'with --config' : 'without --http or --sse', hint);
  }
  for (const [attribute, option] of processOptions) {
    if (isGiven(attribute) && callsUrl) {
      throw ineffective(option, 'with --http or --sse, which start no process', `leave ${option} away`);
    }
  }
  for (const [attribute, option] of configOptions) {
    if (isGiven(attribute) && config === undefined) {
      throw ineffective(option, 'without --config', 'name the file with --config <file>');
    }
  }
}

function refuseIneffectiveTunnelOptions(command: Command, isGiven: (attribute: keyof ExposeFlags) => boolean): void {
  const { tunnel, relay, tunnelOrder, publicUrl } = command.opts<ExposeFlags>();
  const isAuto = tunnel === 'auto' && relay === undefined;
  const used = tunnel === 'auto' && relay !== undefined ? 'relay' : tunnel;
  // With --tunnel relay the missing relay is an error of its own.
  if (isGiven('name') && isAuto) {
    throw ineffective(
      '--name',
      'without a relay',
      'name the relay with --relay https://relay.example, or the service with --tunnel',
    );
  }
  const tried: readonly TunnelChoice[] = isAuto ? (tunnelOrder ?? []) : [];
  for (const { attribute, option, kinds, why, hint } of tunnelOptions) {
    const isTried = sshOptions.has(attribute) && tried.some((kind) => kind === 'ssh' || kind === 'sish');
    // There is a public URL to look through.
    const isLookedThrough = attribute === 'resolve' && publicUrl !== undefined;
    if (!isGiven(attribute) || kinds.includes(used) || isTried || isLookedThrough) continue;
    throw ineffective(option, why ?? `with ${tunnelText(command)}`, hint);
  }
}

const sshOptions: ReadonlySet<keyof ExposeFlags> = new Set(['ssh', 'sshKey', 'sshRemote']);
const sshKinds: readonly TunnelChoice[] = ['ssh', 'localhost.run', 'srv.us', 'pinggy', 'serveo', 'sish'];
const allKinds: readonly TunnelChoice[] = ['auto', ...tunnelKinds];

/** Of the tunnel, with the ways that take it. */
const tunnelOptions: readonly {
  readonly attribute: keyof ExposeFlags;
  readonly option: string;
  readonly kinds: readonly TunnelChoice[];
  /** Default: with the tunnel that is used. */
  readonly why?: string;
  readonly hint: string;
}[] = [
  {
    attribute: 'relay',
    option: '--relay',
    kinds: ['relay'],
    hint: 'use --tunnel relay, or leave --relay away',
  },
  {
    attribute: 'name',
    option: '--name',
    kinds: ['relay', 'devtunnel', 'zrok', 'serveo', 'sish', 'localtunnel'],
    hint: 'it names the server at a relay, devtunnel, zrok, serveo, sish or localtunnel',
  },
  {
    attribute: 'lanAddress',
    option: '--lan-address',
    kinds: ['lan'],
    why: 'without --tunnel lan',
    hint: 'add --tunnel lan, or leave --lan-address away',
  },
  {
    attribute: 'publicUrl',
    option: '--public-url',
    kinds: ['none', 'cloudflared', 'ngrok', 'tailscale', 'tailscale-serve', ...sshKinds],
    hint: 'the provider says what the URL is; leave --public-url away',
  },
  ...(['ssh', 'sshKey', 'sshRemote'] as const).map((attribute) => ({
    attribute,
    option: attribute === 'ssh' ? '--ssh' : attribute === 'sshKey' ? '--ssh-key' : '--ssh-remote',
    kinds: sshKinds,
    why: 'without --tunnel ssh or a service over it',
    hint: 'add --tunnel ssh, or leave it away',
  })),
  {
    attribute: 'tunnelOrder',
    option: '--tunnel-order',
    kinds: ['auto'],
    hint: 'it says what auto tries, leave --tunnel-order away',
  },
  {
    attribute: 'tunnelPort',
    option: '--tunnel-port',
    kinds: allKinds.filter((kind) => kind !== 'relay' && kind !== 'lan'),
    hint: 'it is for tunnels that lead to a port, leave --tunnel-port away',
  },
  { attribute: 'resolve', option: '--resolve', kinds: allKinds, hint: 'leave --resolve away' },
];

/**
 * Refuses options of the main program in front of a command, which would ignore them.
 * @param own the command line.
 * @throws ExposeError `usage`.
 */
export function refuseOptionsInFrontOf(command: Command, own: readonly string[]): void {
  const { parent } = command;
  if (parent === null) return;
  const given = parent.options.filter((option) => parent.getOptionValueSource(option.attributeName()) === 'cli');
  if (given.length === 0) return;
  const name = command.name();
  const known = new Set(command.options.map(longOf));
  const misplaced = given.map(longOf).filter((long) => known.has(long));
  const foreign = given.map(longOf).filter((long) => !known.has(long));
  throw new ExposeError('usage', `in front of ${name} there is no effect of ${given.map(longOf).join(', ')}`, {
    hints: [
      ...(misplaced.length === 0
        ? []
        : [`write what is meant for ${name} behind it: mcp-expose ${name} ${writtenOptions(parent, own, misplaced)}`]),
      ...(foreign.length === 0
        ? []
        : [
            `${name} does not take ${foreign.join(', ')}; mcp-expose ${name} --help lists what may stand behind ${name}`,
          ]),
    ],
  });
}

/** Of a server that is called. */
const urlOptions = [
  ['upstreamHeader', '--upstream-header'],
  ['upstreamCa', '--upstream-ca'],
  ['upstreamTimeout', '--upstream-timeout'],
  ['allowPlainHttp', '--allow-plain-http'],
] as const;

/** Of a server that is started. */
const processOptions = [
  ['cwd', '--cwd'],
  ['env', '--env'],
  ['inheritEnv', '--inherit-env'],
  ['warm', '--warm'],
] as const;

const configOptions = [
  ['server', '--server'],
  ['watch', '--watch'],
] as const;

function ineffective(option: string, why: string, hint: string): ExposeError {
  return new ExposeError('usage', `${option} has no effect ${why}`, { hints: [hint] });
}

/** The choice of the tunnel as the user made it. */
function tunnelText(command: Command): string {
  const { tunnel } = command.opts<ExposeFlags>();
  const option = command.options.find(({ long }) => long === '--tunnel');
  const isFromEnvironment = option !== undefined && command.getOptionValueSource('tunnel') === 'env';
  return isFromEnvironment ? `${twinOf(option)}=${tunnel}` : `--tunnel ${tunnel}`;
}

function longOf({ long, flags }: Option): string {
  return long ?? flags;
}
