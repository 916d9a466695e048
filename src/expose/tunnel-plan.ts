import { systemClock } from '../platform/clock.ts';
import type { Watchdog } from '../platform/process/watchdog.ts';
import { capabilities } from '../tunnel/capabilities.ts';
import { createProvider, type TunnelSettings, settingsForAuto } from '../tunnel/create-provider.ts';
import { ExposeError } from '../errors.ts';
import { HostOverrides } from '../platform/net/host-overrides.ts';
import { defaultTunnelOrder, type TunnelKind } from '../tunnel/kinds.ts';
import type { TunnelChoice, TunnelOptions } from './options.ts';
import type { HostEnvironment } from '../tunnel/host-environment.ts';
import { openFirst, type Attempt, type Candidate } from '../tunnel/open-first.ts';
import { openTunnel, type OpenTunnel, type OpenTunnelOptions } from '../tunnel/open-tunnel.ts';
import type { TunnelProvider } from '../tunnel/provider.ts';
import { version } from '../version.ts';

/** The part of the time limit of `auto` for each of the many services over ssh, in milliseconds. */
const sshServiceLimitMs = 6000;

/** The part for each of the others, in milliseconds: cloudflared begins its second try, over TCP, late. */
const firstLimitMs = 16_000;

export interface PlanContext {
  readonly watchdog: Watchdog;
  /** Identifies what is shared (see share-identity.ts), to which the name at a relay belongs. */
  readonly share: string;
  /** The id of this process, if it shares the name at a relay with others. */
  readonly replicaId: string | undefined;
  /** Only a tunnel that states the addresses of clients can be used. */
  readonly needsAddress: boolean;
  readonly onAttempt: (attempt: Attempt) => void;
}

export interface TunnelPlan {
  /** The chosen tunnel, or the ones that `auto` tries; empty for a reverse proxy. */
  readonly kinds: readonly TunnelKind[];
  readonly isAuto: boolean;
  /** @returns undefined when `auto` has found none. */
  open(
    options: Omit<OpenTunnelOptions, 'provider' | 'environment' | 'mustWork' | 'settleMs'>,
  ): Promise<OpenTunnel | undefined>;
}

/**
 * Decides which tunnels to try, without opening one.
 * @param tunnel `none` only with a `publicUrl`.
 * @throws ExposeError `usage` for options that contradict each other, or a tunnel that cannot be used with them.
 */
export async function planTunnel(
  choices: TunnelOptions,
  tunnel: TunnelChoice,
  { watchdog, share, replicaId, needsAddress, onAttempt }: PlanContext,
): Promise<TunnelPlan> {
  const { relay: relayUrl, order = defaultTunnelOrder } = choices;
  const environment: HostEnvironment = {
    env: process.env,
    watchdog,
    clock: systemClock,
    overrides: new HostOverrides(choices.resolve),
  };
  const publicUrl = choices.publicUrl === undefined ? undefined : readPublicUrl(choices.publicUrl, tunnel);
  if (tunnel === 'none') {
    const { createFrontProvider } = await import('../tunnel/providers/front.ts');
    const provider = createFrontProvider(publicUrl ?? '');
    return {
      kinds: [],
      isAuto: false,
      open: (options) => openTunnel({ ...options, provider, environment, mustWork: false, settleMs: 0 }),
    };
  }
  const settings: TunnelSettings = {
    ...choices,
    relayUrl,
    publicUrl,
    environment,
    share,
    replicaId,
    agent: `mcp-expose/${version}`,
  };
  if (tunnel !== 'auto' || relayUrl !== undefined) {
    const kind = tunnel === 'auto' ? 'relay' : tunnel;
    const provider = await createProvider(kind, settings);
    const objection = needsAddress ? addressless(provider) : undefined;
    if (objection !== undefined) {
      throw new ExposeError('usage', `--allow-ip cannot be used with --tunnel ${kind}: ${objection}`, {
        hints: [`these tunnels state it: ${statingAddresses.join(', ')}`],
      });
    }
    return {
      kinds: [kind],
      isAuto: false,
      open: (options) => openTunnel({ ...options, provider, environment, mustWork: false }),
    };
  }
  return {
    kinds: order,
    isAuto: true,
    async open(options) {
      return await openFirst({
        candidates: order.map((kind) => candidateFor(kind, settingsForAuto(settings, kind))),
        open: (provider, signal) => openTunnel({ ...options, provider, environment, mustWork: true, signal }),
        ...(needsAddress ? { objectionTo: addressless } : {}),
        onAttempt,
        clock: environment.clock,
        signal: options.signal,
      });
    },
  };
}

/** Why a tunnel cannot be used with `--allow-ip`, in words that follow its name; undefined if it can. */
function addressless({ capabilities: { clientAddressHeader } }: TunnelProvider): string | undefined {
  return clientAddressHeader === undefined ? 'it does not state the address of the client' : undefined;
}

const statingAddresses: readonly string[] = [
  ...new Set(Object.values(capabilities).flatMap((row) => (row.clientAddressHeader === undefined ? [] : row.name))),
];

/** A base URL, without a trailing slash and without the path of the endpoint, with which it may have been copied. */
function readPublicUrl(written: string, tunnel: TunnelChoice): string {
  const { protocol, username, password, origin, pathname, search, hash } = URL.canParse(written)
    ? new URL(written)
    : new URL('about:blank');
  const path = pathname.replace(/\/+$/, '');
  const isBase = /^https?:$/.test(protocol) && username + password + search + hash === '';
  if (!isBase || (tunnel !== 'none' && path !== '')) {
    const what = tunnel === 'none' ? 'a URL such as' : 'a URL without a path, such as';
    throw new ExposeError('usage', `--public-url takes ${what} https://mcp.example.com`);
  }
  return origin + path.replace(/\/mcp$/, '');
}

const sshServices: ReadonlySet<TunnelKind> = new Set(['localhost.run', 'srv.us', 'pinggy', 'serveo', 'sish', 'ssh']);

function candidateFor(kind: TunnelKind, settings: TunnelSettings): Candidate {
  return {
    name: kind,
    create: () => createProvider(kind, settings),
    limitMs: sshServices.has(kind) ? sshServiceLimitMs : firstLimitMs,
  };
}
