import type { Bytes } from '../platform/bytes.ts';
import type { Envelope } from './envelope.ts';

/** A JSON-RPC 2.0 id as MCP narrows it: never null. One that JavaScript would write otherwise is kept as text (`exactValue`). */
export type RequestId = string | number;

interface ParsedMessage {
  /** The message as it arrived. Contains no line break, so it can become a line or an SSE `data` field as it is. */
  readonly bytes: Bytes;
  /**
   * The same, parsed. Read it, never change it: what travels on is `bytes`. In a large message, strings of 4 KiB and more
   * are null here.
   */
  readonly json: Readonly<Record<string, unknown>>;
  /** What is known without `json`, which is parsed only when it is read where there is one of these. */
  readonly envelope?: Envelope;
}

export interface RpcRequest extends ParsedMessage {
  readonly kind: 'request';
  readonly id: RequestId;
  readonly method: string;
}

export interface RpcNotification extends ParsedMessage {
  readonly kind: 'notification';
  readonly method: string;
}

export interface RpcResponse extends ParsedMessage {
  readonly kind: 'response';
  readonly id: RequestId;
  readonly failed: boolean;
}

export type RpcMessage = RpcRequest | RpcNotification | RpcResponse;
