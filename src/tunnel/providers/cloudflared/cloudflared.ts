import { ExposeError } from '../../../errors.ts';
import { capabilities } from '../../capabilities.ts';
import { createExternalProvider } from '../external/external-provider.ts';
import type { OutputEvent } from '../external/output-event.ts';
import type { ProcessSession } from '../external/process-session.ts';
import { TunnelProgram } from '../external/tunnel-program.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import type { TunnelProvider } from '../../provider.ts';
import { openConfiguration, type CloudflaredConfiguration } from './configuration.ts';
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
  /** What has worked or failed is remembered for the next session. */
  let manner: Manner = { newFlags: true, protocol: 'auto' };

  async function start(options: TunnelSessionOptions): Promise<TunnelSession> {
    for (;;) {
      const attempt = new Attempt({ session: options, environment, program, token, publicUrl }, manner);
      // oxlint-disable-next-line no-await-in-loop -- each try follows from what the last one taught
      const outcome = await attempt.outcome();
      if (!('manner' in outcome)) return outcome;
      manner = outcome.manner;
    }
  }

  return createExternalProvider({
    environment,
    capabilities: token === '' ? capabilities.cloudflared : capabilities.cloudflaredNamed,
    program,
    start,
  });
}

interface AttemptOptions extends CloudflaredOptions {
  readonly session: TunnelSessionOptions;
  readonly program: TunnelProgram;
  /** Empty for a quick tunnel. */
  readonly token: string;
}

const tooOld: ExposeError = new ExposeError(
  'tunnel_unavailable',
  'this cloudflared does not know the flags that it is called with',
  { hints: ['install a newer one, or use another --tunnel'] },
);

/** One process of cloudflared, called in one manner, until it is connected. */
class Attempt {
  readonly #options: AttemptOptions;
  readonly #manner: Manner;
  readonly #configuration: CloudflaredConfiguration;
  readonly #process: ProcessSession;
  readonly #isNamed: boolean;
  readonly #stop = new AbortController();
  #next: Manner | undefined;
  #quicFailures = 0;
  #refusals = 0;
  #isStarting = true;

  constructor(options: AttemptOptions, manner: Manner) {
    const { session, environment, program, token, publicUrl } = options;
    this.#options = options;
    this.#manner = manner;
    this.#configuration = openConfiguration(environment.env);
    this.#isNamed = token !== '';
    this.#process = program.start(session, {
      noUrlHints: this.#isNamed ? ['give the public URL of the tunnel with --public-url'] : [],
      args: argumentsFor(manner, session.port, this.#configuration.file, this.#isNamed),
      // Environment variables for its flags could turn this into another tunnel.
      withheld: ['TUNNEL_*'],
      ...(this.#isNamed ? { variables: new Map([['TUNNEL_TOKEN', token]]) } : {}),
      ...(this.#isNamed && publicUrl !== undefined ? { knownUrls: [publicUrl] } : {}),
      saysReady: true,
      read: (line) => this.#read(line),
    });
  }

  /** Resolves with another manner when that one may work. */
  async outcome(): Promise<TunnelSession | { readonly manner: Manner }> {
    const { environment, session: options } = this.#options;
    const cancelFallback = environment.clock.after(quicTimeoutMs, () => this.#fallBack());
    try {
      const session = await this.#process.started;
      void session.ended.then(() => this.#configuration.close());
      return session;
    } catch (error) {
      this.#configuration.close();
      if (this.#next !== undefined && !options.signal.aborted) return { manner: this.#next };
      throw error;
    } finally {
      this.#isStarting = false;
      cancelFallback();
      this.#stop.abort();
    }
  }

  #read(line: string): OutputEvent | undefined {
    const event = readCloudflaredLine(line, this.#options.session.port);
    if (event === undefined) return undefined;
    // Once connected, cloudflared reconnects by itself; only the rules of a named tunnel can change.
    if (this.#isStarting) return this.#take(event);
    return this.#isNamed && event.kind === 'urls' ? this.#ruleUrls(event) : undefined;
  }

  /** Handles what is specific to cloudflared; returns the events that every program has. */
  #take(event: CloudflaredOutputEvent): OutputEvent | undefined {
    switch (event.kind) {
      case 'unknown flag':
        if (this.#manner.newFlags) this.#tryAnother({ newFlags: false }, 'cloudflared does not know a flag');
        else this.#process.fail(tooOld);
        return undefined;
      case 'no quic':
        this.#quicFailures++;
        if (this.#quicFailures >= maxQuicFailures) this.#fallBack();
        return undefined;
      case 'unauthorized':
        this.#refusals++;
        if (this.#isNamed && this.#refusals >= maxRefusals) this.#process.fail(event.error);
        return undefined;
      case 'metrics':
        this.#watchMetrics(event.address);
        return undefined;
      case 'urls':
        return this.#ruleUrls(event);
      default:
        return event;
    }
  }

  #watchMetrics(address: string): void {
    const signal = AbortSignal.any([this.#options.session.signal, this.#stop.signal]);
    void watchMetrics(address, this.#options.environment.clock, signal, (found) => this.#process.take(found));
  }

  /** The user's URL of a named tunnel takes precedence. */
  #ruleUrls(event: OutputEvent): OutputEvent | undefined {
    return this.#isNamed && this.#options.publicUrl !== undefined ? undefined : event;
  }

  #fallBack(): void {
    if (this.#manner.protocol === 'http2') return;
    this.#tryAnother({ protocol: 'http2' }, 'cloudflared makes no connection over QUIC');
  }

  #tryAnother(change: Partial<Manner>, why: string): void {
    this.#next ??= { ...this.#manner, ...change };
    this.#process.fail(new ExposeError('tunnel_unavailable', why));
  }
}

/** Metrics on any free port; the log says which. */
const commonArguments = ['tunnel', '--no-autoupdate', '--metrics', '127.0.0.1:0', '--loglevel', 'info'];

/**
 * The token is passed in the environment, since `ps` shows arguments. Flags that `run` has itself must follow it: they shadow
 * those of `tunnel`.
 */
function argumentsFor({ newFlags, protocol }: Manner, port: number, configuration: string, isNamed: boolean): string[] {
  return [
    ...commonArguments,
    '--config',
    configuration,
    ...(newFlags ? ['--no-prechecks', '--output', 'json'] : []),
    ...(isNamed ? ['run'] : []),
    '--protocol',
    protocol,
    '--url',
    // Not `localhost`, which may resolve to ::1.
    `http://127.0.0.1:${port}`,
  ];
}
