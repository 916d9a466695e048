import type { Capabilities } from '../capabilities.ts';
import type { TunnelProvider } from '../provider.ts';

/** What can be said of a proxy that somebody else runs: nothing speaks against it until the look through it has. */
const capabilities: Capabilities = {
  name: 'none',
  operator: 'the operator of the reverse proxy',
  account: 'none',
  urlStable: true,
  getStreams: true,
  postStreams: true,
  readsTraffic: true,
  honoursProxy: false,
};

/**
 * No tunnel, but somebody else's proxy in front of the local listener.
 * @param publicUrl what the world calls it: a base URL without a trailing slash.
 */
export function createFrontProvider(publicUrl: string): TunnelProvider {
  return {
    name: capabilities.name,
    capabilities,
    async open(target) {
      const listener = await target.listen();
      return { publicUrls: [publicUrl], close: () => listener.close() };
    },
  };
}
