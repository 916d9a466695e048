import { memberOf, metaOf, type RequestId, type RpcRequest } from '../../mcp/json-rpc.ts';
import { relatedTaskKey } from '../translate/input-requests.ts';
import type { RunningCall } from './running-call.ts';
import { Task } from './task.ts';

/** To which call a server request belongs. */
export interface Attribution {
  readonly flow: RunningCall;
  /** Whether the server or the transport says so. */
  readonly isCertain: boolean;
  /** Whether another call may be meant. */
  readonly isAmbiguous: boolean;
}

/**
 * Finds the call that a server request belongs to. The transport may tell (Streamable HTTP), or a task; over a single stream it is the newest
 * call that can be answered with a question: all are of one caller, and the server gets the answer to what it has
 * asked in any case.
 * @param origin as in `UpstreamEvents`.
 * @param flows all calls, the oldest first.
 * @returns `unfit`: the call that it belongs to cannot be answered with a question; `none`: it belongs to no call.
 */
export function attribute(
  request: RpcRequest,
  origin: RequestId | undefined,
  flows: Iterable<RunningCall>,
): Attribution | 'unfit' | 'none' {
  const taskId = memberOf(memberOf(metaOf(request), relatedTaskKey), 'taskId');
  const candidates: RunningCall[] = [];
  for (const flow of flows) {
    if (!flow.isRunning) continue;
    const isNamed =
      (origin !== undefined && flow.upstreamId === origin) || (taskId !== undefined && flow.taskId === taskId);
    if (isNamed) return flow.isInteractive ? { flow, isCertain: true, isAmbiguous: false } : 'unfit';
    // A server may want to know the roots at any time, and says so where it is for a task (MCP 2025-11-25, tasks).
    if (flow instanceof Task && request.method === 'roots/list') continue;
    if (flow.isInteractive) candidates.push(flow);
  }
  if (origin !== undefined) return 'none';
  // One that has no question yet: with two calls that ask at once, each client gets a question.
  const newest =
    candidates.findLast(({ call, isAsking }) => call !== undefined && !isAsking) ??
    candidates.findLast(({ call }) => call !== undefined) ??
    candidates.at(-1);
  if (newest === undefined) return 'none';
  return { flow: newest, isCertain: false, isAmbiguous: candidates.length > 1 };
}
