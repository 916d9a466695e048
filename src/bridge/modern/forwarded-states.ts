import { editMessage } from '../../mcp/edit-message.ts';
import { memberOf, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { editPlan, set } from '../../mcp/json/edit-members.ts';
import { spanOf } from '../../mcp/json/locate-members.ts';
import { inOnePiece } from '../../platform/bytes.ts';
import { stateFailure } from '../exchange/parked-calls.ts';
import type { CallFailure } from '../session/pending-request.ts';
import { bindingOf } from '../translate/request-state.ts';
import { StateSeal } from '../translate/state-seal.ts';

const stateName: Buffer = Buffer.from('"requestState"');

const inRequest = ['params', 'requestState'] as const;
const inResult = ['result', 'requestState'] as const;

/**
 * Binds the `requestState` of a server to the caller and the request that it belongs to (MCP 2026-07-28, "Multi Round-Trip
 * Requests"): the server knows only one client, us, and would take the state of one caller from another.
 */
export class ForwardedStates {
  readonly #seal = new StateSeal();

  /** The response as the caller gets it. */
  sealed(response: RpcResponse, request: RpcRequest, callerId: string): RpcResponse {
    // Most results have none, and need not be parsed.
    if (Buffer.isBuffer(response.bytes) && !response.bytes.includes(stateName)) return response;
    if (memberOf(response.json['result'], 'requestState') === undefined) return response;
    const text = `${bindingOf(callerId, '', request)}${textAt(response, inResult)}`;
    return editMessage(response, editPlan([[inResult, set(JSON.stringify(this.#seal.seal(text)))]]));
  }

  /** The request as the server gets it, or why its state cannot be used. */
  opened(request: RpcRequest, callerId: string): RpcRequest | CallFailure {
    if (memberOf(request.json['params'], 'requestState') === undefined) return request;
    const state: unknown = JSON.parse(textAt(request, inRequest));
    const opened = typeof state === 'string' ? this.#seal.open(state) : 'malformed';
    if (typeof opened === 'string') return stateFailure(opened);
    const binding = bindingOf(callerId, '', request);
    if (!opened.subarray(0, binding.length).equals(Buffer.from(binding))) return stateFailure('mismatch');
    return editMessage(request, editPlan([[inRequest, set(opened.subarray(binding.length))]]));
  }
}

/** As it was written: what is parsed of a large message lacks its long strings. */
function textAt(message: RpcRequest | RpcResponse, path: readonly string[]): string {
  const { start, end } = spanOf(message.bytes, path) ?? { start: 0, end: 0 };
  return inOnePiece(message.bytes).toString('utf8', start, end);
}
