import { memberOf, requestTokenPath, type RequestId, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { editMessage } from '../../mcp/edit-message.ts';
import { editPlan, set } from '../../mcp/json/edit-members.ts';
import { newRequest } from '../../mcp/new-message.ts';
import { Renumbering } from '../../mcp/renumber.ts';
import { strippedEdits } from '../translate/envelope.ts';
import type { LegacyPeer, PeerCall } from './legacy-peer.ts';
import type { RequiredTasks } from './required-tasks.ts';

/** A request of a modern client becomes one of a legacy client, whose progress token is its id. */
const toLegacy = new Renumbering(strippedEdits, requestTokenPath);

export interface OutgoingCallOptions {
  /** Of the client. */
  readonly request: RpcRequest;
  readonly hasProgress: boolean;
  readonly peer: LegacyPeer;
  readonly tasks: RequiredTasks;
  /** Progress with this token is that of the call. */
  readonly onToken: (token: RequestId) => void;
}

const asTask = editPlan([[['params', 'task'], set('{}')]]);

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
    const { request, hasProgress, peer, tasks, onToken } = this.#options;
    const id = peer.nextId();
    this.#id = id;
    this.#taskId = undefined;
    this.#isTask = request.method === 'tools/call' && tasks.has(this.#tool);
    if (hasProgress) onToken(id);
    const sent = toLegacy.request(request, id);
    peer.request(this.#isTask ? editMessage(sent, asTask) : sent, call);
  }

  /** Whether an answer is not the last one: what follows it has been sent. */
  goesOnAfter(response: RpcResponse, call: PeerCall): boolean {
    const { peer } = this.#options;
    const taskId = this.#isTask && this.#taskId === undefined ? taskIdIn(response) : undefined;
    if (taskId === undefined) return false;
    this.#taskId = taskId;
    this.#id = peer.nextId();
    peer.request(newRequest(this.#id, 'tasks/result', { taskId }), call);
    return true;
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
        const taskId = taskIdIn(response);
        if (taskId !== undefined) this.#cancelTask(taskId);
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

/** In a `CreateTaskResult` (MCP 2025-11-25, tasks). */
function taskIdIn({ json: { result } }: RpcResponse): string | undefined {
  const taskId = memberOf(memberOf(result, 'task'), 'taskId');
  return typeof taskId === 'string' ? taskId : undefined;
}
