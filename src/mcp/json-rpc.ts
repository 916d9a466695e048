import { inOnePiece, piecesOf, type Bytes } from '../bytes.ts';
import { exceedsDepth } from './json/depth.ts';
import { outlineOf, type Outline } from './outline.ts';
import { outlinedMessage } from './outlined-message.ts';
import { readText, type TextFindings } from './json/text-reader.ts';

/** A JSON-RPC 2.0 id as MCP narrows it: never null. */
export type RequestId = string | number;

/** JSON-RPC error codes that mcp-expose itself puts on the wire. */
export const rpcCode = {
  /** The body is not JSON (JSON-RPC 2.0 §5.1). */
  parseError: -32700,
  /** JSON, but not a JSON-RPC message (JSON-RPC 2.0 §5.1). */
  invalidRequest: -32600,
  /** The receiver does not know the method (JSON-RPC 2.0 §5.1). */
  methodNotFound: -32601,
  /** The upstream ended or could not be started (JSON-RPC 2.0 §5.1). */
  internalError: -32603,
  /** The HTTP request is wrong around the message: a header, the path, the credential. */
  badRequest: -32000,
  /** No such session (HTTP 404); the same code as the official SDKs use. */
  sessionNotFound: -32001,
  /** The protocol revision asked for is not served here (MCP 2026-07-28). */
  unsupportedProtocolVersion: -32022,
} as const;

/** Deepest nesting of arrays and objects that is accepted. Common recursive parsers give up at about 1000 levels. */
export const maxJsonDepth = 512;

