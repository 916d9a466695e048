import { editMessage } from '../../mcp/edit-message.ts';
import { memberOf, parseMessage, type RpcNotification, type RpcResponse } from '../../mcp/json-rpc.ts';
import { editPlan, remove, setDefault } from '../../mcp/json/edit-members.ts';
import { spanOf } from '../../mcp/json/locate-members.ts';
import { newResult } from '../../mcp/new-message.ts';
import { isObject } from '../../mcp/rpc-message.ts';
import { inOnePiece } from '../../platform/bytes.ts';
import { errorToModern } from './errors.ts';
import { relatedTaskKey } from './input-requests.ts';

/** A task as a legacy server describes it (MCP 2025-11-25, `Task`); the other members may be anything. */
export interface LegacyTask {
  readonly taskId: string;
  readonly [member: string]: unknown;
}

/** What a client is told of a task instead of what the server says. */
export interface TaskIdentity {
  readonly taskId: string;
  /** For how long it is kept, from its creation. */
  readonly ttlMs: number;
}

/** What a task has come to. */
export interface TaskOutcome {
  readonly member: 'result' | 'error';
  /** As JSON. */
  readonly text: Buffer;
}

/** The task in a `CreateTaskResult` (MCP 2025-11-25, tasks). */
export function createdTaskIn({ json }: RpcResponse): LegacyTask | undefined {
  return taskOf(memberOf(json['result'], 'task'));
}

/** The task in the answer to `tasks/get`. */
export function describedTaskIn({ json }: RpcResponse): LegacyTask | undefined {
  return taskOf(json['result']);
}

function taskOf(value: unknown): LegacyTask | undefined {
  const taskId = memberOf(value, 'taskId');
  return isObject(value) && typeof taskId === 'string' ? { ...value, taskId } : undefined;
}

/** How long a legacy server keeps a task, in milliseconds; undefined if it does not say, or for ever. */
export function ttlOf({ ttl }: LegacyTask): number | undefined {
  return typeof ttl === 'number' && ttl > 0 ? Math.ceil(ttl) : undefined;
}

/** Whether nothing can become of it any more; of a cancelled task there is no outcome. */
export function isTerminal({ status }: LegacyTask): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

/** The response that tells a modern client of a task: a `CreateTaskResult` (SEP-2663), which is flat. */
export function taskCreated(task: LegacyTask, identity: TaskIdentity): RpcResponse {
  return newResult(0, { resultType: 'task', ...membersOf({ ...task, status: 'working' }, identity) });
}

/**
 * What a task has come to, from the answer to `tasks/result`. A modern client reads the task next to it, so the result does
 * not name it.
 */
export function outcomeOf(response: RpcResponse): TaskOutcome | undefined {
  const member = response.failed ? 'error' : 'result';
  const translated = response.failed ? errorToModern(response) : editMessage(response, inlined);
  const bytes = inOnePiece(translated.bytes);
  const span = spanOf(bytes, [member]);
  return span && { member, text: bytes.subarray(span.start, span.end) };
}

const inlined = editPlan([
  [['result', '_meta', relatedTaskKey], remove],
  [['result', 'resultType'], setDefault('"complete"')],
]);

/**
 * A task as a modern client reads it (SEP-2663, `DetailedTask`), as JSON. The status says what is there: a legacy server may
 * call a task failed whose tool has answered with `isError`, or ask for input before it has asked for anything.
 * @param inputRequests by key, as JSON, what its client has to answer.
 */
export function detailedTask(
  task: LegacyTask,
  identity: TaskIdentity,
  inputRequests: ReadonlyMap<string, string>,
  outcome: TaskOutcome | undefined,
): Buffer {
  const withStatus = (status: string): string => JSON.stringify(membersOf({ ...task, status }, identity)).slice(0, -1);
  if (outcome !== undefined) {
    const status = outcome.member === 'result' ? 'completed' : 'failed';
    return Buffer.concat([Buffer.from(`${withStatus(status)},"${outcome.member}":`), outcome.text, Buffer.from('}')]);
  }
  if (task['status'] === 'cancelled') return Buffer.from(`${withStatus('cancelled')}}`);
  if (inputRequests.size === 0) return Buffer.from(`${withStatus('working')}}`);
  const requests = Array.from(inputRequests, ([key, text]) => `${JSON.stringify(key)}:${text}`);
  return Buffer.from(`${withStatus('input_required')},"inputRequests":{${requests.join(',')}}}`);
}

/** The answer to `tasks/get`, without its client's id. @param task as `detailedTask` gives it. */
export function taskResponse(task: Buffer): RpcResponse | undefined {
  const response = parseMessage(around('{"jsonrpc":"2.0","id":0,"result":', task));
  return response.kind === 'response' ? response : undefined;
}

/** The same as the notification of a change (SEP-2663, "Task Status Notifications"). */
export function taskNotification(task: Buffer): RpcNotification | undefined {
  const notification = parseMessage(around('{"jsonrpc":"2.0","method":"notifications/tasks","params":', task));
  return notification.kind === 'notification' ? notification : undefined;
}

function around(head: string, task: Buffer): Buffer {
  return Buffer.concat([Buffer.from(head), task, Buffer.from('}')]);
}

/** The members of a legacy `Task` under their modern names; those that neither era knows stay. */
function membersOf(task: LegacyTask, { taskId, ttlMs }: TaskIdentity): Readonly<Record<string, unknown>> {
  const { ttl: _ttl, pollInterval, _meta, result: _result, error: _error, inputRequests: _requests, ...others } = task;
  const isInterval = typeof pollInterval === 'number' && pollInterval > 0;
  return { ...others, taskId, ttlMs, ...(isInterval && { pollIntervalMs: Math.ceil(pollInterval) }) };
}
