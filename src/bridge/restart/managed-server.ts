import { systemClock, type Clock } from '../../platform/clock.ts';
import type { Era } from '../../mcp/revisions.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { Coexistence } from './coexistence.ts';
import { ManagedConnection, type ConnectionOwner } from './managed-connection.ts';
import { UpstreamHealth } from './upstream-health.ts';
import { WarmPool } from './warm-pool.ts';

/** Servers that are started ahead of the sessions that will need them, as soon as they are known to bear each other. */
const defaultWarm = 1;

export interface ManagedServerOptions extends Pick<ConnectionOwner, 'connect' | 'onDoubt'> {
  /** Whether each connection is a process of ours, which may not bear another one and can be started ahead. */
  readonly isProcess: boolean;
  /** Whether one connection serves all sessions. */
  readonly isShared: boolean;
  /** Number of idle servers to keep ready. */
  readonly warm?: number | undefined;
  readonly clock?: Clock;
  readonly random?: (() => number) | undefined;
  readonly onWarning: (message: string) => void;
}

/** One server: the connections to it, those that are kept ready, and what is known from all of them. */
export class ManagedServer {
  readonly coexistence: Coexistence;
  readonly health: UpstreamHealth;
  readonly #isShared: boolean;
  readonly #warmPool: WarmPool;
  readonly #owner: ConnectionOwner;

  constructor(options: ManagedServerOptions) {
    const { connect, isProcess, isShared, warm, clock = systemClock, random, onDoubt, onWarning } = options;
    this.health = new UpstreamHealth(clock);
    this.#isShared = isShared;
    // Whoever asks for processes that wait beside those in use says that they may be.
    const isWanted = !isShared && warm !== undefined && warm > 0;
    this.coexistence = new Coexistence({
      knowledge: isProcess ? (isWanted ? 'wanted' : 'unknown') : 'proven',
      onChange: () => this.#warmPool.refill(),
      onWarning,
    });
    const count = warm ?? defaultWarm;
    this.#warmPool = new WarmPool({
      create: () => new ManagedConnection(this.#owner),
      // The one that all sessions share is started ahead; after that, nobody will need another one.
      count: isProcess ? (isShared ? Math.min(1, count) : count) : 0,
      isRefilled: !isShared,
      mayKeep: () => this.coexistence.isFree,
      clock,
      random,
      onWarning,
    });
    this.#owner = {
      connect,
      clock,
      coexistence: this.coexistence,
      health: this.health,
      onDoubt,
      onWorks: () => this.#warmPool.works(),
      onUnused: (connection, reason) => this.#warmPool.died(connection, reason),
    };
  }

  begin(): void {
    this.#warmPool.begin();
  }

  /**
   * A connection for a client: the oldest idle one, or a new one. For whoever takes it, both are not yet started.
   * @param era a process that was started ahead has been told nothing yet, and serves either.
   */
  take(era: Era = 'legacy'): Upstream {
    return this.#warmPool.take() ?? new ManagedConnection(this.#owner, false, era);
  }

  /** Whether a session would start no process beside one that may not bear it. */
  mayBeTried(): boolean {
    return this.#isShared || this.mayBeAsked();
  }

  /** Whether `look` would start no process beside one that may not bear it. */
  mayBeAsked(): boolean {
    return this.coexistence.isAllowed || this.coexistence.count === this.#warmPool.ready;
  }

  /** Lets somebody use a connection of its own, beside which no other one is made unless they may coexist. */
  look<T>(use: (connection: Upstream) => Promise<T>, era: Era = 'legacy'): Promise<T> {
    if (!this.coexistence.isAllowed) this.#warmPool.dismiss();
    return new Promise((resolve, reject) => {
      this.coexistence.whenClear(() => void this.#lookNow(use, era).then(resolve, reject));
    });
  }

  /** Ends what no client has; resolves when nothing is left of that and of all else that is ending. */
  close(): Promise<void> {
    this.#warmPool.close();
    return this.coexistence.allEnded();
  }

  async #lookNow<T>(use: (connection: Upstream) => Promise<T>, era: Era): Promise<T> {
    const connection = new ManagedConnection(this.#owner, true, era);
    try {
      return await use(connection);
    } finally {
      void connection.close();
    }
  }
}
