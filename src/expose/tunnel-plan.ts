import { systemClock } from '../platform/clock.ts';
import type { Watchdog } from '../platform/process/watchdog.ts';
import { createProvider, type TunnelSettings, settingsForAuto } from '../tunnel/create-provider.ts';
import { ExposeError } from '../errors.ts';
import { createHostOverrides } from '../platform/net/host-overrides.ts';
import { defaultTunnelOrder, type TunnelKind } from '../tunnel/kinds.ts';
import type { TunnelChoice, TunnelOptions } from './options.ts';
import type { HostEnvironment } from '../tunnel/host-environment.ts';
import { openFirst, type Attempt, type Candidate } from '../tunnel/open-first.ts';
import { openTunnel, type OpenTunnel, type OpenTunnelOptions } from '../tunnel/open-tunnel.ts';
import { version } from '../version.ts';

/** The services over ssh are many: each gets so long of the time for all, in milliseconds. */
const sshServiceLimitMs = 6000;

/** Of the first, whose second try over TCP begins late, in milliseconds. */
const firstLimitMs = 16_000;

export interface TunnelPlan {
  /** One that was asked for, or several of which one will do; none where it is a proxy that somebody else runs. */
  readonly kinds: readonly TunnelKind[];
  readonly isAuto: boolean;
  /** @returns undefined when `auto` has found none. */
  open(
    options: Omit<OpenTunnelOptions, 'provider' | 'environment' | 'mustWork' | 'settleMs'>,
  ): Promise<OpenTunnel | undefined>;
}

/**
 * Decides which tunnels come into question, and opens none yet.
 * @param tunnel `none` only with a `publicUrl`.
 * @throws ExposeError `usage` for choices that do not go together.
 */
export async function planTunnel(
  choices: TunnelOptions,
  tunnel: TunnelChoice,
  {
    watchdog,
    share,
    onAttempt,
  }: {
    readonly watchdog: Watchdog;
    /** What is shared; a relay's name for it belongs to that. */
    readonly share: string;
    readonly onAttempt: (attempt: Attempt) => void;
  },
): Promise<TunnelPlan> {
  const { relay: relayUrl, order = defaultTunnelOrder } = choices;
  const environment: HostEnvironment = {
    env: process.env,
    watchdog,
    clock: systemClock,
    overrides: createHostOverrides(choices.resolve),
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
    agent: `mcp-expose/${version}`,
  };
  if (tunnel !== 'auto' || relayUrl !== undefined) {
    const kind = tunnel === 'auto' ? 'relay' : tunnel;
    const provider = await createProvider(kind, settings);
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
        onAttempt,
        clock: environment.clock,
        signal: options.signal,
      });
    },
  };
}

/** A base URL: without a slash at its end, and without the path of the endpoint, with which it may have been copied. */
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
