import type { TunnelKind } from './kinds.ts';
import type { TunnelSettings } from './create-provider.ts';

/** Tunnels that lead to a server of the user's own. */
const ownServers: ReadonlySet<TunnelKind> = new Set(['ssh', 'sish']);

/**
 * What of the settings a tunnel may know that nobody asked for, since `auto` tries one after the other: what the user has
 * said of one is no business of the rest. Their key and their server are for a server of theirs, and a name or a URL for
 * the service that they had in mind.
 */
export function withoutUserSettings(settings: TunnelSettings, kind: TunnelKind): TunnelSettings {
  const { ssh, sshKey, sshRemote, name: _name, publicUrl: _publicUrl, ...rest } = settings;
  return ownServers.has(kind) ? { ...rest, ssh, sshKey, sshRemote } : rest;
}
