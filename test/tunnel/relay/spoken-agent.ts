// Agents that speak for themselves, as another implementation would.
import { request as httpRequest } from 'node:http';
import type { Identity } from '../../../src/tunnel/relay/protocol/identity.ts';
import { eventually, rawAgent, type RawAgent, type World } from './world.ts';

export interface Shaken extends RawAgent {
  /** Binary messages after the welcome, joined. */
  bytes(): Buffer;
}

/** Hello and proof; what comes then is up to the relay. */
export async function greet(
  world: World,
  identity: Identity,
  resume?: object,
  { want = {}, beforeProof }: { want?: object; beforeProof?: (agent: RawAgent) => void } = {},
): Promise<Shaken> {
  const agent = await rawAgent(world.relay.url);
  world.defer(() => agent.socket.terminate());
  const chunks: Buffer[] = [];
  agent.socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) chunks.push(data);
  });
  const { publicKey } = identity;
  const hello = Buffer.from(
    JSON.stringify({ type: 'hello', versions: ['mcp-expose.v1'], agent: 'test', publicKey, want, resume }),
  );
  agent.socket.send(hello.toString());
  const { nonce } = await agent.receive('challenge');
  beforeProof?.(agent);
  const relayHost = new URL(world.relay.url).host;
  const signature = identity.sign({ relayHost, nonce: Buffer.from(String(nonce), 'base64url'), hello });
  agent.socket.send(JSON.stringify({ type: 'proof', signature }));
  return Object.assign(agent, { bytes: () => Buffer.concat(chunks) });
}

const none = { session: '', received: 0 };

/**
 * An agent with a session, and what the relay has sent it so far: a request, to which nobody responds and whose client nobody
 * hears of.
 */
export async function enter(
  world: World,
  identity: Identity,
  want: { name?: string } = {},
): Promise<{ agent: Shaken; session: string; bytes: Buffer }> {
  const agent = await greet(world, identity, none, { want });
  const { session } = await agent.receive('welcome');
  const request = httpRequest(`${world.relay.url}/${want.name ?? identity.name}`, { agent: false });
  request.on('error', () => undefined);
  request.on('response', (response) => response.on('error', () => undefined).resume());
  world.defer(() => request.destroy());
  request.end();
  const bytes = await eventually(() => agent.bytes().length > 24 && agent.bytes(), 'a request');
  return { agent, session: String(session), bytes };
}
