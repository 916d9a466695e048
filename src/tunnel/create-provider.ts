import { ExposeError } from '../errors.ts';
import type { TunnelKind } from './kinds.ts';
import type { HostEnvironment } from './host-environment.ts';
import type { TunnelProvider } from './provider.ts';

/** Tunnels to a server that the user runs. */
const ownServers: ReadonlySet<TunnelKind> = new Set(['ssh', 'sish']);

/** The user's settings for the tunnel; each provider uses those that it knows. */
export interface TunnelSettings {
  readonly environment: HostEnvironment;
  /** Name and version of this program. */
  readonly agent: string;
  readonly relayUrl?: string | undefined;
  readonly relayKey?: string | undefined;
  /** As in `RelayProviderOptions`. */
  readonly replicaId?: string | undefined;
  /** What is shared, as `shareIdentity` gives it. */
  readonly share?: string | undefined;
  /** The name to ask the provider for. */
  readonly name?: string | undefined;
  readonly lanAddresses?: readonly string[] | undefined;
  /** The public URL that the tunnel has, or is to have. */
  readonly publicUrl?: string | undefined;
  /** `[user@]host[:port]` */
  readonly ssh?: string | undefined;
  readonly sshKey?: string | undefined;
  /** `[bind:]port` to listen on at the SSH server. */
  readonly sshRemote?: string | undefined;
}

/**
 * The settings that `auto` passes to one of the tunnels it tries. The user chose none of them, so a name or public URL is
 * omitted, and only tunnels to the user's own server get the SSH destination and key.
 */
export function settingsForAuto(settings: TunnelSettings, kind: TunnelKind): TunnelSettings {
  const { ssh, sshKey, sshRemote, name: _name, publicUrl: _publicUrl, ...rest } = settings;
  return ownServers.has(kind) ? { ...rest, ssh, sshKey, sshRemote } : rest;
}

/**
 * Creates the provider of this kind, and loads no module of the others.
 * @throws ExposeError `usage` for settings that it cannot use.
 */
export async function createProvider(kind: TunnelKind, settings: TunnelSettings): Promise<TunnelProvider> {
  const { environment, agent, relayUrl, relayKey, replicaId, share, name, lanAddresses, publicUrl } = settings;
  switch (kind) {
    case 'relay': {
      if (relayUrl === undefined) {
        throw new ExposeError('usage', 'no relay specified', { hints: ['name it with --relay https://relay.example'] });
      }
      const { createRelayProvider } = await import('./providers/relay.ts');
      const named = name === undefined ? {} : { name };
      return createRelayProvider({ relayUrl, agent, share, keyFile: relayKey, replica: replicaId, ...named });
    }
    case 'lan': {
      const { createLanProvider } = await import('./providers/lan.ts');
      return createLanProvider(lanAddresses === undefined ? {} : { addresses: lanAddresses });
    }
    case 'cloudflared': {
      const { createCloudflaredProvider } = await import('./providers/cloudflared/cloudflared.ts');
      return createCloudflaredProvider({ environment, publicUrl });
    }
    case 'ngrok': {
      const { createNgrokProvider } = await import('./providers/ngrok/ngrok.ts');
      return createNgrokProvider({ environment, publicUrl });
    }
    case 'tailscale':
    case 'tailscale-serve': {
      const { createTailscaleProvider } = await import('./providers/tailscale/tailscale.ts');
      return createTailscaleProvider({ environment, publicUrl, reach: kind === 'tailscale' ? 'internet' : 'tailnet' });
    }
    case 'devtunnel': {
      const { createDevtunnelProvider } = await import('./providers/devtunnel/devtunnel.ts');
      return createDevtunnelProvider({ environment, name });
    }
    case 'zrok': {
      const { createZrokProvider } = await import('./providers/zrok/zrok.ts');
      return createZrokProvider({ environment, name });
    }
    case 'localtunnel': {
      const { createLocaltunnelProvider } = await import('./providers/localtunnel/localtunnel.ts');
      return createLocaltunnelProvider({ environment, name });
    }
    default: {
      const { createSshProvider } = await import('./providers/ssh/ssh.ts');
      const { ssh, sshKey, sshRemote } = settings;
      return createSshProvider({
        environment,
        service: kind,
        destination: ssh,
        keyFile: sshKey,
        remote: sshRemote,
        name,
        publicUrl,
      });
    }
  }
}
