import type { McpEndpoint } from './mcp-endpoint.ts';
import type { SseEndpoint } from './sse-endpoint.ts';

/** How a server does, for whoever watches over it. */
export interface Readiness {
  /** `starting`: it has not said yet what it is. */
  readonly status: 'ready' | 'starting' | 'down';
  /** Why it is down, in words. */
  readonly reason?: string;
  readonly sessions: number;
  /** Living connections to it, each a process of its own for a stdio server; with those that wait for a session. */
  readonly children: number;
  /** How often a connection was made again after it had ended by itself. */
  readonly restarts: number;
}

/** A server as the outside sees it. */
export interface ServedServer {
  /** Undefined for a server that is the only one and was not given a name. */
  readonly name?: string;
  readonly mcp: McpEndpoint;
  readonly sse: SseEndpoint;
  readiness(): Promise<Readiness>;
}

/** The servers that there are at the moment. */
export interface Directory {
  /** By the name in a path, or in lower case in a host. */
  find(name: string): ServedServer | undefined;
  /** The one that needs no name: it is the only one, or was when there was but one, and its clients know no other path. */
  unnamed(): ServedServer | undefined;
  all(): readonly ServedServer[];
}

/** A directory of servers that come and go. */
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
        // A host is compared without case; no two servers differ in case alone.
        byName.set(server.name.toLowerCase(), server);
        byName.set(server.name, server);
      }
    },
  };
}
