import { editMessage } from '../../mcp/edit-message.ts';
import { clientCapabilitiesKey } from '../../mcp/envelope-keys.ts';
import { memberOf, metaOf, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { editPlan, set } from '../../mcp/json/edit-members.ts';
import { locateMembers, pathTree } from '../../mcp/json/locate-members.ts';
import { listenMethod, taskMethods } from '../../mcp/modern-methods.ts';
import { missingFailure } from '../exchange/input-request.ts';
import { unknownTask } from '../exchange/tasks.ts';
import { makeRoom } from '../limits.ts';
import { ambiguous } from '../session/call-failures.ts';
import type { CallFailure } from '../session/pending-request.ts';
import { declaresTasks, tasksRequired } from '../translate/capabilities.ts';
import { resultTypeOf } from '../translate/results.ts';
import { taskIdsIn } from '../translate/subscriptions.ts';

/** Tasks that are remembered, of one owner and of all; beyond it, the oldest is there for nobody. */
const maxPerOwner = 1000;
const maxTasks = 10_000;

/** Longest id of a task that is remembered, in characters. */
const maxIdLength = 1024;

const taskId: Buffer = Buffer.from('"taskId"');

const taskIds = ['params', 'notifications', 'taskIds'] as const;
const judged = pathTree({ taskIds });

/**
 * Binds the tasks of a modern server to their callers (SEP-2663, "Auth binding"): the server knows only one client, us. Their ids are
 * those of the server.
 */
export class ForwardedTasks {
  readonly #owners = new Map<string, string>();

  /** Remembers whose task it is that a server has made of a call. */
  learn(response: RpcResponse, ownerOf: () => string): void {
    // Most results have none, and need not be parsed.
    if (Buffer.isBuffer(response.bytes) && !response.bytes.includes(taskId)) return;
    const id = resultTypeOf(response) === 'task' ? memberOf(response.json['result'], 'taskId') : undefined;
    if (typeof id !== 'string' || id.length > maxIdLength) return;
    const owner = ownerOf();
    // A server that takes up an id again has forgotten the task of before.
    this.#owners.delete(id);
    const own = [...this.#owners].filter(([, each]) => each === owner);
    const [oldest] = own.length < maxPerOwner ? [] : own;
    if (oldest !== undefined) this.#owners.delete(oldest[0]);
    makeRoom(this.#owners, maxTasks);
    this.#owners.set(id, owner);
  }

  /** The server may have been started again: one that counts its ids gives them to others. */
  clear(): void {
    this.#owners.clear();
  }

  /**
   * The request as the server gets it, or why it does not: it names a task of somebody else, or one that is not there, which is
   * the same. A subscription is to its owner's tasks.
   */
  checked(request: RpcRequest, ownerOf: () => string): RpcRequest | CallFailure {
    const { method } = request;
    // Others need not be parsed.
    if (method !== listenMethod && !taskMethods.has(method)) return request;
    const owner = ownerOf();
    if (method !== listenMethod) {
      if (!declaresTasks(memberOf(metaOf(request), clientCapabilitiesKey))) return missingFailure(tasksRequired);
      return this.#isOwn(memberOf(request.json['params'], 'taskId'), owner) ? request : unknownTask;
    }
    const { duplicateKey } = locateMembers(request.bytes, judged);
    if (duplicateKey !== undefined) return ambiguous(duplicateKey);
    const ids = taskIdsIn(request);
    const own = ids.filter((id) => this.#isOwn(id, owner));
    return own.length === ids.length ? request : editMessage(request, withTaskIds(own));
  }

  #isOwn(id: unknown, owner: string): boolean {
    return typeof id === 'string' && this.#owners.get(id) === owner;
  }
}

function withTaskIds(ids: readonly string[]): ReturnType<typeof editPlan> {
  return editPlan([[taskIds, set(JSON.stringify(ids))]]);
}
