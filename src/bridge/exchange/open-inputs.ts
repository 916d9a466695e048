import type { RequestId, RpcRequest } from '../../mcp/json-rpc.ts';
import { inputResponsesIn } from '../translate/input-requests.ts';
import { ServerRequest, type InputRequest } from './input-request.ts';

/** What the client of one call or task has yet to answer, by the keys under which it is asked. */
export class OpenInputs {
  readonly #inputs = new Map<string, InputRequest>();
  /** A key is used once (SEP-2663: "MUST be unique over the lifetime of a single task"). */
  #lastKey = 0;

  get size(): number {
    return this.#inputs.size;
  }

  add(input: InputRequest): void {
    this.#inputs.set(`q${++this.#lastKey}`, input);
  }

  /** By key, as JSON. */
  texts(): ReadonlyMap<string, string> {
    return new Map(Array.from(this.#inputs, ([key, { text }]) => [key, text]));
  }

  /**
   * Settles what `inputResponses` of a request answers; other keys are ignored.
   * @returns whether there was an answer to anything.
   */
  takeAnswers(request: RpcRequest): boolean {
    let answered = false;
    for (const [key, answer] of inputResponsesIn(request, this.#inputs.keys())) {
      const input = this.#inputs.get(key);
      if (input?.accepts(JSON.parse(answer.toString())) !== true) continue;
      this.#inputs.delete(key);
      input.settle(answer);
      answered = true;
    }
    return answered;
  }

  /** The server has withdrawn a server request. Returns whether it was one of these. */
  withdraw(id: RequestId): boolean {
    for (const [key, input] of this.#inputs) {
      if (input instanceof ServerRequest && input.request.id === id) return this.#inputs.delete(key);
    }
    return false;
  }

  /** The server was started again, and does not remember what it has asked. */
  forgetServerRequests(): void {
    for (const [key, input] of this.#inputs) if (input instanceof ServerRequest) this.#inputs.delete(key);
  }

  /** Returns all, which are open here no more. */
  clear(): readonly InputRequest[] {
    const inputs = [...this.#inputs.values()];
    this.#inputs.clear();
    return inputs;
  }

  /** Nobody will answer. */
  giveUp(): void {
    for (const input of this.clear()) input.giveUp();
  }
}
