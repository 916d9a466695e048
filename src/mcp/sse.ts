/** Media type of a server-sent event stream (WHATWG HTML §9.2). */
export const eventStreamType = 'text/event-stream';

const dataField = Buffer.from('event: message\ndata: ');
const endOfEvent = Buffer.from('\n\n');

/** One message as an SSE event. `message` must hold no line break: each would start a field of its own. */
export function encodeEvent(message: Buffer): Buffer {
  return Buffer.concat([dataField, message, endOfEvent], dataField.length + message.length + endOfEvent.length);
}

/** A comment: keeps idle proxies from closing the stream, and means nothing to a client. */
export function encodeComment(text: string): string {
  return `: ${text}\n\n`;
}
