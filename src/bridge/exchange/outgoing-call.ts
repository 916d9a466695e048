import { memberOf, type RequestId, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { editMessage } from '../../mcp/edit-message.ts';
import { editPlan, set } from '../../mcp/json/edit-members.ts';
import { newRequest } from '../../mcp/new-message.ts';
import { Renumbering } from '../../mcp/renumber.ts';
import { strippedEdits } from '../translate/envelope.ts';
import { createdTaskIn, type LegacyTask } from '../translate/legacy-tasks.ts';
import type { LegacyPeer, PeerCall } from './legacy-peer.ts';
import type { TaskSupport } from './task-support.ts';

/** A request of a modern client becomes one of a legacy client, whose progress token is its id. */
const toLegacy = new Renumbering(strippedEdits, true);

export interface OutgoingCallOptions {
  /** Of the client. */
  readonly request: RpcRequest;
  readonly hasProgress: boolean;
  readonly peer: LegacyPeer;
  readonly taskSupport: TaskSupport;
  /** How long a task should be kept of which the client is told, in milliseconds; undefined: it knows no tasks. */
  readonly taskTtlMs: number | undefined;
  /** Progress with this token is that of the call. */
  readonly onToken: (token: RequestId) => void;
}

/** What a call is in the server: one request, or a task that is begun with one and awaited with another. */
export class OutgoingCall {
  readonly #options: OutgoingCallOptions;
  #id: RequestId | undefined;
  #taskId: string | undefined;
  #isTask = false;

  constructor(options: OutgoingCallOptions) {
    this.#options = options;
  }

  /** Of the request that waits for an answer. */
  get id(): RequestId | undefined {
    return this.#id;
  }

  /** As which the server runs the call. */
  get taskId(): string | undefined {
    return this.#taskId;
  }

  /** Sends the call, which `call` gets the answer to; sent again, it is a new call. */
  send(call: PeerCall): void {
    const { request, hasProgress, peer, taskSupport, taskTtlMs, onToken } = this.#options;
    const id = peer.nextId();
    this.#id = id;
    this.#taskId = undefined;
    const support = request.method === 'tools/call' ? taskSupport.of(this.#tool) : undefined;
    this.#isTask = support === 'required' || (support === 'optional' && taskTtlMs !== undefined);
    if (hasProgress) onToken(id);
    const sent = toLegacy.request(request, id);
    const task = taskTtlMs === undefined ? '{}' : `{"ttl":${taskTtlMs}}`;
    peer.request(this.#isTask ? editMessage(sent, editPlan([[['params', 'task'], set(task)]])) : sent, call);
  }

  /** The task that the server says it has made of the call. */
  createdTask(response: RpcResponse): LegacyTask | undefined {
    return this.#isTask && this.#taskId === undefined ? createdTaskIn(response) : undefined;
  }

  /** Waits for a task, which `call` gets the result of. */
  awaitTask({ taskId }: LegacyTask, call: PeerCall): void {
    const { peer } = this.#options;
    this.#taskId = taskId;
    this.#id = peer.nextId();
    peer.request(newRequest(this.#id, 'tasks/result', { taskId }), call);
  }

  cancel(reason: string): void {
    const { peer } = this.#options;
    if (this.#taskId !== undefined) this.#cancelTask(this.#taskId);
    if (this.#id !== undefined) peer.cancel(this.#id, reason, this.#isTask ? this.#lateTask() : undefined);
    this.forget();
  }

  /** It is not in the server any more. */
  forget(): void {
    this.#id = undefined;
    this.#taskId = undefined;
  }

  /** A call that is cancelled before its task is known. */
  #lateTask(): PeerCall {
    return {
      answered: (response) => {
        const task = createdTaskIn(response);
        if (task !== undefined) this.#cancelTask(task.taskId);
      },
      failed() {},
    };
  }

  #cancelTask(taskId: string): void {
    this.#options.peer.tell('tasks/cancel', { taskId });
  }

  get #tool(): unknown {
    return memberOf(this.#options.request.json['params'], 'name');
  }
}
