import { parseMessage, rpcCode, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { newError } from '../../mcp/new-message.ts';
import { jsonOfId } from '../../mcp/request-id.ts';
import type { CallFailure } from '../session/pending-request.ts';
import { inputRequestOf, isResultOf } from '../translate/input-requests.ts';

/** What a client is asked for in an `input_required` result (MCP 2026-07-28, multi round-trip requests). */
export interface InputRequest {
  /** As JSON. */
  readonly text: string;
  /** Whether this can be an answer. */
  accepts(answer: unknown): boolean;
  /** @param answer as JSON, as the client sent it. */
  settle(answer: Buffer): void;
  /** Nobody will answer. */
  giveUp(): void;
}

/** A request of a legacy server, which waits for the answer of a client. */
export class ServerRequest implements InputRequest {
  readonly request: RpcRequest;
  /** Whether it is known to belong to the call in which the client is asked. */
  readonly isCertain: boolean;
  readonly #answer: (response: RpcResponse) => void;

  constructor(request: RpcRequest, isCertain: boolean, answer: (response: RpcResponse) => void) {
    this.request = request;
    this.isCertain = isCertain;
    this.#answer = answer;
  }

  get text(): string {
    return inputRequestOf(this.request);
  }

  accepts(answer: unknown): boolean {
    return isResultOf(this.request.method, answer);
  }

  settle(answer: Buffer): void {
    const head = `{"jsonrpc":"2.0","id":${jsonOfId(this.request.id)},"result":`;
    const response = parseMessage(Buffer.concat([Buffer.from(head), answer, Buffer.from('}')]));
    if (response.kind === 'response') this.#answer(response);
  }

  giveUp(): void {
    this.#answer(
      newError({
        id: this.request.id,
        code: rpcCode.internalError,
        message: 'the client did not return with an answer',
        data: { reason: 'client_gone' },
      }),
    );
  }
}

/** MCP 2026-07-28, "Missing Required Client Capability". */
export function missingFailure(requiredCapabilities: Readonly<Record<string, unknown>>): CallFailure {
  const names = Object.keys(requiredCapabilities).join(', ');
  return {
    code: rpcCode.missingClientCapability,
    message: `the server needs a capability that the client does not declare: ${names}`,
    data: { requiredCapabilities },
  };
}
