import type { Clock } from '../../platform/clock.ts';
import type { LegacyConnection } from './legacy-connection.ts';
import type { CallFailure } from '../session/pending-request.ts';

/** Each connection may be a process, which may well need 100 MB. */
export const defaultMaxChildren = 16;

/** A connection that nobody has used for so long is ended, in milliseconds. */
export const defaultIdleTimeoutMs: number = 10 * 60_000;

/** In how many steps the time of an idle connection is measured: it ends at most one step too late. */
const looksPerTimeout = 20;

export interface ConnectionPoolOptions {
  readonly maxChildren: number;
  readonly idleTimeoutMs: number;
  readonly clock: Clock;
  /** For one that has been idle for too long, or has to make room. */
  readonly unused: CallFailure;
  /** A connection was ended to make room for another one. */
  readonly onEvicted: () => void;
}

interface Entry {
  readonly connection: LegacyConnection;
  lastUse: number;
}

/** Why there is no connection: all are in use (`full`), or the caller has so many that the rest is for others (`share`). */
export type NoRoom = 'full' | 'share';

/**
 * The connections to one server, by what they are for. When there are too many, the one that has been idle longest gives way. A
 * caller that is alone gets all but one: the last place is for a caller without any. As long as others have some, it gets another
 * one only while more are left for them than it has itself, so that who comes later has fewer, but one.
 */
export class ConnectionPool {
  readonly #options: ConnectionPoolOptions;
  /** Those used last stand last. */
  readonly #open = new Map<string, Entry>();
  readonly #endings = new Set<Promise<void>>();
  #stopLooking: (() => void) | undefined;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  all(): readonly LegacyConnection[] {
    return Array.from(this.#open.values(), ({ connection }) => connection);
  }

  find(key: string): LegacyConnection | undefined {
    const entry = this.#open.get(key);
    if (entry === undefined) return undefined;
    this.touch(key);
    return entry.connection;
  }

  /** The connection of this key is in use, or was until now. */
  touch(key: string): void {
    const entry = this.#open.get(key);
    if (entry === undefined) return;
    entry.lastUse = this.#options.clock.now();
    this.#open.delete(key);
    this.#open.set(key, entry);
  }

  /** @param callerId whose connection it will be. */
  open(key: string, callerId: string, create: () => LegacyConnection): LegacyConnection | NoRoom {
    const noRoom = this.#makeRoom(callerId);
    if (noRoom !== undefined) return noRoom;
    const connection = create();
    this.#open.set(key, { connection, lastUse: this.#options.clock.now() });
    this.#look();
    connection.start();
    return connection;
  }

  /** A connection is over. @param ending resolves when nothing of it is left. */
  remove(key: string, ending: Promise<void>): void {
    this.#open.delete(key);
    if (this.#open.size === 0) {
      this.#stopLooking?.();
      this.#stopLooking = undefined;
    }
    const tracked = ending.finally(() => this.#endings.delete(tracked));
    this.#endings.add(tracked);
  }

  /** Ends all; resolves when nothing is left. */
  async close(failure: CallFailure): Promise<void> {
    for (const connection of this.all()) void connection.close(failure);
    await Promise.all(this.#endings);
  }

  /** Processes that do not want to end count too: to open and evict connections in turn must not pile them up. */
  #makeRoom(callerId: string): NoRoom | undefined {
    const { maxChildren, unused, onEvicted } = this.#options;
    if (this.#open.size + this.#endings.size >= 2 * maxChildren) return 'full';
    const free = maxChildren - this.#open.size;
    const all = this.all();
    const own = all.filter((connection) => connection.callerId === callerId);
    const evictable = this.#evictable();
    const leftToOthers = free + evictable.filter((connection) => connection.callerId !== callerId).length;
    const keptForOthers = own.length === all.length ? 1 : own.length;
    const mayGrow = own.length === 0 || leftToOthers > keptForOthers;
    if (mayGrow && free > 0) return undefined;
    const evicted = mayGrow ? evictable[0] : evictable.find((connection) => connection.callerId === callerId);
    if (evicted === undefined) return mayGrow ? 'full' : 'share';
    onEvicted();
    void evicted.close(unused);
    return undefined;
  }

  /**
   * Those that may have to make room: idle ones, and after them those with tasks that nobody has looked at for long, since a client
   * may make some and never come back.
   */
  #evictable(): readonly LegacyConnection[] {
    const { clock, idleTimeoutMs } = this.#options;
    const entries = [...this.#open.values()];
    const idle = entries.filter(({ connection }) => !connection.isBusy());
    const leftAlone = entries.filter(
      ({ connection, lastUse }) =>
        connection.isBusy() && connection.holdsOnlyTasks() && clock.now() - lastUse >= idleTimeoutMs,
    );
    return [...idle, ...leftAlone].map(({ connection }) => connection);
  }

  #look(): void {
    const { clock, idleTimeoutMs } = this.#options;
    this.#stopLooking ??= clock.after(idleTimeoutMs / looksPerTimeout, () => {
      this.#stopLooking = undefined;
      this.#endIdle();
      if (this.#open.size > 0) this.#look();
    });
  }

  #endIdle(): void {
    const { clock, idleTimeoutMs, unused } = this.#options;
    for (const { connection, lastUse } of this.#open.values()) {
      if (!connection.isBusy() && clock.now() - lastUse >= idleTimeoutMs) void connection.close(unused);
    }
  }
}
