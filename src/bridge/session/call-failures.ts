import { rpcCode } from '../../mcp/json-rpc.ts';
import type { CallFailure } from './pending-request.ts';
import type { UpstreamEnd } from '../upstream/upstream.ts';

/**
 * Calls in flight. One whose client has gone stays in flight until the server answers, and costs some kilobytes; no client
 * has a thousand of its own.
 */
export const maxCalls = 1000;

/** @param reason for programs: `data.reason` of the error. */
export function callFailure(reason: string, message: string): CallFailure {
  return { code: rpcCode.internalError, message, data: { reason } };
}

export const notTaken: CallFailure = callFailure('upstream_not_reading', 'the server does not read its input');

export const tooManyCalls: CallFailure = callFailure(
  'too_many_calls',
  `${maxCalls} requests are in flight, the most that a client may have`,
);

/** Nobody gets it. */
export const clientGone: CallFailure = callFailure('client_gone', 'the client has gone');

export const credentialEnded: CallFailure = callFailure('credential_ended', 'the credential of this caller has ended');

export const shuttingDown: CallFailure = callFailure('shutting_down', 'the server is shutting down');

export const sessionEnded: CallFailure = callFailure('session_ended', 'the session was ended');

/** What is judged here may not be what the server reads. @param name of the member that parsers read differently. */
export function ambiguous(name: string): CallFailure {
  const message = `the member ${JSON.stringify(name)} occurs twice or with different capitalization`;
  return { code: rpcCode.invalidRequest, message, data: { reason: 'ambiguous_request' } };
}

/** What a client is told when the server has gone: why, and the last that the server said. */
export function failureOf({ code, reason, exitCode, signal, stderr }: UpstreamEnd): CallFailure {
  return {
    code: rpcCode.internalError,
    message: stderr === '' ? reason : `${reason}; its last stderr output: ${stderr}`,
    data: { reason: code, exitCode, signal, stderr },
  };
}
