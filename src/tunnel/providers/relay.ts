import { ExposeError } from '../../errors.ts';
import { redactUrl } from '../../platform/text/redact.ts';
import { connectOnce, type ConnectionState, type ConnectOptions } from '../relay/agent/connection.ts';
import { isLoopbackHost } from '../../platform/net/addresses.ts';
import { createStreamServer } from '../relay/agent/stream-server.ts';
import { openReconnecting } from '../reconnect.ts';
import { systemClock, type Clock } from '../../platform/clock.ts';
import { capabilities } from '../capabilities.ts';
import { DropCount } from '../relay/protocol/drop-count.ts';
import { type Identity, isValidName } from '../relay/protocol/identity.ts';
import { openKeyFile, openKeySlot, type KeySlot } from '../relay/agent/key-store.ts';
import { tunnelPath } from '../relay/protocol/protocol.ts';
import { createTokenBucket } from '../../platform/token-bucket.ts';
import type { Tunnel, TunnelOptions, TunnelProvider, TunnelTarget } from '../provider.ts';

/** Time for one attempt, in milliseconds: name lookup, proxy, TLS and handshake. */
const connectTimeoutMs = 15_000;

/** Messages of a relay for the user: more than our own relay ever sends. */
const noticeBurst = 10;
const noticesPerSecond = 0.1;

/** Redials at once after a short connection, which keep calls alive on a bad network: at once, then per second. */
const promptRedialBurst = 30;
const promptRedialsPerSecond = 0.5;

/** Longest wait between two attempts while calls wait for a resume, in milliseconds. */
const maxResumeDelayMs = 1_000;

export interface RelayProviderOptions {
  /** http(s): or ws(s): URL of the relay; a path prefix is kept. */
  readonly relayUrl: string;
  /** Identifies what is shared; the key belongs to it. */
  readonly share?: string | undefined;
  /** Requested name; by default the name derived from the key. */
  readonly name?: string;
  /** Name and version of this program for the relay's log; `mcp-expose` by default. */
  readonly agent?: string;
  /** Shares the name with agents of the same key that have other ids; 1 to 64 characters of `[A-Za-z0-9_-]`. */
  readonly replica?: string | undefined;
  /** File with the key, instead of the stored one. */
  readonly keyFile?: string | undefined;
  /** A fixed key instead of the stored one. */
  readonly keys?: Identity;
  /** Proxy settings and the configuration folder; `process.env` by default. */
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds for one attempt; 15 s by default. */
  readonly connectTimeoutMs?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/**
 * The tunnel through our own relay: it dials out, so that nothing has to listen, and serves the relay's streams with the
 * target's handler in this process. The handler gets the public Host as `host`.
 * @throws ExposeError `usage` for an invalid URL or name. `open` rejects after one attempt with `tunnel_unreachable`,
 * `tunnel_not_a_relay`, `tunnel_version`, `tunnel_rejected` or `tunnel_unavailable`; after that the tunnel reconnects for ever
 * and reports through `onStatus`.
 */
export function createRelayProvider(options: RelayProviderOptions): TunnelProvider {
  const endpoint = tunnelEndpoint(options.relayUrl);
  if (options.name !== undefined && !isValidName(options.name)) {
    throw new ExposeError('usage', `${JSON.stringify(options.name)} cannot be a tunnel name`, {
      hints: ['use 3 to 63 lower-case letters, digits and dashes, with no dash at either end'],
    });
  }
  return {
    name: 'relay',
    capabilities: capabilities.relay,
    replica: options.replica,
    ...(endpoint.protocol === 'ws:' && !isLoopbackHost(endpoint.hostname)
      ? { notice: `the connection to the relay ${options.relayUrl} is not encrypted` }
      : {}),
    open: async (target, tunnelOptions) => await openTunnel(options, endpoint, target, tunnelOptions),
  };
}

async function openTunnel(
  options: RelayProviderOptions,
  endpoint: URL,
  target: TunnelTarget,
  { signal, onStatus, onWarning }: TunnelOptions,
): Promise<Tunnel> {
  signal.throwIfAborted();
  const env = options.env ?? process.env;
  const clock = options.clock ?? systemClock;
  const notices = createTokenBucket({ burst: noticeBurst, perSecond: noticesPerSecond, clock });
  const droppedNotices = new DropCount((count) => {
    onWarning(`the relay said ${count} more things, which were not shown`);
  }, clock);
  const keys = options.keyFile === undefined ? options.keys : await openKeyFile(options.keyFile);
  const slot: KeySlot =
    keys === undefined
      ? openKeySlot({
          relayHost: endpoint.host,
          share: options.share,
          env,
          onWarning,
          ...(options.name === undefined ? {} : { name: options.name }),
        })
      : { identity: keys, isStable: true, close() {} };
  const state: ConnectionState = {};
  const connectOptions: Omit<ConnectOptions, 'signal'> = {
    relayUrl: options.relayUrl,
    endpoint,
    identity: slot.identity,
    agent: options.agent ?? 'mcp-expose',
    ...(options.name === undefined ? {} : { name: options.name }),
    replica: options.replica,
    serve: createStreamServer(target.handler),
    state,
    env,
    clock,
    timeoutMs: options.connectTimeoutMs ?? connectTimeoutMs,
    onNotice(message) {
      if (notices.take(1)) onWarning(`the relay says: ${message}`);
      else droppedNotices.add();
    },
  };
  const tunnel = await openReconnecting({
    connect: (attemptSignal) => connectOnce({ ...connectOptions, signal: attemptSignal }),
    signal,
    onStatus,
    onWarning,
    clock,
    random: options.random,
    promptRedials: createTokenBucket({ burst: promptRedialBurst, perSecond: promptRedialsPerSecond, clock }),
    maxDelayMs: () => (state.lostSession?.isAlive === true ? maxResumeDelayMs : undefined),
    release() {
      state.lostSession?.end();
      droppedNotices.close();
      slot.close();
    },
  });
  // No `redial`: the heartbeat notices a dead connection.
  return {
    get publicUrls() {
      return tunnel.publicUrls;
    },
    close: () => tunnel.close(),
  };
}

/**
 * The WebSocket URL of a relay's tunnel endpoint.
 * @throws ExposeError `usage` for an invalid URL.
 */
export function tunnelEndpoint(relayUrl: string): URL {
  const url = URL.canParse(relayUrl) ? new URL(relayUrl) : undefined;
  const scheme = /^(?:http|ws)(s?):$/.exec(url?.protocol ?? '');
  if (url === undefined || scheme === null || url.hostname === '') {
    throw new ExposeError('usage', `${JSON.stringify(redactUrl(relayUrl))} is not the URL of a relay`, {
      hints: ['give it as in --relay https://relay.example or --relay http://127.0.0.1:8080'],
    });
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new ExposeError('usage', 'the URL of a relay must have no user name, password, query or fragment', {
      hints: [`use ${url.protocol}//${url.host}${url.pathname}`],
    });
  }
  return new URL(`ws${scheme[1] ?? ''}://${url.host}${url.pathname.replace(/\/+$/, '')}${tunnelPath}`);
}
