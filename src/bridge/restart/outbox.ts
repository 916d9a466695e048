import type { RequestId, RpcMessage } from '../../mcp/json-rpc.ts';

/** Messages that wait for their server: as many as a client can have open calls before something is wrong with it. */
const maxMessages = 1000;

/** All of them together, in bytes: as much as a server that runs may leave unread. */
const maxBytes: number = 64 * 1024 * 1024;

export interface Outbox {
  readonly isEmpty: boolean;
  /** Of all of them together. */
  readonly bytes: number;
  /** Adds one at the end. Returns false when there is no room for it. */
  push(message: RpcMessage): boolean;
  /** Takes the first one out. */
  shift(): RpcMessage | undefined;
  /** Adds again at the beginning what `shift` has taken out. */
  putBack(message: RpcMessage): void;
  /** Takes all of them out, in order. */
  takeAll(): RpcMessage[];
  /** Takes out the request of this id. Returns false when there is none. */
  withdraw(id: RequestId): boolean;
  /** All of them, in order. */
  list(): RpcMessage[];
}

/** A bounded queue of what cannot be sent yet. */
export function createOutbox(): Outbox {
  let messages: RpcMessage[] = [];
  let bytes = 0;

  return {
    get isEmpty() {
      return messages.length === 0;
    },
    get bytes() {
      return bytes;
    },
    push(message) {
      if (messages.length >= maxMessages || bytes + message.bytes.length > maxBytes) return false;
      messages.push(message);
      bytes += message.bytes.length;
      return true;
    },
    shift() {
      const first = messages.shift();
      bytes -= first?.bytes.length ?? 0;
      return first;
    },
    putBack(message) {
      messages.unshift(message);
      bytes += message.bytes.length;
    },
    takeAll() {
      const all = messages;
      messages = [];
      bytes = 0;
      return all;
    },
    withdraw(id) {
      const index = messages.findIndex((message) => message.kind === 'request' && message.id === id);
      const [withdrawn] = index === -1 ? [] : messages.splice(index, 1);
      bytes -= withdrawn?.bytes.length ?? 0;
      return withdrawn !== undefined;
    },
    list: () => [...messages],
  };
}
