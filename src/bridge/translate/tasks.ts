import { inOnePiece } from '../../platform/bytes.ts';
import { memberOf, parseMessage, type RequestId, type RpcResponse } from '../../mcp/json-rpc.ts';
import { spanOf } from '../../mcp/json/locate-members.ts';
import { jsonOfId } from '../../mcp/request-id.ts';

/** How a task stands (SEP-2663, `Task`): in a result of the type `task`, or in the answer to `tasks/get`. */
export interface TaskState {
  readonly taskId: string;
  readonly status: unknown;
  readonly pollIntervalMs: unknown;
}

/** @returns undefined if the response is no result, or names no task. */
export function readTask({ json }: RpcResponse): TaskState | undefined {
  const { result } = json;
  const taskId = memberOf(result, 'taskId');
  if (typeof taskId !== 'string') return undefined;
  return { taskId, status: memberOf(result, 'status'), pollIntervalMs: memberOf(result, 'pollIntervalMs') };
}

/** By the status, the member of the answer to `tasks/get` that has what the task has come to. */
const outcomes: ReadonlyMap<unknown, string> = new Map([
  ['completed', 'result'],
  ['failed', 'error'],
]);

/** Whether there is an outcome: the answer to `tasks/get` has it then. */
export function hasEnded({ status }: TaskState): boolean {
  return outcomes.has(status);
}

/**
 * What a task has come to, as the response to the call that it was made of; its bytes stay as they are.
 * @returns undefined if the response does not say: the task goes on, or this is the result of the type `task`.
 */
export function taskOutcome(response: RpcResponse, id: RequestId): RpcResponse | undefined {
  const name = outcomes.get(memberOf(response.json['result'], 'status'));
  const bytes = inOnePiece(response.bytes);
  const span = name === undefined ? undefined : spanOf(bytes, ['result', name]);
  if (span === undefined) return undefined;
  const head = Buffer.from(`{"jsonrpc":"2.0","id":${jsonOfId(id)},"${name}":`);
  const outcome = parseMessage(Buffer.concat([head, bytes.subarray(span.start, span.end), Buffer.from('}')]));
  return outcome.kind === 'response' ? outcome : undefined;
}
