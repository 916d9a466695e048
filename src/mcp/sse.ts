import { piecesOf, type Bytes, type ByteText } from '../platform/bytes.ts';

/** Media type of a server-sent event stream (WHATWG HTML §9.2). */
export const eventStreamType = 'text/event-stream';

const dataField = Buffer.from('event: message\ndata: ');
const endOfEvent = Buffer.from('\n\n');

/**
 * One message as an SSE event. `message` must not have line breaks: each would start another field.
 * @param id what a client sends to resume after this event, ASCII without line breaks.
 * @returns text if the message is text.
 */
export function encodeEvent(message: Bytes, id?: string): Buffer;
export function encodeEvent(message: ByteText, id?: string): ByteText;
export function encodeEvent(message: Bytes | ByteText, id?: string): Buffer | ByteText;
export function encodeEvent(message: Bytes | ByteText, id?: string): Buffer | ByteText {
  if (typeof message === 'string') {
    return `${id === undefined ? '' : `id: ${id}\n`}event: message\ndata: ${message}\n\n`;
  }
  const head = id === undefined ? dataField : Buffer.from(`id: ${id}\nevent: message\ndata: `, 'latin1');
  return Buffer.concat([head, ...piecesOf(message), endOfEvent], head.length + message.length + endOfEvent.length);
}

/**
 * An event without data: gives a client an id to resume from before there is a message, and the time to wait before it
 * reconnects (MCP 2025-11-25, Streamable HTTP, "Sending Messages to the Server"). Clients of older revisions parse every
 * event as JSON and must not get it.
 */
export function encodePriming(id: string, retryMs: number): string {
  return `id: ${id}\nretry: ${retryMs}\ndata:\n\n`;
}

/** The URL to POST messages to: the first event of the older transport (MCP 2024-11-05, HTTP with SSE). */
export function encodeEndpoint(path: string): string {
  return `event: endpoint\ndata: ${path}\n\n`;
}

/** A comment: clients ignore it, and idle proxies do not close the stream. */
export function encodeComment(text: string): string {
  return `: ${text}\n\n`;
}
