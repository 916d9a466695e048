import type { Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { createDeferred } from '../../../platform/deferred.ts';
import type { AgentEndpoint } from './agent-endpoint.ts';

/**
 * How long no response must have been open before a draining relay stops, in milliseconds: a client whose connection is idle
 * may be about to use it, and is told in the response to use another one.
 */
const quietMs = 3_000;

/** How long sending the errors to their clients may take, in milliseconds. */
const tellMs = 250;

/** The responses of the relay that have not ended, and the connections that clients have used and kept. */
export class OpenResponses {
  readonly #open = new Set<ServerResponse>();
  readonly #connections = new Set<Socket>();
  /** Called when a response has begun or ended, and when a connection has closed. */
  #onChange: (() => void) | undefined;

  add(response: ServerResponse): void {
    if (this.#onChange !== undefined) response.shouldKeepAlive = false;
    this.#open.add(response);
    response.once('close', () => {
      this.#open.delete(response);
      this.#onChange?.();
    });
    const { socket } = response;
    if (socket !== null && !this.#connections.has(socket)) {
      this.#connections.add(socket);
      socket.once('close', () => {
        this.#connections.delete(socket);
        this.#onChange?.();
      });
    }
    this.#onChange?.();
  }

  /**
   * From now on, each response is the last one of its connection.
   * @returns resolves when no client has a connection or none has used it for `forMs`, after `withinMs`, or with `hurry`.
   */
  async drain({ forMs, withinMs, hurry }: DrainTimes): Promise<void> {
    for (const response of this.#open) response.shouldKeepAlive = false;
    const drained = createDeferred<void>();
    // Again and again, since clients may open them again on a connection that they have kept.
    const endListening = setInterval(() => this.#endListening(), forMs);
    const limit = setTimeout(drained.resolve, withinMs);
    let quiet: NodeJS.Timeout | undefined;
    this.#onChange = () => {
      clearTimeout(quiet);
      if (this.#connections.size === 0) drained.resolve();
      else if (this.#open.size === 0) quiet = setTimeout(drained.resolve, forMs);
    };
    this.#onChange();
    await Promise.race([drained.promise, hurry]);
    clearInterval(endListening);
    for (const timer of [limit, quiet]) clearTimeout(timer);
    this.#onChange = () => {};
  }

  /**
   * Event streams that a session of Streamable HTTP has opened would never end; their clients open them again, at last at another
   * relay. One without the header of a session is that of HTTP+SSE, on which the responses to calls come.
   */
  #endListening(): void {
    for (const response of this.#open) {
      const { method, headers } = response.req;
      const type = String(response.getHeader('content-type') ?? '');
      const isListening = method === 'GET' && headers['mcp-session-id'] !== undefined;
      if (isListening && type.startsWith('text/event-stream')) response.destroy();
    }
  }
}

interface DrainTimes {
  readonly forMs: number;
  readonly withinMs: number;
  readonly hurry: Promise<void>;
}

/**
 * Stops a relay. It accepts no more connections and sends its agents away, but forwards to them what comes on the connections
 * that there are, until all responses have ended, `drainMs` are over, or `hurry` resolves. Resolves when all sockets are closed.
 */
export async function drainRelay({
  servers,
  endpoint,
  responses,
  drainMs,
  hurry,
}: {
  readonly servers: readonly Server[];
  readonly endpoint: AgentEndpoint;
  readonly responses: OpenResponses;
  readonly drainMs: number;
  readonly hurry: Promise<void>;
}): Promise<void> {
  endpoint.close();
  const stopped = servers.map(stopListening);
  for (const agent of endpoint.agents) agent.goaway();
  await responses.drain({ forMs: Math.min(quietMs, drainMs / 3), withinMs: drainMs, hurry });
  // First, so that clients that wait for an agent get an error.
  const gone = endpoint.agents.map(async (agent) => {
    agent.close(1001, 'the relay is stopping');
    await agent.closed;
  });
  for (const server of servers) server.close();
  const timer = setTimeout(() => {
    for (const server of servers) server.closeAllConnections();
  }, tellMs);
  await Promise.all([...stopped, ...gone]);
  clearTimeout(timer);
}

/** Not with the method of the HTTP server, which also closes idle connections: a request may be under way on them. */
async function stopListening(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    NetServer.prototype.close.call(server, () => resolve());
  });
}
