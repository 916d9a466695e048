import { mkdtempSync, rmSync } from 'node:fs';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request as httpRequest } from 'node:http';
import type { Server } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import type { WebSocketServer } from 'ws';
import { WebSocket } from 'ws';
import { TunnelRequest } from '../../../src/tunnel/relay/agent/tunnel-request.ts';
import { TunnelResponse } from '../../../src/tunnel/relay/agent/tunnel-response.ts';
import { createIdentity } from '../../../src/tunnel/relay/protocol/identity.ts';
import type { RelayProviderOptions } from '../../../src/tunnel/providers/relay.ts';
import { createRelayProvider } from '../../../src/tunnel/providers/relay.ts';
import type { RequestHandler, Tunnel, TunnelStatus } from '../../../src/tunnel/provider.ts';
import type { RelayEvent } from '../../../src/tunnel/relay/server/relay-events.ts';
import { createRelay, type Relay, type RelayOptions } from '../../../src/tunnel/relay/server/relay.ts';

/** Bound for every wait, in milliseconds; far above what a loaded machine needs. */
const patienceMs = 25_000;

export interface World {
  relay: Relay;
  readonly events: RelayEvent[];
  agent(handler: AgentHandler, options?: Partial<RelayProviderOptions>): Promise<TestAgent>;
  /** Runs when the world ends, before the relay is closed. */
  defer(end: () => unknown): void;
  end(): Promise<void>;
}

/** For tunnels that need no socket. */
export async function noListener(): Promise<never> {
  throw new Error('no listener is needed');
}

/** A handler that sees what our own tunnel hands over. */
export type AgentHandler = (request: TunnelRequest, response: TunnelResponse) => void;

export interface TestAgent {
  readonly tunnel: Tunnel;
  readonly url: string;
  readonly statuses: TunnelStatus[];
  readonly warnings: string[];
}

/** A relay on loopback; agents join it with keys of their own. */
export async function startWorld(options: Partial<RelayOptions> = {}): Promise<World> {
  const events: RelayEvent[] = [];
  const ends: Array<() => unknown> = [];
  const relay = await createRelay({ host: '127.0.0.1', port: 0, onEvent: (event) => events.push(event), ...options });
  const world: World = {
    relay,
    events,
    async agent(handler, agentOptions = {}) {
      const statuses: TunnelStatus[] = [];
      const warnings: string[] = [];
      const provider = createRelayProvider({
        relayUrl: world.relay.url,
        keys: createIdentity(),
        env: {},
        ...agentOptions,
      });
      const tunnel = await provider.open(
        { handler: overTunnel(handler), localPort: 1, listen: noListener },
        {
          signal: new AbortController().signal,
          onStatus: (status) => statuses.push(status),
          onWarning: (warning) => warnings.push(warning),
        },
      );
      ends.push(async () => await tunnel.close());
      return { tunnel, url: tunnel.publicUrls[0] ?? '', statuses, warnings };
    },
    defer(end) {
      ends.push(end);
    },
    async end() {
      await Promise.all(ends.splice(0).map(async (end) => await end()));
      await world.relay.close();
    },
  };
  return world;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

/** One request on a connection of its own; rejects when the answer breaks off. */
export async function ask(
  url: string,
  options: { method?: string; headers?: OutgoingHttpHeaders; body?: string | Buffer; path?: string } = {},
): Promise<Reply> {
  return await within(
    new Promise<Reply>((resolve, reject) => {
      const { body, ...rest } = options;
      const request = httpRequest(url, { agent: false, ...rest }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            rawHeaders: response.rawHeaders,
            body: Buffer.concat(chunks).toString('utf8'),
          });
        });
      });
      request.on('error', reject);
      request.end(body);
    }),
    `an answer from ${url}`,
  );
}

/** Sends bytes as they are and returns all that comes back until the peer closes or `until` matches. */
export async function askRaw(port: number, bytes: string | Buffer, until?: RegExp): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  const received = new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (until?.test(text) === true) resolve(text);
    });
    socket.once('close', () => resolve(text));
  });
  socket.write(bytes);
  try {
    return await within(received, 'raw answer');
  } finally {
    socket.destroy();
  }
}

