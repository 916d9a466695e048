import { inOnePiece, piecesOf, type Bytes } from '../platform/bytes.ts';
import { replaceSpans, spanOf, type Span } from './json/locate-members.ts';
import { memberOf, type RequestId, type RpcNotification, type RpcRequest, type RpcResponse } from './rpc-message.ts';

/** Begins an id that is a number kept as text. A string of a message that begins so is not accepted as an id. */
const mark = '\u0000';

const valueEnds: ReadonlySet<number | undefined> = new Set([0x20, 0x2c, 0x7d]);

/**
 * An id or a progress token of a message, exactly as it was written: a number that JavaScript would write otherwise (beyond
 * 2^53, or `1.0`) is kept as text, since two different ones may be the same to JSON.parse.
 * @param value what JSON.parse has made of it.
 * @param text the message; looked at only where the value is a number.
 * @param path the names of the members from the outermost object to the value.
 * @returns undefined where the value is neither a string nor a number.
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

/** A quick check that spares nearly all messages the search for the member. */
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

/** Whether a JSON parser may make another number of this id than its sender wrote. */
export function isKeptAsText(id: RequestId): id is string {
  return typeof id === 'string' && id.startsWith(mark);
}

/** The number that an id means, as the official clients read it; undefined unless JavaScript holds it exactly. */
export function wholeNumberOf(id: RequestId): number | undefined {
  if (typeof id === 'number') return id;
  const text = isKeptAsText(id) ? id.slice(mark.length) : id;
  const number = Number(text);
  return text.trim() !== '' && Number.isSafeInteger(number) ? number : undefined;
}

/**
 * The same request or response with another id; all other bytes stay as they were.
 * @param written the id as it is to be written. Default: a number as its sender wrote it, a string as JSON.stringify does.
 */
export function withId<Message extends RpcRequest | RpcResponse>(
  message: Message,
  id: RequestId,
  written: Buffer = Buffer.from(jsonOfId(id)),
): Message {
  const bytes = replaceSpans(message.bytes, [[idSpanOf(message), written]]);
  return { ...message, id, json: { ...message.json, id }, bytes };
}

/** The id of a request or response as its sender wrote it, copied so that it does not keep the message. */
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
  const bytes = replaceSpans(message.bytes, [[span, Buffer.from(JSON.stringify(requestId))]]);
  return { ...message, json: { ...message.json, params }, bytes };
}
