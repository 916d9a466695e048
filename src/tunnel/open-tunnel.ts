import { ExposeError } from '../errors.ts';
import { maxSilenceMs, type Capabilities } from './capabilities.ts';
import { proxyFor } from '../platform/net/http-proxy.ts';
import type { HostEnvironment } from './host-environment.ts';
import type {
  RequestHandler,
  Tunnel,
  TunnelListener,
  TunnelOptions,
  TunnelProvider,
  TunnelStatus,
  TunnelTarget,
} from './provider.ts';
import { createProbeMarker, type ProbeMarker } from './probe/probe-marker.ts';
import { isBlocking, wordsFor } from './probe/problem.ts';
import { SelfProbe, type SelfProbeOptions } from './probe/self-probe.ts';
import { TunnelWatch } from './probe/tunnel-watch.ts';

/** How long a new URL may take until it works, in milliseconds. */
const defaultSettleMs = 8000;

/** What the request handler may know about the tunnel of its requests. */
export interface WayIn {
  readonly capabilities: Capabilities;
  /** Whether a response to GET that is an event stream arrives as it is written; changes when a check finds otherwise. */
  hasGetStreams(): boolean;
  /** Whether a request is one that the self-probe sent. */
  isProbe(request: object): boolean;
}

export interface OpenTunnelOptions extends Pick<
  SelfProbeOptions,
  'token' | 'opening' | 'openingTimeoutMs' | 'readinessPath'
> {
  readonly provider: TunnelProvider;
  readonly environment: HostEnvironment;
  readonly createHandler: (way: WayIn) => RequestHandler;
  /** Listens on a port of 127.0.0.1 for this tunnel alone. */
  readonly listen: (handler: RequestHandler) => Promise<TunnelListener>;
  readonly localPort: number;
  /** Another provider can be tried: a URL that does not work is an error instead of a warning. */
  readonly mustWork: boolean;
  /** How long the URL may take until it works, in milliseconds; 0 for one that is not new. Default 8 s. */
  readonly settleMs?: number;
  readonly signal: AbortSignal;
  /** The URLs of the requests to come: called before the first request, and whenever they change. */
  readonly onUrls: (publicUrls: readonly string[]) => void;
  readonly onStatus: (status: TunnelStatus) => void;
  readonly onWarning: (message: string) => void;
}

export interface OpenTunnel {
  readonly provider: TunnelProvider;
  readonly publicUrls: readonly string[];
  /** As in `Tunnel`. */
  readonly expiresAt: number | undefined;
  /** The longest silence that a stream through it may have, in milliseconds. */
  readonly maxSilenceMs: number;
  /**
   * Whether the current public URL is known to lead here, past the guard: a request without the token has come back since the
   * tunnel last changed, and no later check contradicts that. False while nothing is known.
   */
  isVerified(): boolean;
  /**
   * False when another party certainly takes part in the responses at the current public URL (another service, another Host, a
   * credential that is added on the way), so that nobody should send the token there. True also while nothing is known.
   */
  isTrusted(): boolean;
  /**
   * Call it when the servers are available: opens a session through the public URL as a client would, and checks regularly from
   * then on. A tunnel that accepts requests without the token is closed, and reported as `down`. Never rejects because of what
   * it finds.
   */
  begin(signal: AbortSignal): Promise<void>;
  /** Closes it; resolves when nothing of it is left. */
  close(): Promise<void>;
}

/** Adds a hint where the network needs a proxy that this provider does not use, which its own error would not mention. */
async function openProvider(
  provider: TunnelProvider,
  { env }: HostEnvironment,
  target: TunnelTarget,
  options: TunnelOptions,
): Promise<Tunnel> {
  try {
    return await provider.open(target, options);
  } catch (error) {
    const { name, capabilities } = provider;
    const missesProxy = !capabilities.honoursProxy && proxyFor(anywhere, env) !== undefined;
    if (!missesProxy || !(error instanceof ExposeError) || !proxiedCodes.has(error.code)) throw error;
    const hint = `${name} does not go through the proxy that HTTPS_PROXY names; --relay, ngrok and devtunnel do`;
    throw new ExposeError(error.code, error.message, { hints: [...error.hints, hint], cause: error });
  }
}

/** Errors that a missing proxy can cause. */
const proxiedCodes: ReadonlySet<ExposeError['code']> = new Set(['tunnel_unreachable', 'tunnel_unavailable']);

const anywhere = new URL('https://tunnel.example');

/**
 * Opens a tunnel and checks that its public URL leads here, past the guard.
 * @throws ExposeError what the provider throws; `tunnel_unguarded` when the URL accepts requests without the token; with
 * `mustWork`, `tunnel_unreachable` when the URL cannot be used.
 */
export async function openTunnel(options: OpenTunnelOptions): Promise<OpenTunnel> {
  const { provider, environment, createHandler, listen, localPort, mustWork, settleMs = defaultSettleMs } = options;
  const { signal, onUrls, onStatus, onWarning } = options;
  const { capabilities } = provider;
  let { getStreams } = capabilities;
  const marker: ProbeMarker = createProbeMarker(
    createHandler({
      capabilities,
      hasGetStreams: () => getStreams,
      isProbe: (request) => marker.isExpected(request),
    }),
    provider.replica,
  );
  const target = { handler: marker.handler, localPort, listen: () => listen(marker.handler) };

  /** No tunnel until `open` has resolved, but a status may come earlier. */
  const opened: { tunnel?: Tunnel; isUp: boolean } = { isUp: true };
  const publicUrl = (): string => opened.tunnel?.publicUrls[0] ?? '';
  const watch = new TunnelWatch({
    probe: new SelfProbe({ ...options, marker, capabilities }),
    capabilities,
    clock: environment.clock,
    overrides: environment.overrides,
    settleMs,
    publicUrl,
    redial: (reason) => opened.tunnel?.redial?.(reason),
    onWarning,
    onGetBuffered: () => (getStreams = false),
    onUnguarded(reason) {
      // The caller of `close` gets its error.
      close().catch(() => {});
      onStatus({ state: 'down', publicUrls: opened.tunnel?.publicUrls ?? [], reason });
    },
  });
  async function close(): Promise<void> {
    await Promise.all([watch.close(), opened.tunnel?.close()]);
  }
  const tunnel = await openProvider(provider, environment, target, {
    signal,
    onWarning,
    onStatus(status) {
      opened.isUp = status.state === 'up';
      onUrls(status.publicUrls);
      watch.statusChanged(status);
      onStatus(status);
    },
  });
  opened.tunnel = tunnel;

  try {
    onUrls(tunnel.publicUrls);
    const settled = await watch.untilSettled(signal);
    signal.throwIfAborted();
    if (mustWork && (settled === undefined || !opened.isUp))
      throw new ExposeError('tunnel_unreachable', 'the connection was lost before it was usable');
    const fatal = settled?.find((problem) => problem.kind === 'guard_missing' || (mustWork && isBlocking(problem)));
    if (fatal !== undefined) {
      const code = fatal.kind === 'guard_missing' ? 'tunnel_unguarded' : 'tunnel_unreachable';
      throw new ExposeError(code, wordsFor(fatal, publicUrl(), capabilities));
    }
    return {
      provider,
      get publicUrls() {
        return tunnel.publicUrls;
      },
      get expiresAt() {
        return tunnel.expiresAt;
      },
      maxSilenceMs: maxSilenceMs(capabilities),
      isVerified: () => watch.isVerified(),
      isTrusted: () => watch.isTrusted(),
      begin: (until) => watch.begin(until),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
