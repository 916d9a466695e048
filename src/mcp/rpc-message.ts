import type { Bytes } from '../platform/bytes.ts';
import type { Envelope } from './envelope.ts';

/** A JSON-RPC 2.0 id as restricted by MCP: never null. A number that JavaScript would write differently is kept as text (`exactValue`). */
export type RequestId = string | number;

interface ParsedMessage {
  /** The message as it arrived, without line breaks, so that it can be sent as a line or an SSE `data` field. */
  readonly bytes: Bytes;
  /**
   * The same, parsed. Never change it: `bytes` is forwarded. In a large message, strings of 4 KiB and more are null here.
   */
  readonly json: Readonly<Record<string, unknown>>;
  /** The parts that are known without `json`. A message with an envelope is parsed only on access to `json`. */
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

/** An own member of an object; undefined if the value is not an object or has no such member. */
export function memberOf(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
