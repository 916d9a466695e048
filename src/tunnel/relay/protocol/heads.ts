import { parseFields } from '../../../platform/json-fields.ts';
import { maxHeadBytes, maxHeaders } from './limits.ts';

/** The heads of a request and of a response: JSON in UTF-8 (docs/tunnel-protocol.md, "Frames"). */
export interface RequestHead {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Names and values in turn, names in lower case. */
  readonly headers: readonly string[];
}

export interface ResponseHead {
  /** 200 to 599. */
  readonly status: number;
  /** As those of a request; the names may be in any case. */
  readonly headers: readonly string[];
}

/** Undefined if it has more than maxHeadBytes. */
export function encodeHead(head: RequestHead | ResponseHead): Buffer | undefined {
  const bytes = Buffer.from(JSON.stringify(head));
  return bytes.length > maxHeadBytes ? undefined : bytes;
}

/** Undefined if it is not the head of a request. */
export function parseRequestHead(bytes: Buffer): RequestHead | undefined {
  const { method, path, headers } = parseFields(bytes.toString('utf8'));
  if (typeof method !== 'string' || typeof path !== 'string' || !isHeaders(headers)) return undefined;
  return { method, path, headers };
}

/** Undefined if it is not the head of a final response (RFC 9110, section 15). */
export function parseResponseHead(bytes: Buffer): ResponseHead | undefined {
  const { status, headers } = parseFields(bytes.toString('utf8'));
  const isFinal = typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599;
  return isFinal && isHeaders(headers) ? { status, headers } : undefined;
}

function isHeaders(headers: unknown): headers is string[] {
  if (!Array.isArray(headers) || headers.length % 2 === 1 || headers.length > 2 * maxHeaders) return false;
  return headers.every((part) => typeof part === 'string');
}
