import { rpcCode } from '../../mcp/json-rpc.ts';
import type { CallFailure } from './pending-request.ts';
import type { UpstreamEnd } from '../upstream/upstream.ts';

/**
 * Calls in flight. One whose client has gone stays in flight until the server answers, and costs some kilobytes; no client
 * has a thousand of its own.
 */
export const maxCalls = 1000;

export const notTaken: CallFailure = {
  code: rpcCode.internalError,
  message: 'the server does not read its input',
  data: { reason: 'upstream_not_reading' },
};

export const tooManyCalls: CallFailure = {
  code: rpcCode.internalError,
  message: `${maxCalls} requests are in flight, the most that a session may have`,
  data: { reason: 'too_many_calls' },
};

export const sessionEnded: CallFailure = {
  code: rpcCode.internalError,
  message: 'the session was ended',
  data: { reason: 'session_ended' },
};

/** What a client is told when the server has gone: why, and the last that the server said. */
export function failureOf({ code, reason, exitCode, signal, stderr }: UpstreamEnd): CallFailure {
  return {
    code: rpcCode.internalError,
    message: stderr === '' ? reason : `${reason}; its last stderr output: ${stderr}`,
    data: { reason: code, exitCode, signal, stderr },
  };
}
