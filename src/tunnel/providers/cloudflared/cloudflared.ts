import { ExposeError } from '../../../errors.ts';
import { capabilities } from '../../capabilities.ts';
import { createExternalProvider } from '../external/external-provider.ts';
import type { OutputEvent } from '../external/output-event.ts';
import { TunnelProgram } from '../external/tunnel-program.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import type { TunnelProvider } from '../../provider.ts';
import { openConfiguration } from './configuration.ts';
import { readCloudflaredLine, type CloudflaredOutputEvent } from './log.ts';
import { watchMetrics } from './metrics.ts';

const installHint = 'https://developers.cloudflare.com/tunnel/downloads/ explains how to install it';

/** Without a connection after this time, in milliseconds, UDP is assumed to be blocked (cloudflared#1609). */
const quicTimeoutMs = 12_000;

/** Failed QUIC connections before HTTP/2 is tried; a single failure may be chance. */
const maxQuicFailures = 2;

/** How often Cloudflare may reject a named tunnel as unknown; a new one is not known everywhere at once. */
const maxRefusals = 3;

export interface CloudflaredOptions {
  readonly environment: HostEnvironment;
  /** The public URL of a named tunnel, where its configuration does not contain it. */
  readonly publicUrl?: string | undefined;
}

/** The arguments of cloudflared that can change from one attempt to the next. */
interface Manner {
  /** Versions before 2026 know neither `--output` nor `--no-prechecks`. */
  readonly newFlags: boolean;
  readonly protocol: 'auto' | 'http2';
}

/**
 * Cloudflare's tunnels through its program: a quick tunnel or, with TUNNEL_TOKEN in the environment, the named tunnel of that
 * token. Flags and log of cloudflared 2022 to 2026; endpoints `/quicktunnel` and `/ready` of its metrics server.
 */
export function createCloudflaredProvider({ environment, publicUrl }: CloudflaredOptions): TunnelProvider {
  const program = new TunnelProgram(environment, 'cloudflared', installHint);
  const token = environment.env['TUNNEL_TOKEN'] ?? '';
  const isNamed = token !== '';
  /** What has worked or failed is remembered for the next session. */
  let manner: Manner = { newFlags: true, protocol: 'auto' };

  async function start(options: TunnelSessionOptions): Promise<TunnelSession> {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- each try follows from what the last one taught
      const outcome = await attempt(options, manner);
      if (!('manner' in outcome)) return outcome;
      manner = outcome.manner;
    }
  }

  /** Resolves with another manner when that one may work. */
  async function attempt(
    options: TunnelSessionOptions,
    current: Manner,
  ): Promise<TunnelSession | { readonly manner: Manner }> {
    const configuration = openConfiguration(environment.env);
    const stop = new AbortController();
    let next: Manner | undefined;
    let quicFailures = 0;
    let refusals = 0;
    let isStarting = true;
    const starting = program.start(options, {
      noUrlHints: isNamed ? ['give the public URL of the tunnel with --public-url'] : [],
      args: argumentsFor({ ...current, port: options.port, configuration: configuration.file }),
      // Environment variables for its flags could turn this into another tunnel.
      withheld: ['TUNNEL_*'],
      ...(isNamed ? { variables: new Map([['TUNNEL_TOKEN', token]]) } : {}),
      ...(isNamed && publicUrl !== undefined ? { knownUrls: [publicUrl] } : {}),
      saysReady: true,
      read(line) {
        const event = readCloudflaredLine(line, options.port);
        if (event === undefined) return undefined;
        // Once connected, cloudflared reconnects by itself; only the rules of a named tunnel can change.
        if (isStarting) return take(event);
        return isNamed && event.kind === 'urls' ? ruleUrls(event) : undefined;
      },
    });

    function tryAnother(other: Manner, why: string): void {
      next ??= other;
      starting.fail(new ExposeError('tunnel_unavailable', why));
    }

    function fallBack(): void {
      if (current.protocol === 'http2') return;
      tryAnother({ ...current, protocol: 'http2' }, 'cloudflared makes no connection over QUIC');
    }

    /** The user's URL of a named tunnel takes precedence. */
    function ruleUrls(event: OutputEvent): OutputEvent | undefined {
      return isNamed && publicUrl !== undefined ? undefined : event;
    }

    /** Handles what is specific to cloudflared; returns the events that every program has. */
    function take(event: CloudflaredOutputEvent): OutputEvent | undefined {
      switch (event.kind) {
        case 'unknown flag':
          if (current.newFlags) tryAnother({ ...current, newFlags: false }, 'cloudflared does not know a flag');
          else starting.fail(tooOld());
          return undefined;
        case 'no quic':
          quicFailures++;
          if (quicFailures >= maxQuicFailures) fallBack();
          return undefined;
        case 'unauthorized':
          refusals++;
          if (isNamed && refusals >= maxRefusals) starting.fail(event.error);
          return undefined;
        case 'metrics':
          void watchMetrics({
            address: event.address,
            clock: environment.clock,
            signal: AbortSignal.any([options.signal, stop.signal]),
            onEvent: starting.take,
          });
          return undefined;
        case 'urls':
          return ruleUrls(event);
        default:
          return event;
      }
    }

    const cancelFallback = environment.clock.after(quicTimeoutMs, fallBack);
    try {
      const session = await starting.started;
      void session.ended.then(() => configuration.close());
      return session;
    } catch (error) {
      configuration.close();
      if (next !== undefined && !options.signal.aborted) return { manner: next };
      throw error;
    } finally {
      isStarting = false;
      cancelFallback();
      stop.abort();
    }
  }

  function argumentsFor(called: Called): string[] {
    return isNamed ? namedArguments(called) : quickArguments(called);
  }

  return createExternalProvider({
    environment,
    capabilities: isNamed ? capabilities.cloudflaredNamed : capabilities.cloudflared,
    program,
    start,
  });
}

function tooOld(): ExposeError {
  return new ExposeError('tunnel_unavailable', 'this cloudflared does not know the flags that it is called with', {
    hints: ['install a newer one, or use another --tunnel'],
  });
}

interface Called extends Manner {
  readonly port: number;
  readonly configuration: string;
}

function quickArguments({ port, protocol, ...called }: Called): string[] {
  return [...commonArguments(called), '--protocol', protocol, '--url', originUrl(port)];
}

/**
 * The token is passed in the environment, since `ps` shows arguments. Flags that `run` has itself must follow it: they shadow
 * those of `tunnel`.
 */
function namedArguments({ port, protocol, ...called }: Called): string[] {
  return [...commonArguments(called), 'run', '--protocol', protocol, '--url', originUrl(port)];
}

function commonArguments({ configuration, newFlags }: Pick<Called, 'configuration' | 'newFlags'>): string[] {
  return [
    'tunnel',
    '--no-autoupdate',
    '--config',
    configuration,
    // Any free port; the log says which.
    '--metrics',
    '127.0.0.1:0',
    '--loglevel',
    'info',
    ...(newFlags ? ['--no-prechecks', '--output', 'json'] : []),
  ];
}

/** Not `localhost`, which may resolve to ::1. */
function originUrl(port: number): string {
  return `http://127.0.0.1:${port}`;
}
