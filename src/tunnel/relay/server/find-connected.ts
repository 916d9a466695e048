import type { ServerResponse } from 'node:http';
import type { AgentSession } from './agent-session.ts';
import type { Found } from './registry.ts';

/** How long a request waits for an agent that has lost its connection, in milliseconds: several attempts to dial. */
const attachWaitMs = 5_000;

/** What `find` returns, once the agent is connected: `offline` when it does not come back in time. */
export async function findConnected(
  find: () => Promise<Found<AgentSession>>,
  response: ServerResponse,
): Promise<Found<AgentSession>> {
  const deadline = performance.now() + attachWaitMs;
  let found = await find();
  /* oxlint-disable no-await-in-loop -- the connection may be lost again */
  while (found.state === 'online' && found.agent.isDetached) {
    if (!(await isAttached(found.agent, response, deadline - performance.now()))) return { state: 'offline' };
    found = await find();
  }
  /* oxlint-enable no-await-in-loop */
  return found;
}

/** Whether the agent has a connection again, or has ended, within this time and while the client waits. */
async function isAttached(agent: AgentSession, response: ServerResponse, withinMs: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const settle = (hasChanged: boolean): void => {
      cancel?.();
      clearTimeout(timer);
      response.off('close', give);
      resolve(hasChanged);
    };
    const give = (): void => settle(false);
    const timer = setTimeout(give, withinMs);
    const cancel = agent.onceAttached(() => settle(true));
    response.once('close', give);
    if (cancel === undefined || response.destroyed) give();
  });
}
