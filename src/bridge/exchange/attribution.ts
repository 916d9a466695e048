import { memberOf, metaOf, type RequestId, type RpcRequest } from '../../mcp/json-rpc.ts';
import { relatedTaskKey } from '../translate/input-requests.ts';
import type { Flow } from './flow.ts';

/** To which call a server request belongs. `isCertain` is false where others may be meant. */
export interface Attribution {
  readonly flow: Flow;
  readonly isCertain: boolean;
}

/**
 * Finds the call that a server request belongs to. The transport may tell (Streamable HTTP), or a task; over a single stream the newest
 * call that can be answered with a question is as good as any: all are of one caller, and the server gets the answer to what it has
 * asked in any case.
 * @param origin as in `UpstreamEvents`.
 * @param flows all calls, the oldest first.
 * @returns `unfit`: the call that it belongs to cannot be answered with a question; `none`: it belongs to no call.
 */
export function attribute(
  request: RpcRequest,
  origin: RequestId | undefined,
  flows: Iterable<Flow>,
): Attribution | 'unfit' | 'none' {
  const taskId = memberOf(memberOf(metaOf(request), relatedTaskKey), 'taskId');
  const candidates: Flow[] = [];
  for (const flow of flows) {
    if (!flow.isRunning) continue;
    const isNamed =
      (origin !== undefined && flow.upstreamId === origin) || (taskId !== undefined && flow.taskId === taskId);
    if (isNamed) return flow.isInteractive ? { flow, isCertain: true } : 'unfit';
    if (flow.isInteractive) candidates.push(flow);
  }
  if (origin !== undefined) return 'none';
  const newest = candidates.findLast(({ call }) => call !== undefined) ?? candidates.at(-1);
  return newest === undefined ? 'none' : { flow: newest, isCertain: candidates.length === 1 };
}
