import { memberOf, type RpcNotification, type RpcRequest } from '../../mcp/json-rpc.ts';
import { declaresTasks } from '../translate/capabilities.ts';
import { ttlOf, type LegacyTask } from '../translate/legacy-tasks.ts';
import { taskIdsIn } from '../translate/subscriptions.ts';
import type { ServerSide } from './client-call.ts';
import type { LegacyPeer } from './legacy-peer.ts';
import type { Listeners } from './listeners.ts';
import type { RunningCall } from './running-call.ts';
import { Task, type TaskContext } from './task.ts';
import { maxTaskTtlMs, type Tasks } from './tasks.ts';

export interface ConnectionTasksOptions {
  /** Those of all connections. */
  readonly tasks: Tasks;
  /** Whose connection it is. */
  readonly owner: string;
  readonly peer: LegacyPeer;
  readonly server: ServerSide;
  readonly listeners: Listeners;
  /** What the server is at work on: it must not go before the client has got the result of a task. */
  readonly running: Set<RunningCall>;
  /** The connection is in use, or was until now. */
  readonly onUse: () => void;
}

/** The tasks of one connection. */
export class ConnectionTasks implements TaskContext {
  readonly peer: LegacyPeer;
  readonly server: ServerSide;
  readonly #options: ConnectionTasksOptions;

  constructor(options: ConnectionTasksOptions) {
    this.peer = options.peer;
    this.server = options.server;
    this.#options = options;
  }

  /** For how long a task should be kept for this client, in milliseconds; undefined: it knows none, or there is no room. */
  ttlMs(capabilities: unknown): number | undefined {
    const { tasks, owner } = this.#options;
    return declaresTasks(capabilities) && tasks.hasRoom(owner) ? maxTaskTtlMs : undefined;
  }

  /** Takes up what the server has made of a call, if the client knows tasks and there is room. */
  add(created: LegacyTask, capabilities: unknown): Task | undefined {
    if (!declaresTasks(capabilities)) return undefined;
    const { tasks, owner, running } = this.#options;
    const task = tasks.add(
      owner,
      ttlOf(created),
      (identity) => new Task({ ...identity, owner, created, capabilities, context: this }),
    );
    if (task !== undefined) running.add(task);
    return task;
  }

  /** Those of whose changes a client asks to be told. */
  namedIn(listen: RpcRequest): readonly string[] {
    const { tasks, owner } = this.#options;
    return taskIdsIn(listen).filter((id) => tasks.find(id, owner)?.isOf(this) === true);
  }

  /** A `notifications/tasks/status` of the server. */
  changed({ json }: RpcNotification): void {
    const taskId = memberOf(json['params'], 'taskId');
    for (const running of this.#options.running) {
      if (running instanceof Task && running.taskId === taskId) running.changed();
    }
  }

  /** The server is gone, and its tasks with it. */
  lose(): void {
    this.#options.tasks.lose(this);
  }

  isWatched(taskId: string): boolean {
    return this.#options.listeners.hasTask(taskId);
  }

  publish(taskId: string, notification: RpcNotification, onTaken: () => void): void {
    this.#options.listeners.notifyTask(taskId, notification, onTaken);
  }

  touch(): void {
    this.#options.onUse();
  }

  onSettled(task: Task): void {
    this.#options.running.delete(task);
    this.touch();
  }
}
