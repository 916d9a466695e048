import { inOnePiece, piecesOf, type Bytes } from '../platform/bytes.ts';
import { replaceSpans, spanOf, type Span } from './json/locate-members.ts';
import { memberOf, type RequestId, type RpcNotification, type RpcRequest, type RpcResponse } from './rpc-message.ts';

/** Prefix of an id that is a number kept as text. A string of a message with this prefix is not accepted as an id. */
const mark = '\u0000';

const valueEnds: ReadonlySet<number | undefined> = new Set([0x20, 0x2c, 0x7d]);

/**
 * An id or a progress token of a message, exactly as written: a number that JavaScript would write differently (beyond 2^53,
 * or `1.0`) is kept as text, since JSON.parse may read two different ones as the same.
 * @param value the result of JSON.parse.
 * @param text the message; used only if the value is a number.
 * @param path the names of the members from the outermost object to the value.
 * @returns undefined if the value is neither a string nor a number.
 */
export function exactValue(value: unknown, text: Bytes, path: readonly string[]): RequestId | undefined {
  if (typeof value === 'string') return value.startsWith(mark) ? undefined : value;
  if (typeof value !== 'number') return undefined;
  if (Number.isSafeInteger(value) && isWrittenPlainly(value, text, path.at(-1) ?? '')) return value;
  const whole = inOnePiece(text);
  const span = spanOf(whole, path);
  const written = span === undefined ? String(value) : whole.toString('latin1', span.start, span.end);
  return written === String(value) ? value : mark + written;
}

/** A quick check, which avoids the search for the member in nearly all messages. */
function isWrittenPlainly(value: number, text: Bytes, name: string): boolean {
  const usual = `"${name}":${value}`;
  return piecesOf(text).some((piece) => {
    const at = piece.indexOf(usual, 0, 'latin1');
    return at !== -1 && valueEnds.has(piece[at + usual.length]);
  });
}

/** The id as JSON; a number as its sender wrote it. */
export function jsonOfId(id: RequestId): string {
  return isKeptAsText(id) ? id.slice(mark.length) : JSON.stringify(id);
}

/** A number of JSON (RFC 8259 §6) as an id that is kept as text; undefined for any other text. */
export function keptAsText(number: string): RequestId | undefined {
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(number) ? mark + number : undefined;
}

/** Whether a JSON parser may read this id as another number than its sender wrote. */
export function isKeptAsText(id: RequestId): id is string {
  return typeof id === 'string' && id.startsWith(mark);
}

/** The number of an id, as the official clients read it; undefined unless it is exact in JavaScript. */
export function wholeNumberOf(id: RequestId): number | undefined {
  if (typeof id === 'number') return id;
  const text = isKeptAsText(id) ? id.slice(mark.length) : id;
  const number = Number(text);
  return text.trim() !== '' && Number.isSafeInteger(number) ? number : undefined;
}

/**
 * The same request or response with another id; all other bytes stay the same.
 * @param written the id as JSON. Default: a number as its sender wrote it, a string as JSON.stringify does.
 */
export function withId<Message extends RpcRequest | RpcResponse>(
  message: Message,
  id: RequestId,
  written: Buffer = Buffer.from(jsonOfId(id)),
): Message {
  const bytes = replaceSpans(message.bytes, [[idSpanOf(message), written]]);
  return { ...message, id, json: { ...message.json, id }, bytes };
}

/** The id of a request or response as its sender wrote it, copied so that it does not retain the message. */
export function writtenIdOf(message: RpcRequest | RpcResponse): Buffer {
  const { start, end } = idSpanOf(message);
  return Buffer.from(inOnePiece(message.bytes).subarray(start, end));
}

function idSpanOf(message: RpcRequest | RpcResponse): Span {
  const span = spanOf(message.bytes, ['id']);
  if (span === undefined) throw new Error('a request or response has no id');
  return span;
}

/** The same `notifications/cancelled` for another request. */
export function withCancelledId(message: RpcNotification, requestId: RequestId): RpcNotification {
  const span = spanOf(message.bytes, ['params', 'requestId']);
  if (span === undefined) return message;
  const reason = memberOf(message.json['params'], 'reason');
  const params = reason === undefined ? { requestId } : { requestId, reason };
  const bytes = replaceSpans(message.bytes, [[span, Buffer.from(jsonOfId(requestId))]]);
  return { ...message, json: { ...message.json, params }, bytes };
}
