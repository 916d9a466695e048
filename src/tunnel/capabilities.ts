/** What a way to be reached can do, who carries it and what that means. All that we do differently for one comes from here. */
export interface Capabilities {
  /** As in `--tunnel <name>`. */
  readonly name: string;
  /** Of several rows with one name: which of them. */
  readonly variant?: string;
  /** Who carries the traffic, as the user knows them. */
  readonly operator: string;
  /** The program that has to be installed, if any. */
  readonly needs?: string;
  readonly account: 'none' | 'needed';
  /** Whether the URL is the same the next time, or when it is. */
  readonly urlStable: true | false | string;
  /** How long one connection lasts, in milliseconds. */
  readonly expiresAfterMs?: number;
  /** Event streams that answer a GET arrive as they are written, rather than all at once when they end. */
  readonly getStreams: boolean;
  /** The same of those that answer a POST. */
  readonly postStreams: boolean;
  /** A stream on which nothing comes for so long is cut, in milliseconds. */
  readonly maxIdleMs?: number;
  readonly maxBodyBytes?: number;
  /** Requests at a time, open streams among them. */
  readonly maxConcurrent?: number;
  /** The page that browsers get first, and the header that says that we know. */
  readonly interstitial?: { readonly header: string; readonly value: string };
  /**
   * A new name is not known everywhere at once, and who asks too early may be told for minutes that there is none; in
   * milliseconds.
   */
  readonly freshNameMs?: number;
  /**
   * How often to look whether it still works, in milliseconds, where every minute would be too much of what its users may
   * send in all; then each look is as small as it can be.
   */
  readonly probeEveryMs?: number;
  /** Whether the operator could read requests and answers, the token among them. */
  readonly readsTraffic: boolean;
  /** Whether it goes through the proxy that HTTPS_PROXY names. */
  readonly honoursProxy: boolean;
  /**
   * The header in which it names the address of the client, where it is documented to do so. It writes the last address in
   * it itself; what a client wrote there can only stand before.
   */
  readonly clientAddressHeader?: string;
}

const mebibyte = 1024 * 1024;
const megabyte = 1_000_000;
const minuteMs = 60_000;

/** A name for each row, where some have the same `name`. */
type CapabilitiesKey =
  | 'relay'
  | 'lan'
  | 'cloudflared'
  | 'cloudflaredNamed'
  | 'ngrok'
  | 'tailscale'
  | 'tailscaleServe'
  | 'devtunnel'
  | 'zrok'
  | 'localhostRun'
  | 'srvUs'
  | 'pinggy'
  | 'pinggyPro'
  | 'serveo'
  | 'sish'
  | 'ssh'
  | 'localtunnel';

/**
 * Every way, in the order in which the documentation tells of them. What a vendor does not say and no issue shows is left
 * out rather than guessed. The sources stand in the files in providers/.
 */
