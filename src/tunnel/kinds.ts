/** Every kind of tunnel, as in `--tunnel <kind>`. */
export const tunnelKinds = [
  'relay',
  'lan',
  'cloudflared',
  'ngrok',
  'tailscale',
  'tailscale-serve',
  'devtunnel',
  'zrok',
  'ssh',
  'localhost.run',
  'srv.us',
  'pinggy',
  'serveo',
  'sish',
  'localtunnel',
] as const;

export type TunnelKind = (typeof tunnelKinds)[number];

/**
 * What `auto` tries when no relay is configured: first what needs no account, then what the user has set up, then what works
 * with ssh alone. Never `lan` or `localtunnel`, which are not encrypted end to end.
 */
export const defaultTunnelOrder: readonly TunnelKind[] = [
  'cloudflared',
  'ngrok',
  'tailscale',
  'localhost.run',
  'srv.us',
  'pinggy',
  'serveo',
];
