import type { Upstream } from '../upstream/upstream.ts';
import { Coexistence, type Knowledge } from './coexistence.ts';
import { ManagedConnection, type ConnectionOwner } from './managed-connection.ts';
import { UpstreamHealth } from './upstream-health.ts';
import { WarmPool } from './warm-pool.ts';

/** Servers that are started ahead of the sessions that will need them, as soon as they are known to bear each other. */
const defaultWarm = 1;

export interface ManagedServerOptions extends Pick<ConnectionOwner, 'connect' | 'clock'> {
  /** Whether each connection is a process of ours, which may not bear another one and can be started ahead. */
  readonly isProcess: boolean;
  /** Whether one connection serves all sessions. */
  readonly isShared: boolean;
  /** Number of idle servers to keep ready. */
  readonly warm?: number | undefined;
  /** Returns 0 to 1 as Math.random does. */
  readonly random?: (() => number) | undefined;
  readonly onWarning: (message: string) => void;
}

/** One server: the connections to it, those that are kept ready, and what is known from all of them. */
export class ManagedServer {
  readonly health: UpstreamHealth;
  readonly #isShared: boolean;
  readonly #coexistence: Coexistence;
  readonly #warmPool: WarmPool;
  readonly #owner: ConnectionOwner;
  /** Of connections that have served a look. */
  readonly #endings = new Set<Promise<void>>();

  constructor(options: ManagedServerOptions) {
    const { connect, isProcess, isShared, warm, clock, random, onWarning } = options;
    this.health = new UpstreamHealth(clock);
    this.#isShared = isShared;
    this.#coexistence = new Coexistence({
      knowledge: initialKnowledge(options),
      onChange: () => this.#warmPool.refill(),
      onWarning,
    });
    const count = warm ?? defaultWarm;
    this.#warmPool = new WarmPool({
      create: () => new ManagedConnection(this.#owner),
      // The one that all sessions share is started ahead; after that, nobody will need another one.
      count: isProcess ? (isShared ? Math.min(1, count) : count) : 0,
      isRefilled: !isShared,
      mayKeep: () => this.#coexistence.isFree,
      clock,
      random,
      onWarning,
    });
    this.#owner = {
      connect,
      clock,
      coexistence: this.#coexistence,
      health: this.health,
      onWorks: () => this.#warmPool.works(),
      onUnused: (connection, reason) => this.#warmPool.died(connection, reason),
    };
  }

  /** Whether connections are known to live side by side without harm, or the user says so. */
  get mayCoexist(): boolean {
    return this.#coexistence.isAllowed;
  }

  /** Number of idle servers that live. */
  get ready(): number {
    return this.#warmPool.ready;
  }

  /** Starts the idle servers. */
  begin(): void {
    this.#warmPool.begin();
  }

  /** Calls back when a connection may be made. Returns how to cancel that. */
  whenClear(connect: () => void): () => void {
    return this.#coexistence.whenClear(connect);
  }

  /** A connection for a client: the oldest idle one, or a new one. For whoever takes it, both are not yet started. */
  take(): Upstream {
    return this.#warmPool.take() ?? new ManagedConnection(this.#owner);
  }

  /** Whether a session would start no process beside one that may not bear it. */
  mayBeTried(): boolean {
    return this.#isShared || this.mayCoexist || this.#coexistence.count === this.ready;
  }

  /** Lets somebody use a connection of its own, beside which no other one is made unless they may coexist. */
  look<T>(use: (connection: Upstream) => Promise<T>): Promise<T> {
    if (!this.mayCoexist) this.#warmPool.dismiss();
    return new Promise((resolve, reject) => {
      this.whenClear(() => void this.#lookNow(use).then(resolve, reject));
    });
  }

  /** Resolves when nothing is left of the connections that have served a look. */
  async looksEnded(): Promise<void> {
    await Promise.all(this.#endings);
  }

  /** Ends what no client has; resolves when nothing of it is left. */
  async close(): Promise<void> {
    await Promise.all([this.#warmPool.close(), this.looksEnded()]);
  }

  async #lookNow<T>(use: (connection: Upstream) => Promise<T>): Promise<T> {
    const connection = new ManagedConnection(this.#owner, true);
    try {
      return await use(connection);
    } finally {
      const ending = connection.close().finally(() => this.#endings.delete(ending));
      this.#endings.add(ending);
    }
  }
}

function initialKnowledge({ isProcess, isShared, warm = 0 }: ManagedServerOptions): Knowledge {
  if (!isProcess) return 'proven';
  // Whoever asks for processes that wait beside those in use says that they may be.
  return !isShared && warm > 0 ? 'wanted' : 'unknown';
}
