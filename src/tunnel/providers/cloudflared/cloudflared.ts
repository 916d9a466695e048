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

/** Without a connection after so long, in milliseconds, UDP is taken to be blocked (cloudflared#1609). */
const quicTimeoutMs = 12_000;

/** Connections over QUIC that fail before HTTP/2 is tried; the first may fail by chance. */
const maxQuicFailures = 2;

/** How often Cloudflare may say that it does not know a tunnel with a name; a new one it may not know everywhere yet. */
const maxRefusals = 3;

export interface CloudflaredOptions {
  readonly environment: HostEnvironment;
  /** What the world calls a tunnel with a name, where its configuration does not say it. */
  readonly publicUrl?: string | undefined;
}

/** How cloudflared is called, as far as it can change from one try to the next. */
interface Manner {
  /** Versions before 2026 know neither `--output` nor `--no-prechecks`. */
  readonly newFlags: boolean;
  readonly protocol: 'auto' | 'http2';
}

/**
 * Cloudflare's tunnels through its program: a quick one, or with TUNNEL_TOKEN in the environment the one with a name that
 * the token is of. Flags and log of cloudflared 2022 to 2026; endpoints `/quicktunnel` and `/ready` of its metrics server.
 */
export function createCloudflaredProvider({ environment, publicUrl }: CloudflaredOptions): TunnelProvider {
  const program = new TunnelProgram(environment, 'cloudflared', installHint);
  const token = environment.env['TUNNEL_TOKEN'] ?? '';
  const isNamed = token !== '';
  /** What has worked, or has turned out not to, is remembered for the next life. */
  let manner: Manner = { newFlags: true, protocol: 'auto' };

  async function start(options: TunnelSessionOptions): Promise<TunnelSession> {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- each try follows from what the last one taught
      const outcome = await attempt(options, manner);
      if (!('manner' in outcome)) return outcome;
      manner = outcome.manner;
    }
  }

  /** Resolves with another manner where that may have more luck. */
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
      // The variables of its flags would change what tunnel this is.
      withheld: ['TUNNEL_*'],
      ...(isNamed ? { variables: new Map([['TUNNEL_TOKEN', token]]) } : {}),
      ...(isNamed && publicUrl !== undefined ? { knownUrls: [publicUrl] } : {}),
      saysReady: true,
      read(line) {
        const event = readCloudflaredLine(line, options.port);
        if (event === undefined) return undefined;
        // Once it is up, cloudflared keeps itself connected, and only the rules of a tunnel with a name can change.
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

    /** What the user says of a tunnel with a name stands. */
    function ruleUrls(event: OutputEvent): OutputEvent | undefined {
      return isNamed && publicUrl !== undefined ? undefined : event;
    }

    /** What of it is left for every tunnel to do. */
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
 * The token goes by the environment, where `ps` does not show it. What `run` has flags of its own for has to stand behind it:
 * they hide those of `tunnel`.
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
    // A port that is free for sure; where it listens, it says in its log.
    '--metrics',
    '127.0.0.1:0',
    '--loglevel',
    'info',
    ...(newFlags ? ['--no-prechecks', '--output', 'json'] : []),
  ];
}

/** Not `localhost`, which may be ::1 to it. */
function originUrl(port: number): string {
  return `http://127.0.0.1:${port}`;
}
