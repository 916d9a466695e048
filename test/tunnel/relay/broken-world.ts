import { startCuttingProxy, type CuttingProxy, type CuttingProxyOptions } from '../../harness/chaos-proxy.ts';
import { freePort } from '../../harness/loopback-server.ts';
import type { RelayProviderOptions } from '../../../src/tunnel/providers/relay.ts';
import type { RelayOptions } from '../../../src/tunnel/relay/server/relay.ts';
import { startWorld, type AgentHandler, type TestAgent, type World } from './world.ts';

export interface BrokenWorld {
  readonly world: World;
  readonly proxy: CuttingProxy;
  readonly agent: TestAgent;
  /** Of the agent, at the relay itself: clients are not behind the proxy. */
  readonly url: string;
}

/** A relay, an agent, and between them a network that breaks when it is told to. The caller ends the world. */
export async function startBrokenWorld(
  handler: AgentHandler,
  options: Partial<RelayOptions> = {},
  agentOptions: Partial<RelayProviderOptions> = {},
  proxyOptions: CuttingProxyOptions = {},
): Promise<BrokenWorld> {
  const port = await freePort();
  const proxy = await startCuttingProxy(port, proxyOptions);
  const publicUrl = `http://127.0.0.1:${proxy.port}`;
  const world = await startWorld({ port, publicUrl, ...options });
  const agent = await world.agent(handler, { relayUrl: publicUrl, ...agentOptions });
  return { world, proxy, agent, url: `http://127.0.0.1:${port}${new URL(agent.url).pathname}` };
}
