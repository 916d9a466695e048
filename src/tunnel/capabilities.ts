import type { TunnelKind } from './kinds.ts';

/**
 * What a kind of tunnel can do, who operates it, and what that means for the user. Everything that depends on the provider is
 * decided from this.
 */
export interface Capabilities {
  /** As in `--tunnel <name>`. */
  readonly name: string;
  /** Distinguishes rows with the same name. */
  readonly variant?: string;
  /** Who carries the traffic, under the name that users know. */
  readonly operator: string;
  /** The program that has to be installed, if any. */
  readonly needs?: string;
  readonly account: 'none' | 'needed';
  /** Whether the URL is the same the next time; a string says under which condition. */
  readonly urlStable: true | false | string;
  /** How long one connection lasts, in milliseconds. */
  readonly expiresAfterMs?: number;
  /** Responses to GET that are event streams arrive as they are written, not all at once when they end. */
  readonly getStreams: boolean;
  /** The same for responses to POST. */
  readonly postStreams: boolean;
  /** A stream that is silent for this long is closed, in milliseconds. */
  readonly maxIdleMs?: number;
  readonly maxBodyBytes?: number;
  /** Concurrent requests, including open streams. */
  readonly maxConcurrent?: number;
  /** The page that browsers get first, and the header that skips it. */
  readonly interstitial?: { readonly header: string; readonly value: string };
  /**
   * How long a new name stays unknown to some resolvers, in milliseconds: one that is asked too early may remember for minutes
   * that the name does not exist.
   */
  readonly freshNameMs?: number;
  /**
   * Time between two checks of the public URL, in milliseconds, where one every minute would use up the quota of requests; each
   * check then sends as little as possible.
   */
  readonly probeEveryMs?: number;
  /** Whether the operator could read requests and responses, including the token. */
  readonly readsTraffic: boolean;
  /** Whether it uses the proxy in HTTPS_PROXY. */
  readonly honoursProxy: boolean;
  /**
   * The header that holds the address of the client, where the provider documents one. The provider appends the last address
   * itself; anything before that may come from the client.
   */
  readonly clientAddressHeader?: string;
}

const mebibyte = 1024 * 1024;
const megabyte = 1_000_000;
const minuteMs = 60_000;

/** What most tunnels have in common. */
const usual = { getStreams: true, postStreams: true, readsTraffic: true, honoursProxy: false };

const cloudflare = {
  ...usual,
  name: 'cloudflared',
  operator: 'Cloudflare',
  needs: 'cloudflared',
  maxIdleMs: 100_000,
  maxBodyBytes: 100 * megabyte,
  clientAddressHeader: 'cf-connecting-ip',
};

const tailscale = { ...usual, needs: 'tailscale', account: 'needed', urlStable: true, readsTraffic: false } as const;
const overSsh = { ...usual, needs: 'ssh', account: 'none' } as const;

/**
 * Every kind of tunnel, in the order of the documentation. What neither the vendor nor an issue states is left out. The sources
 * are named in the files in providers/.
 */
