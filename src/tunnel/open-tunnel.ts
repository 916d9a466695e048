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
import { createProbeMarker } from './probe/probe-marker.ts';
import { isBlocking, wordsFor } from './probe/problem.ts';
import { SelfProbe, type Opening } from './probe/self-probe.ts';
import { TunnelWatch } from './probe/tunnel-watch.ts';

/** How long a URL that is new may take until it works, in milliseconds. */
const defaultSettleMs = 8000;

/** What is known of the way by which requests come in, for whoever answers them. */
export interface WayIn {
  readonly capabilities: Capabilities;
  /** Whether a stream that answers a GET would arrive as it is written; may change when that is measured. */
  hasGetStreams(): boolean;
}

export interface OpenTunnelOptions {
  readonly provider: TunnelProvider;
  readonly environment: HostEnvironment;
  readonly createHandler: (way: WayIn) => RequestHandler;
  /** Listens on a port of 127.0.0.1 for this tunnel alone. */
  readonly listen: (handler: RequestHandler) => Promise<TunnelListener>;
  /** Port of the local listener. */
  readonly localPort: number;
  /** The bearer token, or undefined where everybody is let in. */
  readonly token: string | undefined;
  readonly opening: () => Opening | undefined;
  /** How long the answer to that may take, in milliseconds: a server may have to start first. Default 10 s. */
  readonly openingTimeoutMs?: number;
  readonly readinessPath: string;
  /** There is another provider to try: one whose URL does not work is an error, rather than a warning. */
  readonly mustWork: boolean;
  /** How long it may take until its URL works, in milliseconds; 0 for one that is not new. Default 8 s. */
  readonly settleMs?: number;
  readonly signal: AbortSignal;
  /** The URLs by which requests will come in, before the first can, and whenever they change. */
  readonly onUrls: (publicUrls: readonly string[]) => void;
  readonly onStatus: (status: TunnelStatus) => void;
  readonly onWarning: (message: string) => void;
}

/** A tunnel that is open and looked after. */
export interface OpenTunnel {
  readonly provider: TunnelProvider;
  readonly publicUrls: readonly string[];
  /** As in `Tunnel`. */
  readonly expiresAt: number | undefined;
  /** The longest silence that a stream through it may have, in milliseconds. */
  readonly maxSilenceMs: number;
  /**
   * Whether the current public URL is known to lead here, past the guard: a request without the token has come round since the
   * tunnel last changed, and nothing seen there since says otherwise. False while that is not known yet.
   */
  isVerified(): boolean;
  /**
   * False when somebody else certainly has a hand in what answers at the current public URL (another service, another Host,
   * a credential that is added on the way), so that nobody should send the token there. True also while nothing is known.
   */
  isTrusted(): boolean;
  /**
   * The servers are there: begins as a client would, through the public URL, and keeps looking. A way that proves to let in
   * who has no token is closed, and reported as `down`. Never rejects for what is found.
   */
  begin(signal: AbortSignal): Promise<void>;
  /** Ends it; resolves when nothing of it is left. */
  close(): Promise<void>;
}

/** Where the way out is a proxy that this provider does not take, its own error would not say so. */
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

/** Errors behind which there may be a proxy that was not asked. */
const proxiedCodes: ReadonlySet<ExposeError['code']> = new Set(['tunnel_unreachable', 'tunnel_unavailable']);

const anywhere = new URL('https://tunnel.example');

/**
 * Opens a tunnel and sees to it that its public URL leads here, past the guard.
 * @throws ExposeError what the provider throws; `tunnel_unguarded` where the URL lets in who has no token; with `mustWork`,
 * `tunnel_unreachable` where it cannot be used.
 */
export async function openTunnel(options: OpenTunnelOptions): Promise<OpenTunnel> {
  const { provider, environment, createHandler, listen, localPort, mustWork, signal, onUrls, onStatus, onWarning } =
    options;
  const { token, opening, openingTimeoutMs, readinessPath, settleMs = defaultSettleMs } = options;
  const { capabilities } = provider;
  let { getStreams } = capabilities;
  const marker = createProbeMarker(createHandler({ capabilities, hasGetStreams: () => getStreams }));
  const target = { handler: marker.handler, localPort, listen: () => listen(marker.handler) };

  /** Before `open` has resolved there is none, but it may tell of its status at once. */
  const opened: { tunnel?: Tunnel; isUp: boolean } = { isUp: true };
  const publicUrl = (): string => opened.tunnel?.publicUrls[0] ?? '';
  const watch = new TunnelWatch({
    probe: new SelfProbe({
      environment,
      marker,
      capabilities,
      token,
      opening,
      readinessPath,
      ...(openingTimeoutMs === undefined ? {} : { openingTimeoutMs }),
    }),
    capabilities,
    clock: environment.clock,
    overrides: environment.overrides,
    settleMs,
    publicUrl,
    redial: (reason) => opened.tunnel?.redial?.(reason),
    onWarning,
    onGetBuffered: () => (getStreams = false),
    onUnguarded(reason) {
      // Whoever closes the tunnel is told why that fails.
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
