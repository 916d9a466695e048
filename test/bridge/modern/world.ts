// Clients of one modern server in memory, in a time that the test moves.
import { Coexistence } from '../../../src/bridge/restart/coexistence.ts';
import { UpstreamHealth } from '../../../src/bridge/restart/upstream-health.ts';
import type { ModernMux } from '../../../src/bridge/modern/modern-mux.ts';
import { createSharedModern } from '../../../src/bridge/modern/shared-modern.ts';
import type { Upstream, UpstreamEnd } from '../../../src/bridge/upstream/upstream.ts';
import type { RequestId, RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';

export interface ModernClient {
  readonly upstream: Upstream;
  /** What it got since the last time that this was read, as text. */
  take(): string[];
  readonly origins: (RequestId | undefined)[];
  readonly losses: UpstreamEnd[];
  readonly ends: UpstreamEnd[];
  /** Called with each message that it gets. */
  onGot: (message: RpcMessage) => void;
}

export interface ModernWorld {
  readonly shared: ModernMux;
  /** Every connection that was made, in order. */
  readonly servers: FakeUpstream[];
  readonly clock: FakeClock;
  readonly warnings: string[];
  readonly restarts: () => number;
  /** The newest. */
  server(): FakeUpstream;
  /** What the newest was sent since the last time that this was read. */
  sent(): string[];
  attach(): ModernClient;
}

export interface ModernWorldOptions {
  /** Called with each connection before it is used. */
  readonly prepare?: (server: FakeUpstream) => void;
  readonly whenClear?: (connect: () => void) => () => void;
}

export function modernWorld({ prepare, whenClear }: ModernWorldOptions = {}): ModernWorld {
  const servers: FakeUpstream[] = [];
  const warnings: string[] = [];
  const clock = createFakeClock();
  const read = new Map<FakeUpstream, number>();
  const health = new UpstreamHealth(clock);
  const coexistence = new Coexistence({ knowledge: 'proven', onChange() {}, onWarning() {} });
  if (whenClear !== undefined) coexistence.whenClear = whenClear;
  const shared = createSharedModern({
    server: {
      take() {
        const server = createFakeUpstream();
        servers.push(server);
        prepare?.(server);
        return server;
      },
      coexistence,
      health,
    },
    clock,
    random: () => 1,
    onWarning: (message) => warnings.push(message),
  });

  function newest(): FakeUpstream {
    const server = servers.at(-1);
    if (server === undefined) throw new Error('there is no server yet');
    return server;
  }

  return {
    shared,
    servers,
    clock,
    warnings,
    restarts: () => health.report().restarts,
    server: newest,
    sent() {
      const lines = newest().sent.slice(read.get(newest()) ?? 0);
      read.set(newest(), newest().sent.length);
      return lines;
    },
    attach() {
      const upstream = shared.attach();
      const got: string[] = [];
      const client: ModernClient = {
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
    },
  };
}
