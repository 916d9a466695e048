import type { Command, Option } from 'commander';

import { ExposeError } from '../errors.ts';
import { twinOf } from './environment-twins.ts';
import type { ExposeFlags } from './program.ts';

/**
 * Refuses options of the command line that the others leave without effect. Those from the environment are let pass,
 * since a profile may set them for many runs.
 * @param command with its environment twins applied.
 * @throws ExposeError `usage`.
 */
export function refuseIneffectiveOptions(command: Command): void {
  const { tunnel, relay, http, sse, config } = command.opts<ExposeFlags>();
  const isGiven = (attribute: keyof ExposeFlags): boolean => command.getOptionValueSource(attribute) === 'cli';
  const usesRelay = tunnel === 'auto' || tunnel === 'relay';
  if (isGiven('relay') && !usesRelay) {
    throw ineffective('--relay', `with ${tunnelText(command)}`, `use --tunnel relay, or leave --relay away`);
  }
  if (isGiven('name') && !usesRelay) {
    throw ineffective('--name', `with ${tunnelText(command)}`, 'it names the server at a relay: use --tunnel relay');
  }
  // With --tunnel relay the missing relay is an error of its own.
  if (isGiven('name') && tunnel === 'auto' && relay === undefined) {
    throw ineffective('--name', 'without a relay', 'name the relay with --relay https://relay.example');
  }
  if (isGiven('lanAddress') && tunnel !== 'lan') {
    throw ineffective('--lan-address', 'without --tunnel lan', 'add --tunnel lan, or leave --lan-address away');
  }
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

/**
 * Refuses options of the main program in front of a command, which would ignore them.
 * @throws ExposeError `usage`.
 */
export function refuseOptionsInFrontOf(command: Command): void {
  const { parent } = command;
  const given = (parent?.options ?? []).filter(
    (option) => parent?.getOptionValueSource(option.attributeName()) === 'cli',
  );
  if (given.length === 0) return;
  const name = command.name();
  const known = new Set(command.options.map(longOf));
  const misplaced = given.map(longOf).filter((long) => known.has(long));
  const foreign = given.map(longOf).filter((long) => !known.has(long));
  throw new ExposeError('usage', `in front of ${name} there is no effect of ${given.map(longOf).join(', ')}`, {
    hints: [
      ...(misplaced.length === 0
        ? []
        : [`write what is meant for ${name} behind it: mcp-expose ${name} ${misplaced.join(' ')}`]),
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
