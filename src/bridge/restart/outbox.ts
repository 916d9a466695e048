import type { RequestId, RpcMessage } from '../../mcp/json-rpc.ts';

/** Messages that wait for their server: as many as a client can have open calls before something is wrong with it. */
const maxMessages = 1000;

/** All of them together, in bytes: as much as a server that runs may leave unread. */
const maxBytes: number = 64 * 1024 * 1024;

/** A bounded queue of what cannot be sent yet. */
export class Outbox {
  #messages: RpcMessage[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  /** Of all of them together. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds one at the end. Returns false when there is no room for it. */
  push(message: RpcMessage): boolean {
    if (this.#messages.length >= maxMessages || this.#bytes + message.bytes.length > maxBytes) return false;
    this.#messages.push(message);
    this.#bytes += message.bytes.length;
    return true;
  }

  shift(): RpcMessage | undefined {
    const first = this.#messages.shift();
    this.#bytes -= first?.bytes.length ?? 0;
    return first;
  }

  /** Adds again at the beginning what `shift` has taken out. */
  putBack(message: RpcMessage): void {
    this.#messages.unshift(message);
    this.#bytes += message.bytes.length;
  }

  /** Takes all of them out, in order. */
  takeAll(): RpcMessage[] {
    this.#bytes = 0;
    return this.#messages.splice(0);
  }

  /** Takes out the request of this id. Returns false when there is none. */
  withdraw(id: RequestId): boolean {
    const index = this.#messages.findIndex((message) => message.kind === 'request' && message.id === id);
    const [withdrawn] = index === -1 ? [] : this.#messages.splice(index, 1);
    this.#bytes -= withdrawn?.bytes.length ?? 0;
    return withdrawn !== undefined;
  }

  /** All of them, in order. */
  list(): RpcMessage[] {
    return [...this.#messages];
  }
}
