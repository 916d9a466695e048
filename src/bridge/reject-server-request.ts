import { rpcCode, type RequestId, type RpcResponse } from '../mcp/json-rpc.ts';
import { newError } from '../mcp/new-message.ts';

const refusals = {
  client_not_listening: 'the client is not listening',
  client_gone: 'the client of this request has disconnected',
  ambiguous_client: 'several clients share this server, and the request does not say which of them it is for',
  too_many_asks: 'too many requests of the server are unanswered',
} as const;

/** The answer to a server request that reaches no client. The reason stands in the error's data. */
export function rejectServerRequest(id: RequestId, reason: keyof typeof refusals): RpcResponse {
  return newError({ id, code: rpcCode.internalError, message: refusals[reason], data: { reason } });
}
