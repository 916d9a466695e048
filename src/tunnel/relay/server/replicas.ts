import type { IncomingMessage } from 'node:http';
import type { AgentSession } from './agent-session.ts';

/**
 * Where a request names its session: MCP's header for Streamable HTTP, or the query of a POST of HTTP+SSE. The third is sent by
 * an agent that checks its own public URL.
 */
const idHeaders = ['mcp-session-id', 'x-mcp-expose-probe'];
const idParameter = 'sessionId';

/** Who can get a request. */
export interface Candidates<Agent = AgentSession> {
  /** Not empty. */
  readonly agents: readonly Agent[];
  /** The id of the request's session may be that of a replica that is not among the agents. */
  readonly isOwnerMissing: boolean;
}

/**
 * Those of a name's agents that can get a request: the replica with whose id, and a dot, the id of the request's session begins;
 * otherwise the ones that are connected, or all if none is. A session whose replica is gone goes to any of the others, which
 * answers that it does not know it, so that the client begins a new one.
 * @param agents not empty.
 * @param path with the query.
 */
export function candidatesFor<Agent extends Pick<AgentSession, 'replica' | 'isConnected' | 'isDetached'>>(
  agents: readonly Agent[],
  { headers }: Pick<IncomingMessage, 'headers'>,
  path: string,
): Candidates<Agent> {
  const query = path.indexOf('?');
  const ids = [
    ...idHeaders.map((name) => headers[name]),
    query === -1 ? undefined : new URLSearchParams(path.slice(query)).get(idParameter),
  ];
  const owners = new Set(ids.flatMap((id) => /^([^.]+)\./.exec(String(id ?? ''))?.[1] ?? []));
  // One that is leaving is gone for its sessions, too.
  const own = agents.find((agent) => owners.has(agent.replica ?? '') && (agent.isConnected || agent.isDetached));
  if (own !== undefined) return { agents: [own], isOwnerMissing: false };
  const connected = agents.filter(({ isConnected }) => isConnected);
  const isOwnerMissing = owners.size > 0 && agents.some(({ replica }) => replica !== undefined);
  return { agents: connected.length === 0 ? agents : connected, isOwnerMissing };
}

/**
 * The agent for whose responses the fewest clients wait; of several, the one that has had no request for longest. So one whose
 * connection is dead, but not yet known to be, gets few: their clients wait.
 */
export function leastBusy(agents: readonly AgentSession[]): AgentSession | undefined {
  const [first] = agents.toSorted(
    (one, other) => one.awaitedRequests - other.awaitedRequests || one.lastRequestAt - other.lastRequestAt,
  );
  return first;
}
