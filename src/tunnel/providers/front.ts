import type { Capabilities } from '../capabilities.ts';
import type { TunnelProvider } from '../provider.ts';

/** What is assumed of somebody else's proxy until a check shows otherwise. */
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
 * No tunnel, but somebody else's reverse proxy in front of the local listener.
 * @param publicUrl base URL without a trailing slash.
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
