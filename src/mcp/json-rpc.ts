import { inOnePiece, piecesOf, type Bytes } from '../platform/bytes.ts';
import { exactValue, jsonOfId } from './request-id.ts';
import { envelopeOf } from './envelope.ts';
import { elementsOf, exceedsDepth, isArray } from './json/scan.ts';
import { lazyMessage } from './lazy-message.ts';
import { readText, type TextFindings } from './json/text-reader.ts';
import {
  isObject,
  memberOf,
  type RequestId,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
} from './rpc-message.ts';

export { memberOf } from './rpc-message.ts';
export type { RequestId, RpcMessage, RpcNotification, RpcRequest, RpcResponse } from './rpc-message.ts';

/** The JSON-RPC error codes that mcp-expose itself sends. */
export const rpcCode = {
  /** The body is not JSON (JSON-RPC 2.0 §5.1). */
  parseError: -32700,
  /** JSON, but not a JSON-RPC message (JSON-RPC 2.0 §5.1). */
  invalidRequest: -32600,
  /** The receiver does not know the method (JSON-RPC 2.0 §5.1). */
  methodNotFound: -32601,
  /** A tool, a resource or a prompt that is not there for the caller (MCP 2025-11-25, tools, "Error Handling"). */
  invalidParams: -32602,
  /** The upstream ended or could not be started (JSON-RPC 2.0 §5.1). */
  internalError: -32603,
  /** The HTTP request is wrong: a header, the path, the credential. */
  badRequest: -32000,
  /** No such session (HTTP 404); the same code as the official SDKs use. */
  sessionNotFound: -32001,
  /** A header of the HTTP request is missing, or says something else than the body (MCP 2026-07-28). */
  headerMismatch: -32020,
  /** The request needs a capability that its client has not declared (MCP 2026-07-28). */
  missingClientCapability: -32021,
  /** The requested protocol revision is not supported (MCP 2026-07-28). */
  unsupportedProtocolVersion: -32022,
} as const;

/** Paths of the members by which messages refer to each other. */
export const requestTokenPath = ['params', '_meta', 'progressToken'] as const;
export const progressTokenPath = ['params', 'progressToken'] as const;

/** Deepest nesting of arrays and objects that is accepted. Common recursive parsers give up at about 1000 levels. */
export const maxJsonDepth = 512;

export interface RpcFault {
  readonly kind: 'fault';
  readonly code: number;
  readonly reason: string;
  /** The id of the faulty message, where it could be read. */
  readonly id?: RequestId;
  /** The message, where it is a JSON object. */
  readonly json?: Readonly<Record<string, unknown>>;
}

/** A batch of messages, which exists only in revision 2025-03-26. */
export interface RpcBatch {
  readonly kind: 'batch';
  readonly messages: readonly RpcMessage[];
}

/** Largest message of which the envelope is read first, in bytes; a longer one is usually short without its long strings. */
const maxEnvelopeBytes = 16 * 1024;

/** Largest message that is parsed, without its long strings, in bytes: many small values take a hundred times their size. */
const maxParsedBytes: number = 64 * 1024;

/** Most messages in a batch of a client: each may be a call. */
const maxBatchSize = 100;

/** Most messages in a batch of a server, which may add messages to the answers to a client's batch. */
const maxServerBatchSize = 10_000;

/**
 * Reads one JSON-RPC message (JSON-RPC 2.0 §4 and §5, as MCP narrows it) or a batch (§6).
 * Never throws: for other bytes it returns a fault with the code and reason of the answer.
 * @param findings the result of a `TextReader`, if one has read the text as it arrived.
 */
export function parseMessages(raw: Bytes, findings?: TextFindings): RpcMessage | RpcBatch | RpcFault {
  const found = parse(raw, findings);
  return found.kind === 'array' ? readBatch(found.text) : found;
}

/**
 * Like `parseMessages`, for the output of a server: each message in it, and a fault for each element that is not one. A wrong
 * element must not discard the other answers, which the server would not send again.
 */
export function parseEach(raw: Bytes, findings?: TextFindings): readonly (RpcMessage | RpcFault)[] {
  const found = parse(raw, findings);
  if (found.kind !== 'array') return [found];
  const elements = elementsIn(found.text, maxServerBatchSize);
  return 'kind' in elements ? [elements] : elements.map(readElement);
}

interface JsonArray {
  readonly kind: 'array';
  readonly text: Buffer;
}

function parse(raw: Bytes, findings = readText(raw)): RpcMessage | JsonArray | RpcFault {
  const { isUtf8, elided } = findings;
  if (!isUtf8) return fault(rpcCode.parseError, 'the message is not valid UTF-8');
  if (Buffer.isBuffer(raw) && raw.length <= maxEnvelopeBytes) return parseEnvelope(raw) ?? parseText(raw, raw);
  const message =
    elided === undefined || elided.length > maxParsedBytes || isArray(elided) ? undefined : parseText(raw, elided);
  // The elision may have caused the fault.
  if (message !== undefined && message.kind !== 'fault') return message;
  const whole = inOnePiece(raw);
  return parseEnvelope(whole) ?? parseText(whole, whole);
}

function parseEnvelope(text: Buffer): RpcMessage | undefined {
  const envelope = envelopeOf(text);
  return envelope === undefined ? undefined : lazyMessage(text, envelope);
}

