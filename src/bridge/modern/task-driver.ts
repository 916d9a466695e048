import type { Clock } from '../../platform/clock.ts';
import { memberOf, rpcCode, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { newRequest } from '../../mcp/new-message.ts';
import { isObject } from '../../mcp/rpc-message.ts';
import { withInput } from '../translate/input-required.ts';
import { resultTypeOf } from '../translate/results.ts';
import { hasEnded, readTask, taskOutcome } from '../translate/tasks.ts';

/** How often a task is looked at whose server does not say, in milliseconds, and the bounds of what it may say. */
const usualIntervalMs = 1000;
const minIntervalMs = 100;
const maxIntervalMs = 60_000;

/** Looks at a task in a row whose answer may be lost: it runs on without them, but not for nobody. */
const maxLostLooks = 5;

/** What is known of the task of a call. */
interface Task {
  readonly id: string;
  readonly intervalMs: number;
  /** The keys of the input that the server has confirmed. */
  readonly answered: Set<string>;
  /** Those of the input that it was given and has not confirmed; undefined if there is none. */
  updating: readonly string[] | undefined;
  /** Looks since the last one that was answered. */
  lostLooks: number;
  /** Stops the wait for the next look. */
  cancelWait: () => void;
}

export interface TaskDriverOptions<Call> {
  readonly clock: Clock;
  /** Sends a request whose answer is for the call, under an id of its own. */
  readonly ask: (call: Call, request: RpcRequest) => void;
  /** Sends a request whose answer nobody needs. */
  readonly tell: (request: RpcRequest) => void;
  /** The server wants input for the task, some of which it may have been given: `answered` is called with the rest. */
  readonly onInputRequired: (call: Call, response: RpcResponse, answered: ReadonlySet<string>) => void;
  /** The task has come to an end, with the response to the call. */
  readonly onDone: (call: Call, response: RpcResponse) => void;
  /** The task, or the server, has failed without one. */
  readonly onFailed: (call: Call, message: string, isServerFault: boolean) => void;
}

/**
 * Waits for the tasks that a modern server makes of calls (SEP-2663), for a client that knows nothing of them: to it, such a
 * call only takes longer.
 */
export class TaskDriver<Call extends { readonly request: RpcRequest }> {
  readonly #options: TaskDriverOptions<Call>;
  readonly #tasks = new Map<Call, Task>();

  constructor(options: TaskDriverOptions<Call>) {
    this.#options = options;
  }

  /** Whether the server has made a task of the call. */
  has(call: Call): boolean {
    return this.#tasks.has(call);
  }

  /** The server has answered a call with the result type `task`, or has answered what was asked about it. */
  received(call: Call, response: RpcResponse): void {
    const known = this.#tasks.get(call);
    if (known?.updating !== undefined) {
      // Input that was not taken is asked for again.
      if (!response.failed) for (const key of known.updating) known.answered.add(key);
      known.updating = undefined;
      this.#lookLater(call, known);
      return;
    }
    if (known !== undefined && isLost(response)) {
      if (++known.lostLooks <= maxLostLooks) {
        this.#lookLater(call, known);
        return;
      }
      this.cancel(call);
    }
    this.#tasks.delete(call);
    if (response.failed) this.#options.onDone(call, response);
    else this.#follow(call, response, known?.answered ?? new Set());
  }

  #follow(call: Call, response: RpcResponse, answered: Set<string>): void {
    const { onDone, onFailed, onInputRequired } = this.#options;
    const state = readTask(response);
    if (state === undefined) {
      onFailed(call, 'the server does not say which task it has made of the call', true);
      return;
    }
    const outcome = taskOutcome(response, call.request.id);
    if (outcome !== undefined) {
      onDone(call, outcome);
      return;
    }
    const isAnswer = resultTypeOf(response) === 'complete';
    if (isAnswer && hasEnded(state)) {
      onFailed(call, 'the server does not say how the call has ended', true);
      return;
    }
    if (state.status === 'cancelled') {
      onFailed(call, 'the server has cancelled the call', false);
      return;
    }
    const { taskId: id, pollIntervalMs } = state;
    const intervalMs = typeof pollIntervalMs === 'number' ? pollIntervalMs : usualIntervalMs;
    const task: Task = { id, intervalMs, answered, updating: undefined, lostLooks: 0, cancelWait() {} };
    this.#tasks.set(call, task);
    if (state.status === 'input_required' && isAnswer && !isAnswered(response, answered)) {
      onInputRequired(call, response, answered);
    } else {
      this.#lookLater(call, task);
    }
  }

  /** The client has given what the server wants for the task. */
  answered(call: Call, answers: ReadonlyMap<string, Buffer>): void {
    const task = this.#tasks.get(call);
    if (task === undefined) return;
    task.updating = [...answers.keys()];
    this.#options.ask(
      call,
      withInput(newRequest(call.request.id, 'tasks/update', { taskId: task.id }), answers, undefined),
    );
  }

  /** Nobody waits for the task of the call any more. @returns whether it had one. */
  cancel(call: Call): boolean {
    const task = this.#tasks.get(call);
    if (task === undefined) return false;
    task.cancelWait();
    this.#tasks.delete(call);
    this.#options.tell(newRequest(call.request.id, 'tasks/cancel', { taskId: task.id }));
    return true;
  }

  /** Nobody waits for any of them any more. */
  cancelAll(): void {
    for (const call of this.#tasks.keys()) this.cancel(call);
  }

  /** Forgets all of it, without a word to the server. */
  clear(): void {
    for (const { cancelWait } of this.#tasks.values()) cancelWait();
    this.#tasks.clear();
  }

  #lookLater(call: Call, task: Task): void {
    const delayMs = Math.min(Math.max(task.intervalMs, minIntervalMs), maxIntervalMs);
    task.cancelWait = this.#options.clock.after(delayMs, () => {
      this.#options.ask(call, newRequest(call.request.id, 'tasks/get', { taskId: task.id }));
    });
  }
}

/**
 * Whether a task asks for nothing but what it was given: until a server has acted on `tasks/update`, it may go on to list it
 * (SEP-2663, `inputRequests`).
 */
function isAnswered(response: RpcResponse, answered: ReadonlySet<string>): boolean {
  const asked = memberOf(response.json['result'], 'inputRequests');
  return isObject(asked) && Object.keys(asked).every((key) => answered.has(key));
}

/** Whether it is our own error for a request without an answer, which says nothing of the task. */
function isLost(response: RpcResponse): boolean {
  if (!response.failed) return false;
  const { error } = response.json;
  const reason = memberOf(memberOf(error, 'data'), 'reason');
  const isOurs = typeof reason === 'string' && reason.startsWith('upstream_');
  return isOurs && memberOf(error, 'code') === rpcCode.internalError;
}
