// Several sessions over one server in memory.
import { createSharedUpstream, type SharedUpstream } from '../../../src/bridge/shared/shared-upstream.ts';
import type { Upstream, UpstreamEnd } from '../../../src/bridge/upstream/upstream.ts';
import { parseMessage, type RequestId, type RpcMessage, type RpcRequest } from '../../../src/mcp/json-rpc.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { agreement, notification, request } from '../messages.ts';

/** A session as the shared upstream sees it. */
export interface Client {
  readonly upstream: Upstream;
  /** What it got since the last time that this was read, as text. */
  take(): string[];
  readonly origins: (RequestId | undefined)[];
  readonly losses: UpstreamEnd[];
  readonly ends: UpstreamEnd[];
  /** Called with each message that it gets. */
  onGot: (message: RpcMessage) => void;
}

export interface SharedWorld {
  readonly shared: SharedUpstream;
  /** Every server that was created, in order. */
  readonly servers: FakeUpstream[];
  readonly clock: FakeClock;
  readonly warnings: string[];
  /** The newest server. */
  server(): FakeUpstream;
  /** What the newest server was sent since the last time that this was read. */
  sent(): string[];
  attach(): Client;
  /** Attaches a session and opens it, long ago: nothing of that is left in `take` and `sent`, nor is it active. */
  join(capabilities?: object): Promise<Client>;
}

export function sharedWorld(): SharedWorld {
  const servers: FakeUpstream[] = [];
  const warnings: string[] = [];
  const clock = createFakeClock();
  const read = new Map<FakeUpstream, number>();
  const shared = createSharedUpstream({
    create() {
      const server = createFakeUpstream();
      servers.push(server);
      return server;
    },
    onWarning: (message) => warnings.push(message),
    clock,
  });

  function newest(): FakeUpstream {
    const server = servers.at(-1);
    if (server === undefined) throw new Error('there is no server yet');
    return server;
  }

  function sent(): string[] {
    const lines = newest().sent.slice(read.get(newest()) ?? 0);
    read.set(newest(), newest().sent.length);
    return lines;
  }

  function attach(): Client {
    const upstream = shared.attach();
    const got: string[] = [];
    const client: Client = {
      upstream,
      take: () => got.splice(0),
      origins: [],
      losses: [],
      ends: [],
      onGot() {},
    };
    upstream.start({
      onMessage(message, origin) {
        got.push(message.bytes.toString());
        client.origins.push(origin);
        client.onGot(message);
      },
      onLost: (end) => client.losses.push(end),
      onClose: (end) => client.ends.push(end),
    });
    return client;
  }

  return {
    shared,
    servers,
    clock,
    warnings,
    server: newest,
    sent,
    attach,
    async join(capabilities = {}) {
      const client = attach();
      client.upstream.send(opening('join', capabilities));
      const [line] = sent();
      if (line !== undefined) newest().say(agreement(idIn(line)));
      await answered();
      client.upstream.send(notification('notifications/initialized'));
      sent();
      client.take();
      client.origins.length = 0;
      clock.advance(10_000);
      return client;
    },
  };
}

/** A client's `initialize`. */
export function opening(id: RequestId, capabilities: object = {}, protocolVersion = '2025-11-25'): RpcRequest {
  return request(id, 'initialize', { protocolVersion, capabilities, clientInfo: { name: 'x', version: '0' } });
}

/** Until answers that are not the server's have come. */
export async function answered(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

export function idIn(line: string | undefined): RequestId {
  return parseJson<{ id: RequestId }>(line ?? '{}').id;
}

/** A message of exactly these bytes. */
export function written(text: string): RpcMessage {
  const parsed = parseMessage(Buffer.from(text));
  if (parsed.kind === 'fault') throw new Error(`the test wrote no message: ${parsed.reason}`);
  return parsed;
}
