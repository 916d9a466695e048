/** Every way in which others can reach us, as in `--tunnel <kind>`. */
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
 * What `auto` tries where no relay is configured: what needs no account first, then what the user has set up, then what every
 * machine with ssh has. Never `lan` nor `localtunnel`, which are not encrypted all the way.
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
