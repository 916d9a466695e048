import type { Era } from '../mcp/revisions.ts';
import type { McpEndpoint } from './mcp-endpoint.ts';
import type { SseEndpoint } from './sse-endpoint.ts';

/** The state of a server, for monitoring. */
export interface Readiness {
  /** `starting`: it has not answered `initialize` yet. */
  readonly status: 'ready' | 'starting' | 'down';
  /** Why it is down, as text. */
  readonly reason?: string;
  /** The era of the server, and the revision that it speaks; left out before it has said so. */
  readonly era?: Era;
  readonly protocolVersion?: string;
  readonly sessions: number;
  /** Open connections to it, including idle ones in the warm pool; each is a process for a stdio server. */
  readonly children: number;
  /** How often a connection was replaced after it had ended unexpectedly. */
  readonly restarts: number;
  /** Of modern clients of a legacy server: calls that wait for them, and what was lost for them so far, in numbers. */
  readonly translation?: Readonly<Record<string, number>>;
}

/** A server with its endpoints. */
export interface ServedServer {
  /** Undefined if it is the only server and was not given a name. */
  readonly name?: string;
  readonly mcp: Pick<McpEndpoint, 'handle'>;
  readonly sse: Pick<SseEndpoint, 'handle' | 'handleMessage'>;
  readiness(): Promise<Readiness>;
}

/** The servers that are exposed at the moment. */
export interface Directory {
  /** Finds a server by the name in a path, or by the lower-case name in a host. */
  find(name: string): ServedServer | undefined;
  /** The server at `/mcp`: the only one, or the one that was the only one, since its clients know no other path. */
  unnamed(): ServedServer | undefined;
  all(): readonly ServedServer[];
}

/** Creates a directory whose servers can be replaced. */
export function createDirectory(): Directory & { set(servers: readonly ServedServer[]): void } {
  let servers: readonly ServedServer[] = [];
  let byName = new Map<string, ServedServer>();
  let unnamed: ServedServer | undefined;
  return {
    find: (name) => byName.get(name),
    unnamed: () => unnamed,
    all: () => servers,
    set(next) {
      const [first] = next;
      const formerName = unnamed?.name;
      unnamed = next.length === 1 ? first : next.find(({ name }) => name !== undefined && name === formerName);
      servers = next;
      byName = new Map();
      for (const server of next) {
        if (server.name === undefined) continue;
        // Hosts are case-insensitive; no two servers differ only in case.
        byName.set(server.name.toLowerCase(), server);
        byName.set(server.name, server);
      }
    },
  };
}