/** The promise, or an error that says what was awaited in vain. */
export async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`waited in vain for ${what}`));
    }, patienceMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again each turn until `probe` returns something. For state that has no event. */
export async function eventually<T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
): Promise<T> {
  const deadline = Date.now() + patienceMs;
  async function* looks(): AsyncGenerator<T | undefined | false> {
    while (Date.now() < deadline) {
      yield probe();
      yield pause(5);
    }
  }
  for await (const value of looks()) {
    if (value !== undefined && value !== false) return value;
  }
  throw new Error(`waited in vain for ${what}`);
}

/** Milliseconds; only for looking again, never instead of an event. */
export async function pause(delayMs: number): Promise<undefined> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, delayMs);
  });
  return undefined;
}

/** Runs the steps one after the other. */
export async function inTurn<T, R>(items: Iterable<T>, step: (item: T) => Promise<R>): Promise<R[]> {
  async function* run(): AsyncGenerator<R> {
    for (const item of items) yield step(item);
  }
  const results: R[] = [];
  for await (const result of run()) results.push(result);
  return results;
}

/** Resolves when two looks in a row, `delayMs` apart, show what the look before did. */
export async function settled(probe: () => number, what: string): Promise<number> {
  let last = -1;
  return await eventually(async () => {
    const before = probe();
    await pause(200);
    const isStill = before === probe() && last === before;
    last = before;
    return isStill ? { value: before } : undefined;
  }, what).then(({ value }) => value);
}

/** The head of the answer to a request under way. */
export async function headOf(request: ClientRequest): Promise<IncomingMessage> {
  const head = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
  });
  return await within(head, 'the head of an answer');
}

/** A folder for one test. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'mcp-expose-test-'));
  return {
    path,
    remove() {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** A WebSocket to a relay's tunnel path that speaks for itself. */
export async function rawAgent(relayUrl: string): Promise<RawAgent> {
  const socket = new WebSocket(`${relayUrl.replace('http', 'ws')}/_mcp-expose/v1/tunnel`, ['mcp-expose.v1']);
  const messages: Array<Record<string, unknown>> = [];
  const closed = new Promise<number>((resolve) => {
    socket.once('close', resolve);
  });
  socket.on('error', () => undefined);
  socket.on('message', (data: Buffer, isBinary) => {
    if (!isBinary) messages.push(fieldsOf(data.toString()));
  });
  await within(once(socket, 'open'), 'the WebSocket');
  return {
    socket,
    messages,
    get closed() {
      return within(closed, 'the close');
    },
    async receive(type) {
      return await eventually(() => messages.find((message) => message['type'] === type), `a ${type}`);
    },
  };
}

export interface RawAgent {
  readonly socket: WebSocket;
  readonly messages: ReadonlyArray<Record<string, unknown>>;
  readonly closed: Promise<number>;
  receive(type: string): Promise<Record<string, unknown>>;
}

/** A handler that answers with its name and the request's own words. */
export const echo: AgentHandler = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = JSON.stringify({
      method: request.method,
      url: request.url,
      headers: request.headers,
      rawHeaders: request.rawHeaders,
      body: Buffer.concat(chunks).toString('utf8'),
    });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(body);
  });
};

/** A test's handler as the provider wants it. */
export function overTunnel(handler: AgentHandler): RequestHandler {
  return (request, response) => {
    if (request instanceof TunnelRequest && response instanceof TunnelResponse) handler(request, response);
  };
}

/** The fields of a JSON object. */
export function fieldsOf(json: string): Record<string, unknown> {
  const value: unknown = JSON.parse(json);
  if (typeof value !== 'object' || value === null) throw new TypeError(`not an object: ${json}`);
  return Object.fromEntries(Object.entries(value));
}

/** The port of a server that listens. */
export function portOf(server: Server | WebSocketServer): number {
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new TypeError('the server does not listen');
  return address.port;
}