interface ParsedMessage {
  /** The message as it arrived. Contains no line break, so it can become a line or an SSE `data` field as it is. */
  readonly bytes: Bytes;
  /**
   * The same, parsed. Read it, never change it: what travels on is `bytes`. In a large message, strings of 4 KiB and more
   * are null here.
   */
  readonly json: Readonly<Record<string, unknown>>;
  /** What is known without `json`, which is parsed only when it is read where there is one of these. */
  readonly outline?: Outline;
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

export interface RpcFault {
  readonly kind: 'fault';
  readonly code: number;
  readonly reason: string;
  /** The id of the faulty message, where it could be read. */
  readonly id?: RequestId;
  /** It names no method: what has an id can only be meant as a response. */
  readonly isResponse?: true;
}

/** Several messages at once, which exist in the revision 2025-03-26 alone. */
export interface RpcBatch {
  readonly kind: 'batch';
  readonly messages: readonly RpcMessage[];
}

/** Up to here it costs less to read a message for its outline than to parse it, in bytes. */
const maxOutlinedBytes = 16 * 1024;

/** Most messages in a batch of a client: each may be a call of its own. */
const maxBatchSize = 100;

/** Most messages in a batch of a server: it answers a batch of ours, and says what it likes beside. */
const maxServerBatchSize = 10_000;

/**
 * Reads one JSON-RPC message (JSON-RPC 2.0 §4 and §5, as MCP narrows it) or a batch (§6).
 * Never throws: bytes that are neither come back as a fault with the code and the sentence to answer.
 * @param findings what a `TextReader` has found, where it has read them as they came.
 */
export function parseMessages(raw: Bytes, findings?: TextFindings): RpcMessage | RpcBatch | RpcFault {
  const found = parse(raw, findings);
  return found.kind === 'array' ? readBatch(found.elements) : found;
}

/**
 * As `parseMessages`, of what a server says: each message in it, and a fault for each that is none. One that is wrong
 * must not cost the answers beside it, which nobody would send again.
 */
export function parseEach(raw: Bytes, findings?: TextFindings): readonly (RpcMessage | RpcFault)[] {
  const found = parse(raw, findings);
  if (found.kind !== 'array') return [found];
  const wrong = sizeFault(found.elements, maxServerBatchSize);
  return wrong === undefined ? found.elements.map(readElement) : [wrong];
}

interface JsonArray {
  readonly kind: 'array';
  readonly elements: readonly unknown[];
}

function parse(raw: Bytes, findings = readText(raw)): RpcMessage | JsonArray | RpcFault {
  const { isUtf8, abridged } = findings;
  if (!isUtf8) return fault(rpcCode.parseError, 'the message is not valid UTF-8');
  if (Buffer.isBuffer(raw) && raw.length <= maxOutlinedBytes) {
    const outline = outlineOf(raw);
    if (outline !== undefined) return outlinedMessage(raw, outline);
  }
  const message = abridged === undefined ? undefined : parseText(raw, abridged);
  // A batch is written anew from what was parsed; and a fault may be that of the cut.
  if (message !== undefined && message.kind !== 'array' && message.kind !== 'fault') return message;
  const whole = inOnePiece(raw);
  return parseText(whole, whole);
}

/** @param text the message, or what is left of it without the contents of its long strings. */
function parseText(raw: Bytes, text: Buffer): RpcMessage | JsonArray | RpcFault {
  if (exceedsDepth(text, maxJsonDepth)) {
    return fault(rpcCode.invalidRequest, `the message is nested deeper than ${maxJsonDepth} levels`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text.toString());
  } catch {
    return fault(rpcCode.parseError, 'the message is not valid JSON');
  }
  return Array.isArray(json) ? { kind: 'array', elements: json } : readMessage(raw, text, json);
}

/** As `parseMessages`, where there can be no batch. */
export function parseMessage(raw: Bytes): RpcMessage | RpcFault {
  const parsed = parseMessages(raw);
  return parsed.kind === 'batch' ? fault(rpcCode.invalidRequest, 'the message is a batch') : parsed;
}

function readBatch(elements: readonly unknown[]): RpcBatch | RpcFault {
  const wrong = sizeFault(elements, maxBatchSize);
  if (wrong !== undefined) return wrong;
  const messages: RpcMessage[] = [];
  for (const [index, element] of elements.entries()) {
    const message = readElement(element, index);
    if (message.kind === 'fault') return message;
    messages.push(message);
  }
  return { kind: 'batch', messages };
}

/** A batch without a message is none (JSON-RPC 2.0 §6). */
function sizeFault({ length }: readonly unknown[], maxSize: number): RpcFault | undefined {
  if (length === 0) return fault(rpcCode.invalidRequest, 'the message is an empty array');
  if (length > maxSize) return fault(rpcCode.invalidRequest, `the batch has more than ${maxSize} messages`);
  return undefined;
}

/** The messages of a batch are serialised anew: where each began and ended in the bytes is not known. */
function readElement(element: unknown, index: number): RpcMessage | RpcFault {
  const text = Buffer.from(JSON.stringify(element));
  const message = readMessage(text, text, element);
  if (message.kind !== 'fault') return message;
  return { ...message, reason: `message ${index + 1} of the batch: ${message.reason}` };
}

function readMessage(raw: Bytes, text: Buffer, json: unknown): RpcMessage | RpcFault {
  if (!isObject(json)) return fault(rpcCode.invalidRequest, 'the message is not a JSON object');
  const { id, method } = json;
  if (json['jsonrpc'] !== '2.0') return invalid(json, '"jsonrpc" is not "2.0"');
  if (id !== undefined && !isRequestId(id)) return invalid(json, '"id" is neither a string nor a number');
  // A string can hold no line break, so where there is none around the long ones there is none at all.
  const bytes = hasLineBreak(text) ? onOneLine(raw) : raw;
  if (method === undefined) {
    // Some servers write `"error": null` beside a result.
    const failed = (json['error'] ?? undefined) !== undefined;
    if (failed === (json['result'] !== undefined))
      return invalid(json, 'the message has no "method", and not exactly one of "result" and "error"');
    if (id === undefined) return invalid(json, 'a response has no "id"');
    return { kind: 'response', bytes, json, id, failed };
  }
  if (typeof method !== 'string') return invalid(json, '"method" is not a string');
  return id === undefined
    ? { kind: 'notification', bytes, json, method }
    : { kind: 'request', bytes, json, id, method };
}

/**
 * Line breaks in valid JSON are white space (RFC 8259 §2), so they can become blanks and the rest stays as it came.
 * Returns the same bytes where there is none.
 */
function onOneLine(bytes: Bytes): Bytes {
  if (!piecesOf(bytes).some(hasLineBreak)) return bytes;
  const line = Buffer.from(inOnePiece(bytes));
  for (const lineBreak of [0x0a, 0x0d]) {
    for (let at = line.indexOf(lineBreak); at !== -1; at = line.indexOf(lineBreak, at + 1)) line[at] = 0x20;
  }
  return line;
}

function hasLineBreak(bytes: Buffer): boolean {
  return bytes.includes(0x0a) || bytes.includes(0x0d);
}

export interface RpcErrorOptions {
  /** The request that failed, or null where it is not known (JSON-RPC 2.0 §5). */
  readonly id: RequestId | null;
  readonly code: number;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** An error response, serialised (JSON-RPC 2.0 §5.1). */
export function errorResponse({ id, code, message, data }: RpcErrorOptions): Buffer {
  const error = data === undefined ? { code, message } : { code, message, data };
  return Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, error }));
}

/** `params._meta` of a message. */
export function metaOf(message: RpcRequest | RpcNotification): unknown {
  return message.outline?.mayHaveMeta === false ? undefined : memberOf(message.json['params'], '_meta');
}

/** `params.progressToken` of a notification. */
export function progressTokenOf(message: RpcNotification): unknown {
  const { outline } = message;
  return outline === undefined ? memberOf(message.json['params'], 'progressToken') : outline.progressToken;
}

/** A member of an object, or undefined where the value is no object or has no such member of its own. */
export function memberOf(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

export function isRequestId(value: unknown): value is RequestId {
  return typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A fault of a message whose id may be known in spite of it. */
function invalid({ id, method }: Readonly<Record<string, unknown>>, reason: string): RpcFault {
  const found = fault(rpcCode.invalidRequest, reason);
  if (!isRequestId(id)) return found;
  return method === undefined ? { ...found, id, isResponse: true } : { ...found, id };
}

function fault(code: number, reason: string): RpcFault {
  return { kind: 'fault', code, reason };
}