/** @param text the message, with or without its long strings. */
function parseText(raw: Bytes, text: Buffer): RpcMessage | JsonArray | RpcFault {
  if (exceedsDepth(text, maxJsonDepth)) {
    return fault(rpcCode.invalidRequest, `the message is nested deeper than ${maxJsonDepth} levels`);
  }
  if (isArray(text)) return { kind: 'array', text };
  let json: unknown;
  try {
    json = JSON.parse(text.toString());
  } catch {
    return fault(rpcCode.parseError, 'the message is not valid JSON');
  }
  return readMessage(raw, text, json);
}

/** Like `parseMessages`, without batches. */
export function parseMessage(raw: Bytes): RpcMessage | RpcFault {
  const parsed = parseMessages(raw);
  return parsed.kind === 'batch' ? fault(rpcCode.invalidRequest, 'the message is a batch') : parsed;
}

function readBatch(text: Buffer): RpcBatch | RpcFault {
  const elements = elementsIn(text, maxBatchSize);
  if ('kind' in elements) return elements;
  const messages: RpcMessage[] = [];
  for (const [index, element] of elements.entries()) {
    const message = readElement(element, index);
    if (message.kind === 'fault') return message;
    messages.push(message);
  }
  return { kind: 'batch', messages };
}

/** An empty batch is invalid (JSON-RPC 2.0 §6). */
function elementsIn(text: Buffer, maxSize: number): readonly Buffer[] | RpcFault {
  const elements = elementsOf(text, maxSize);
  if (elements === undefined) return fault(rpcCode.parseError, 'the message is not valid JSON');
  if (elements === 'too many') return fault(rpcCode.invalidRequest, `the batch has more than ${maxSize} messages`);
  return elements.length === 0 ? fault(rpcCode.invalidRequest, 'the message is an empty array') : elements;
}

function readElement(element: Buffer, index: number): RpcMessage | RpcFault {
  const found = parse(element);
  const message = found.kind === 'array' ? notAnObject : found;
  if (message.kind !== 'fault') return message;
  return { ...message, reason: `message ${index + 1} of the batch: ${message.reason}` };
}

function readMessage(raw: Bytes, text: Buffer, json: unknown): RpcMessage | RpcFault {
  if (!isObject(json)) return notAnObject;
  const { method } = json;
  const id = exactValue(json['id'], text, ['id']);
  const invalid = (reason: string): RpcFault => ({
    ...fault(rpcCode.invalidRequest, reason),
    json,
    ...(id === undefined ? {} : { id }),
  });
  if (json['jsonrpc'] !== '2.0') return invalid('"jsonrpc" is not "2.0"');
  if (id === undefined && json['id'] !== undefined) return invalid('"id" is neither a string nor a number');
  // A string cannot contain a line break, so the text without the long strings shows whether there is one.
  const bytes = hasLineBreak(text) ? onOneLine(raw) : raw;
  if (method === undefined) {
    // Some servers add `"error": null` to a result.
    const failed = (json['error'] ?? undefined) !== undefined;
    if (failed === (json['result'] !== undefined))
      return invalid('the message has no "method", and not exactly one of "result" and "error"');
    if (id === undefined) return invalid('a response has no "id"');
    return { kind: 'response', bytes, json, id, failed };
  }
  if (typeof method !== 'string') return invalid('"method" is not a string');
  return id === undefined
    ? { kind: 'notification', bytes, json, method }
    : { kind: 'request', bytes, json, id, method };
}

/**
 * Replaces line breaks, which are white space in valid JSON (RFC 8259 §2), by spaces. Returns the same bytes if there are
 * none.
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
  /** The request that failed, or null if unknown (JSON-RPC 2.0 §5). */
  readonly id: RequestId | null;
  readonly code: number;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** An error response, serialised (JSON-RPC 2.0 §5.1). */
export function errorResponse({ id, code, message, data }: RpcErrorOptions): Buffer {
  const error = data === undefined ? { code, message } : { code, message, data };
  const written = id === null ? 'null' : jsonOfId(id);
  return Buffer.from(`{"jsonrpc":"2.0","id":${written},"error":${JSON.stringify(error)}}`);
}

/** `params._meta` of a message. */
export function metaOf(message: RpcRequest | RpcNotification): unknown {
  return message.envelope?.mayHaveMeta === false ? undefined : memberOf(message.json['params'], '_meta');
}

/** `params._meta.progressToken`, to which the progress of a request refers. */
export function requestTokenOf(request: RpcRequest): RequestId | undefined {
  if (request.envelope !== undefined) return request.envelope.requestToken;
  const token = memberOf(metaOf(request), 'progressToken');
  return token === undefined ? undefined : exactValue(token, request.bytes, requestTokenPath);
}

/** `params.progressToken` of a notification. */
export function progressTokenOf(message: RpcNotification): RequestId | undefined {
  const { envelope } = message;
  if (envelope !== undefined) return envelope.progressToken;
  const token = memberOf(message.json['params'], 'progressToken');
  return token === undefined ? undefined : exactValue(token, message.bytes, progressTokenPath);
}

export function isRequestId(value: unknown): value is RequestId {
  return typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value));
}

function fault(code: number, reason: string): RpcFault {
  return { kind: 'fault', code, reason };
}

const notAnObject: RpcFault = fault(rpcCode.invalidRequest, 'the message is not a JSON object');
