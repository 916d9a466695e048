import { randomBytes } from 'node:crypto';

import type { Clock } from '../../platform/clock.ts';
import { rpcCode } from '../../mcp/json-rpc.ts';
import type { CallFailure } from '../session/pending-request.ts';
import type { Task, TaskContext } from './task.ts';

/** Longest time for which a task is kept from its creation, in milliseconds: so long it keeps its server alive. */
export const maxTaskTtlMs: number = 24 * 60 * 60_000;

/** Tasks of one caller, and of all. Beyond it, the oldest is forgotten of which the client has got the result. */
const maxPerOwner = 64;
const maxTasks = 256;

interface Entry {
  readonly task: Task;
  readonly cancelTimeout: () => void;
}

/** The tasks of all modern clients of a legacy server, each of which its owner alone may see. */
export class Tasks {
  readonly #clock: Clock;
  readonly #tasks = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Number of tasks. */
  get size(): number {
    return this.#tasks.size;
  }

  /** Whether there can be one more. */
  hasRoom(owner: string): boolean {
    const full = this.#full(owner);
    return full.length === 0 || full.some(({ isSettled }) => isSettled);
  }

  /**
   * Takes up a task, for at most `maxTaskTtlMs`.
   * @param ttlMs for how long the server keeps it, if it says so.
   * @returns undefined if there is no room.
   */
  add(
    owner: string,
    ttlMs: number | undefined,
    create: (identity: { readonly taskId: string; readonly ttlMs: number }) => Task,
  ): Task | undefined {
    if (!this.hasRoom(owner)) return undefined;
    const settled = this.#full(owner).find(({ isSettled }) => isSettled);
    if (settled !== undefined) this.#remove(settled);
    // 128 bits, which nobody can guess (SEP-2663, "Task ID unguessability").
    const identity = {
      taskId: randomBytes(16).toString('base64url'),
      ttlMs: Math.min(ttlMs ?? maxTaskTtlMs, maxTaskTtlMs),
    };
    const task = create(identity);
    const cancelTimeout = this.#clock.after(identity.ttlMs, () => {
      this.#remove(task);
      if (!task.isSettled) task.cancel();
    });
    this.#tasks.set(task.id, { task, cancelTimeout });
    return task;
  }

  /** Undefined for a task of another owner, as for one that is not there. */
  find(id: unknown, owner: string): Task | undefined {
    const task = typeof id === 'string' ? this.#tasks.get(id)?.task : undefined;
    return task?.owner === owner ? task : undefined;
  }

  /** The server of a connection is gone, and with it its tasks. */
  lose(context: TaskContext): void {
    for (const { task } of this.#tasks.values()) {
      if (!task.isOf(context)) continue;
      this.#remove(task);
      task.lose();
    }
  }

  #remove({ id }: Task): void {
    this.#tasks.get(id)?.cancelTimeout();
    this.#tasks.delete(id);
  }

  /** Those of which there are too many; empty if there are not. */
  #full(owner: string): readonly Task[] {
    const all = Array.from(this.#tasks.values(), ({ task }) => task);
    const own = all.filter((task) => task.owner === owner);
    if (own.length >= maxPerOwner) return own;
    return all.length >= maxTasks ? all : [];
  }
}

/** The same for a task that is not there, and for one of somebody else. */
export const unknownTask: CallFailure = {
  code: rpcCode.invalidParams,
  message: 'there is no such task, or not any more',
  data: { reason: 'unknown_task' },
};
