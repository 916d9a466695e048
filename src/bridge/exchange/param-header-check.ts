import { clientCapabilitiesKey, clientInfoKey, protocolVersionKey } from '../../mcp/envelope-keys.ts';
import { memberOf, metaOf, rpcCode, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { newRequest } from '../../mcp/new-message.ts';
import { DeclaredHeaders } from '../declared-headers.ts';
import type { CallFailure } from '../session/pending-request.ts';
import type { ExchangeCall } from './exchanges.ts';

/** Most pages of a list that are read for one call. */
const maxPages = 100;

const envelopeKeys = [protocolVersionKey, clientCapabilitiesKey, clientInfoKey];

/** Makes a request of the same client. */
type Ask = (request: RpcRequest, call: ExchangeCall) => void;

/**
 * Compares the `Mcp-Param-*` headers of calls with their arguments (MCP 2026-07-28, "Server Behavior for Custom Headers"). A call that
 * has such headers, of a tool of which no list has passed yet, waits until the server has listed its tools.
 */
export class ParamHeaderCheck {
  readonly #declared = new DeclaredHeaders();

  /** The server has answered a `tools/list`. */
  learn(response: RpcResponse): void {
    this.#declared.learn(response);
  }

  /**
   * @param ask for the list of tools.
   * @param proceed is called where nothing is wrong with the headers, and now if nothing has to be asked.
   */
  check(request: RpcRequest, call: ExchangeCall, ask: Ask, proceed: () => void): void {
    if (call.paramHeaders === undefined) proceed();
    else if (call.paramHeaders.size > 0 && this.#isUnknown(request)) this.#list({ request, call, ask, proceed }, 1);
    else this.#compare({ request, call, ask, proceed });
  }

  #isUnknown(request: RpcRequest): boolean {
    return this.#declared.of(request) === undefined;
  }

  #list(waiting: Waiting, page: number, cursor?: string): void {
    const { request, call, ask } = waiting;
    const meta = metaOf(request);
    const envelope = Object.fromEntries(envelopeKeys.map((key) => [key, memberOf(meta, key)]));
    const params = { _meta: envelope, ...(cursor === undefined ? {} : { cursor }) };
    ask(newRequest(request.id, 'tools/list', params), {
      isResponseOnly: true,
      isOpen: () => call.isOpen(),
      send: () => true,
      whenWritable() {},
      whenGone: (callback) => call.whenGone(callback),
      end: () => call.end(),
      fail: (failure) => call.fail(failure),
      finish: (response) => {
        const next = memberOf(response.json['result'], 'nextCursor');
        if (response.failed) call.fail(notListed);
        else if (typeof next === 'string' && this.#isUnknown(request) && page < maxPages)
          this.#list(waiting, page + 1, next);
        // A tool that is in no list declares nothing: the server says so itself.
        else this.#compare(waiting);
        return true;
      },
    });
  }

  #compare({ request, call, proceed }: Waiting): void {
    const problem = this.#declared.problemOf(request, call.paramHeaders ?? new Map());
    if (problem === undefined) proceed();
    else call.fail({ code: rpcCode.headerMismatch, message: problem });
  }
}

/** A call with headers, and what to do with it. */
interface Waiting {
  readonly request: RpcRequest;
  readonly call: ExchangeCall;
  readonly ask: Ask;
  readonly proceed: () => void;
}

const notListed: CallFailure = {
  code: rpcCode.invalidParams,
  message: 'the server does not list its tools, so that the Mcp-Param headers cannot be compared with the arguments',
  data: { reason: 'tools_not_listed' },
};
