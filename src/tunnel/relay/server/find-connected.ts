import type { ServerResponse } from 'node:http';
import type { AgentSession } from './agent-session.ts';
import type { Found } from './registry.ts';
import { leastBusy } from './replicas.ts';

/** How long a request waits for an agent that has lost its connection, in milliseconds: several attempts to dial. */
const attachWaitMs = 5_000;

export interface FindOptions {
  readonly find: () => Promise<Found<AgentSession>>;
  /** Those of the agents found that can get the request; not empty. */
  readonly candidates: (agents: readonly AgentSession[]) => readonly AgentSession[];
  readonly response: ServerResponse;
}

/** The agent for a request, once it is connected: `offline` when none comes back in time. */
export async function findConnected({
  find,
  candidates,
  response,
}: FindOptions): Promise<AgentSession | 'offline' | 'unknown'> {
  const deadline = performance.now() + attachWaitMs;
  /* oxlint-disable no-await-in-loop -- the connection may be lost again */
  for (;;) {
    const found = await find();
    if (found.state !== 'online') return found.state;
    const able = candidates(found.agents);
    const agent = leastBusy(able);
    if (agent?.isDetached !== true) return agent ?? 'offline';
    if (!(await isAttached(able, response, deadline - performance.now()))) return 'offline';
  }
  /* oxlint-enable no-await-in-loop */
}

/** Whether one of the agents has a connection again, or has ended, within this time and while the client waits. */
async function isAttached(
  agents: readonly AgentSession[],
  response: ServerResponse,
  withinMs: number,
): Promise<boolean> {
  return await new Promise((resolve) => {
    const settle = (hasChanged: boolean): void => {
      for (const cancel of cancels) cancel?.();
      clearTimeout(timer);
      response.off('close', give);
      resolve(hasChanged);
    };
    const give = (): void => settle(false);
    const timer = setTimeout(give, withinMs);
    const cancels = agents.map((agent) => agent.onceAttached(() => settle(true)));
    response.once('close', give);
    if (cancels.includes(undefined) || response.destroyed) give();
  });
}
