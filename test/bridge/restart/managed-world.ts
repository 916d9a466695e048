// The parts of a managed server over servers in memory, in a time that the test moves.
import { Coexistence, type Knowledge } from '../../../src/bridge/restart/coexistence.ts';
import { ManagedConnection, type ConnectionOwner } from '../../../src/bridge/restart/managed-connection.ts';
import { UpstreamHealth } from '../../../src/bridge/restart/upstream-health.ts';
import { WarmPool } from '../../../src/bridge/restart/warm-pool.ts';
import type { RequestId, RpcMessage } from '../../../src/mcp/json-rpc.ts';
import type { Upstream, UpstreamEnd } from '../../../src/bridge/upstream/upstream.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';

export interface ManagedWorldOptions {
  readonly knowledge?: Knowledge;
  /** Of idle servers. */
  readonly count?: number;
  readonly isRefilled?: boolean;
  readonly mayKeep?: () => boolean;
}

export interface ManagedWorld {
  readonly coexistence: Coexistence;
  readonly health: UpstreamHealth;
  readonly warmPool: WarmPool;
  /** The servers behind the connections, the first one first, and whether each is wanted. */
  readonly made: FakeUpstream[];
  readonly wanted: (() => boolean)[];
  readonly clock: FakeClock;
  readonly warnings: string[];
  /** How often another process could be started. */
  readonly changes: () => number;
  readonly connect: (isBrief?: boolean) => ManagedConnection;
  /** An idle one, or a new one. */
  readonly take: () => ManagedConnection;
}

export function managedWorld(options: ManagedWorldOptions = {}): ManagedWorld {
  const { knowledge = 'proven', count = 0, isRefilled = true, mayKeep = () => true } = options;
  const made: FakeUpstream[] = [];
  const wanted: (() => boolean)[] = [];
  const warnings: string[] = [];
  const clock = createFakeClock();
  const onWarning = (warning: string): void => void warnings.push(warning);
  let changes = 0;
  const coexistence = new Coexistence({ knowledge, onChange: () => void changes++, onWarning });
  const health = new UpstreamHealth(clock);
  const owner: ConnectionOwner = {
    connect(isWanted) {
      const upstream = createFakeUpstream();
      made.push(upstream);
      wanted.push(isWanted);
      return upstream;
    },
    coexistence,
    health,
    clock,
    onWorks: () => warmPool.works(),
    onUnused: (connection, reason) => warmPool.died(connection, reason),
  };
  const connect = (isBrief?: boolean): ManagedConnection => new ManagedConnection(owner, isBrief);
  const warmPool = new WarmPool({ create: connect, count, isRefilled, mayKeep, clock, random: () => 1, onWarning });
  const take = (): ManagedConnection => warmPool.take() ?? connect();
  return { coexistence, health, warmPool, made, wanted, clock, warnings, changes: () => changes, connect, take };
}

export interface Used {
  readonly messages: RpcMessage[];
  readonly origins: (RequestId | undefined)[];
  readonly ends: UpstreamEnd[];
  readonly lost: UpstreamEnd[];
}

/** Starts a connection, and notes what comes from it. */
export function use(upstream: Upstream): Used {
  const used: Used = { messages: [], origins: [], ends: [], lost: [] };
  upstream.start({
    onMessage(message, origin) {
      used.messages.push(message);
      used.origins.push(origin);
    },
    onLost: (end) => used.lost.push(end),
    onClose: (end) => used.ends.push(end),
  });
  return used;
}