export const capabilities: Readonly<Record<CapabilitiesKey, Capabilities>> = {
  relay: {
    name: 'relay',
    operator: 'the operator of the relay',
    account: 'none',
    urlStable: true,
    getStreams: true,
    postStreams: true,
    maxConcurrent: 256,
    readsTraffic: true,
    honoursProxy: true,
    clientAddressHeader: 'x-forwarded-for',
  },
  lan: {
    name: 'lan',
    operator: 'your own network, unencrypted',
    account: 'none',
    urlStable: 'while the address of this machine is',
    getStreams: true,
    postStreams: true,
    readsTraffic: true,
    honoursProxy: false,
    clientAddressHeader: 'x-forwarded-for',
  },
  cloudflared: {
    name: 'cloudflared',
    variant: 'quick',
    operator: 'Cloudflare',
    needs: 'cloudflared',
    account: 'none',
    urlStable: false,
    getStreams: false,
    postStreams: true,
    maxIdleMs: 100_000,
    maxBodyBytes: 100 * megabyte,
    maxConcurrent: 200,
    freshNameMs: 3000,
    readsTraffic: true,
    honoursProxy: false,
    clientAddressHeader: 'cf-connecting-ip',
  },
  cloudflaredNamed: {
    name: 'cloudflared',
    variant: 'named, with TUNNEL_TOKEN',
    operator: 'Cloudflare',
    needs: 'cloudflared',
    account: 'needed',
    urlStable: true,
    getStreams: true,
    postStreams: true,
    maxIdleMs: 100_000,
    maxBodyBytes: 100 * megabyte,
    readsTraffic: true,
    honoursProxy: false,
    clientAddressHeader: 'cf-connecting-ip',
  },
  ngrok: {
    name: 'ngrok',
    operator: 'ngrok',
    needs: 'ngrok, or the package @ngrok/ngrok',
    account: 'needed',
    urlStable: true,
    getStreams: true,
    postStreams: true,
    interstitial: { header: 'ngrok-skip-browser-warning', value: '1' },
    // The free plan has 20,000 requests a month; two every ten minutes are fewer than half of them.
    probeEveryMs: 10 * minuteMs,
    readsTraffic: true,
    honoursProxy: true,
    clientAddressHeader: 'x-forwarded-for',
  },
  tailscale: {
    name: 'tailscale',
    operator: 'Tailscale (Funnel)',
    needs: 'tailscale',
    account: 'needed',
    urlStable: true,
    getStreams: true,
    postStreams: true,
    readsTraffic: false,
    honoursProxy: false,
    clientAddressHeader: 'x-forwarded-for',
  },
  tailscaleServe: {
    name: 'tailscale-serve',
    operator: 'Tailscale, for your tailnet alone',
    needs: 'tailscale',
    account: 'needed',
    urlStable: true,
    getStreams: true,
    postStreams: true,
    readsTraffic: false,
    honoursProxy: false,
    clientAddressHeader: 'x-forwarded-for',
  },
  devtunnel: {
    name: 'devtunnel',
    operator: 'Microsoft (dev tunnels)',
    needs: 'devtunnel',
    account: 'needed',
    urlStable: 'with --name',
    getStreams: true,
    postStreams: true,
    maxBodyBytes: 16 * mebibyte,
    interstitial: { header: 'X-Tunnel-Skip-AntiPhishing-Page', value: 'true' },
    readsTraffic: true,
    honoursProxy: true,
  },
  zrok: {
    name: 'zrok',
    operator: 'zrok.io',
    needs: 'zrok2 or zrok',
    account: 'needed',
    urlStable: 'with --name, once reserved',
    getStreams: true,
    postStreams: true,
    interstitial: { header: 'skip_zrok_interstitial', value: '1' },
    readsTraffic: true,
    honoursProxy: false,
  },
  localhostRun: {
    name: 'localhost.run',
    operator: 'localhost.run',
    needs: 'ssh',
    account: 'none',
    urlStable: false,
    getStreams: true,
    postStreams: true,
    readsTraffic: true,
    honoursProxy: false,
  },
  srvUs: {
    name: 'srv.us',
    operator: 'srv.us',
    needs: 'ssh',
    account: 'none',
    urlStable: true,
    getStreams: true,
    postStreams: true,
    readsTraffic: true,
    honoursProxy: false,
  },
  pinggy: {
    name: 'pinggy',
    variant: 'free',
    operator: 'Pinggy',
    needs: 'ssh',
    account: 'none',
    urlStable: false,
    expiresAfterMs: 60 * minuteMs,
    getStreams: true,
    postStreams: true,
    interstitial: { header: 'X-Pinggy-No-Screen', value: '1' },
    readsTraffic: true,
    honoursProxy: false,
    clientAddressHeader: 'x-forwarded-for',
  },
  pinggyPro: {
    name: 'pinggy',
    variant: 'pro, with PINGGY_TOKEN',
    operator: 'Pinggy',
    needs: 'ssh',
    account: 'needed',
    urlStable: true,
    getStreams: true,
    postStreams: true,
    readsTraffic: true,
    honoursProxy: false,
    clientAddressHeader: 'x-forwarded-for',
  },
  serveo: {
    name: 'serveo',
    operator: 'Serveo',
    needs: 'ssh',
    account: 'none',
    urlStable: 'with --name and a registered key',
    getStreams: true,
    postStreams: true,
    interstitial: { header: 'serveo-skip-browser-warning', value: '1' },
    readsTraffic: true,
    honoursProxy: false,
  },
  sish: {
    name: 'sish',
    operator: 'the operator of the sish server',
    needs: 'ssh',
    account: 'none',
    urlStable: 'with --name',
    getStreams: true,
    postStreams: true,
    // --idle-connection-timeout of the server, unless its operator has raised it.
    maxIdleMs: 5000,
    readsTraffic: true,
    honoursProxy: false,
  },
  ssh: {
    name: 'ssh',
    operator: 'the operator of the SSH server',
    needs: 'ssh',
    account: 'needed',
    urlStable: 'with --ssh-remote',
    getStreams: true,
    postStreams: true,
    readsTraffic: true,
    honoursProxy: false,
  },
  localtunnel: {
    name: 'localtunnel',
    operator: 'localtunnel.me',
    account: 'none',
    urlStable: 'with --name, while nobody else has it',
    getStreams: true,
    postStreams: true,
    maxConcurrent: 10,
    interstitial: { header: 'bypass-tunnel-reminder', value: '1' },
    readsTraffic: true,
    honoursProxy: false,
  },
};

/** Longest silence on a stream where nothing shorter is known of, in milliseconds: proxies commonly cut after 30 s or more. */
const defaultMaxSilenceMs = 15_000;

/** The longest silence that a stream through this tunnel may have, in milliseconds; half of what would cut it. */
export function maxSilenceMs({ maxIdleMs = Infinity }: Pick<Capabilities, 'maxIdleMs'>): number {
  return Math.min(defaultMaxSilenceMs, maxIdleMs / 2);
}

/** What of this way is less than a user of ours may count on, a sentence for each. */
export function limitsOf({ name, ...way }: Capabilities, maxRequestBytes: number): string[] {
  const limits: string[] = [];
  if (!way.postStreams) limits.push(`${name} holds event streams back until they end: progress comes late`);
  if (way.maxBodyBytes !== undefined && way.maxBodyBytes < maxRequestBytes) {
    limits.push(`${name} takes no request of more than ${Math.floor(way.maxBodyBytes / mebibyte)} MiB`);
  }
  if (way.maxConcurrent !== undefined && way.maxConcurrent < fewRequests) {
    limits.push(`${name} has room for ${way.maxConcurrent} requests at a time, open streams among them`);
  }
  return limits;
}

/** Fewer requests at a time than this a handful of clients have open, in streams alone. */
const fewRequests = 32;

/** What the user has to know of this way before using it, in one sentence. */
export function trustNotice({ operator, readsTraffic }: Pick<Capabilities, 'operator' | 'readsTraffic'>): string {
  return readsTraffic
    ? `${operator} can read the traffic, including the token`
    : `${operator} carries the traffic and cannot read it: it is encrypted as far as this machine`;
}