export const capabilities: Readonly<Record<TunnelKind | 'cloudflaredNamed' | 'pinggyPro', Capabilities>> = {
  relay: {
    ...usual,
    name: 'relay',
    operator: 'the operator of the relay',
    account: 'none',
    urlStable: true,
    maxConcurrent: 256,
    honoursProxy: true,
    clientAddressHeader: 'x-forwarded-for',
  },
  lan: {
    ...usual,
    name: 'lan',
    operator: 'your own network, unencrypted',
    account: 'none',
    urlStable: 'while the address of this machine is',
    clientAddressHeader: 'x-forwarded-for',
  },
  cloudflared: {
    ...cloudflare,
    variant: 'quick',
    account: 'none',
    urlStable: false,
    getStreams: false,
    maxConcurrent: 200,
    freshNameMs: 3000,
  },
  cloudflaredNamed: {
    ...cloudflare,
    variant: 'named, with TUNNEL_TOKEN',
    account: 'needed',
    urlStable: true,
  },
  ngrok: {
    ...usual,
    name: 'ngrok',
    operator: 'ngrok',
    needs: 'ngrok, or the package @ngrok/ngrok',
    account: 'needed',
    urlStable: true,
    interstitial: { header: 'ngrok-skip-browser-warning', value: '1' },
    // The free plan has 20,000 requests a month; two requests every ten minutes are less than half of that.
    probeEveryMs: 10 * minuteMs,
    honoursProxy: true,
    clientAddressHeader: 'x-forwarded-for',
  },
  tailscale: {
    ...tailscale,
    name: 'tailscale',
    operator: 'Tailscale (Funnel)',
    clientAddressHeader: 'x-forwarded-for',
  },
  'tailscale-serve': {
    ...tailscale,
    name: 'tailscale-serve',
    operator: 'Tailscale, for your tailnet alone',
    clientAddressHeader: 'x-forwarded-for',
  },
  devtunnel: {
    ...usual,
    name: 'devtunnel',
    operator: 'Microsoft (dev tunnels)',
    needs: 'devtunnel',
    account: 'needed',
    urlStable: 'with --name',
    maxBodyBytes: 16 * mebibyte,
    interstitial: { header: 'X-Tunnel-Skip-AntiPhishing-Page', value: 'true' },
    honoursProxy: true,
  },
  zrok: {
    ...usual,
    name: 'zrok',
    operator: 'zrok.io',
    needs: 'zrok2 or zrok',
    account: 'needed',
    urlStable: 'with --name, once reserved',
    interstitial: { header: 'skip_zrok_interstitial', value: '1' },
  },
  'localhost.run': {
    ...overSsh,
    name: 'localhost.run',
    operator: 'localhost.run',
    urlStable: false,
  },
  'srv.us': {
    ...overSsh,
    name: 'srv.us',
    operator: 'srv.us',
    urlStable: true,
  },
  pinggy: {
    ...overSsh,
    name: 'pinggy',
    variant: 'free',
    operator: 'Pinggy',
    urlStable: false,
    expiresAfterMs: 60 * minuteMs,
    interstitial: { header: 'X-Pinggy-No-Screen', value: '1' },
    clientAddressHeader: 'x-forwarded-for',
  },
  pinggyPro: {
    ...overSsh,
    name: 'pinggy',
    variant: 'pro, with PINGGY_TOKEN',
    operator: 'Pinggy',
    account: 'needed',
    urlStable: true,
    clientAddressHeader: 'x-forwarded-for',
  },
  serveo: {
    ...overSsh,
    name: 'serveo',
    operator: 'Serveo',
    urlStable: 'with --name and a registered key',
    interstitial: { header: 'serveo-skip-browser-warning', value: '1' },
  },
  sish: {
    ...overSsh,
    name: 'sish',
    operator: 'the operator of the sish server',
    urlStable: 'with --name',
    // --idle-connection-timeout of the server, unless its operator has raised it.
    maxIdleMs: 5000,
  },
  ssh: {
    ...overSsh,
    name: 'ssh',
    operator: 'the operator of the SSH server',
    account: 'needed',
    urlStable: 'with --ssh-remote',
  },
  localtunnel: {
    ...usual,
    name: 'localtunnel',
    operator: 'localtunnel.me',
    account: 'none',
    urlStable: 'with --name, while nobody else has it',
    maxConcurrent: 10,
    interstitial: { header: 'bypass-tunnel-reminder', value: '1' },
  },
};

/** Longest silence on a stream where the provider states no limit, in milliseconds: proxies commonly close after 30 s or more. */
const defaultMaxSilenceMs = 15_000;

/** The longest silence that a stream through this tunnel may have, in milliseconds: half of the provider's limit. */
export function maxSilenceMs({ maxIdleMs = Infinity }: Pick<Capabilities, 'maxIdleMs'>): number {
  return Math.min(defaultMaxSilenceMs, maxIdleMs / 2);
}

/** Where this tunnel offers less than a user may expect, one sentence each. */
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

/** A few clients may have this many requests open at a time for their streams alone. */
const fewRequests = 32;

/** What the user has to know about this tunnel before using it, in one sentence. */
export function trustNotice({ operator, readsTraffic }: Pick<Capabilities, 'operator' | 'readsTraffic'>): string {
  return readsTraffic
    ? `${operator} can read the traffic, including the token`
    : `${operator} carries the traffic and cannot read it: it is encrypted as far as this machine`;
}
