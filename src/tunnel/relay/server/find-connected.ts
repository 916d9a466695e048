import type { ServerResponse } from 'node:http';
import type { AgentSession } from './agent-session.ts';
import type { Found } from './registry.ts';
import { leastBusy, type Candidates } from './replicas.ts';

/** How long a request waits for an agent that has lost its connection, in milliseconds: several attempts to dial. */
const attachWaitMs = 5_000;

/** Calls `done` once the agent is there, and returns what cancels that; undefined when that cannot be waited for. */
type Subscribe = (done: () => void) => (() => void) | undefined;

export interface FindOptions {
  readonly find: () => Promise<Found<AgentSession>>;
  /** Those of the agents found that can get the request. */
  readonly candidates: (agents: readonly AgentSession[]) => Candidates;
  /** For an agent, or the replica that has the session, that has not come yet to a relay which has just started. */
  readonly onceArrived: Subscribe;
  readonly response: ServerResponse;
}

/** The agent for a request, once it is connected; `offline` or `unknown` when none comes in time. */
export async function findConnected(options: FindOptions): Promise<AgentSession | 'offline' | 'unknown'> {
  const { find, candidates, onceArrived, response } = options;
  const deadline = performance.now() + attachWaitMs;
  /* oxlint-disable no-await-in-loop -- the connection may be lost again */
  for (;;) {
    const found = await find();
    const { agents, isOwnerMissing } =
      found.state === 'online' ? candidates(found.agents) : { agents: [], isOwnerMissing: false };
    if (isOwnerMissing && (await changes([onceArrived], response, deadline - performance.now()))) continue;
    if (response.destroyed) return 'offline';
    const agent = leastBusy(agents);
    if (agent?.isDetached === false) return agent;
    const ways = agents.map(
      (each): Subscribe =>
        (done) =>
          each.onceAttached(done),
    );
    const hasChanged = await changes(ways.length === 0 ? [onceArrived] : ways, response, deadline - performance.now());
    if (!hasChanged) return found.state === 'online' ? 'offline' : found.state;
  }
  /* oxlint-enable no-await-in-loop */
}

/** Whether one of the agents is there, or has ended, within this time and while the client waits. */
async function changes(ways: readonly Subscribe[], response: ServerResponse, withinMs: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const settle = (hasChanged: boolean): void => {
      for (const cancel of cancels) cancel?.();
      clearTimeout(timer);
      response.off('close', give);
      resolve(hasChanged);
    };
    const give = (): void => settle(false);
    const timer = setTimeout(give, withinMs);
    const cancels = ways.map((subscribe) => subscribe(() => settle(true)));
    response.once('close', give);
    if (cancels.includes(undefined) || response.destroyed) give();
  });
}
