import { eventStreamType } from './sse.ts';

/** Names of the HTTP headers of MCP's Streamable HTTP transport, in the lower case in which Node keeps them. */
export const sessionHeader = 'mcp-session-id';
export const revisionHeader = 'mcp-protocol-version';

/** Whether a Content-Type header names `application/json`, with whatever parameters (RFC 9110 §8.3). */
export function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && mediaType(contentType) === 'application/json';
}

/** The codings of a body that is not as it was written, such as `gzip`, by its Content-Encoding header (RFC 9110 §8.4). */
export function codingsOf(contentEncoding: string | undefined): string | undefined {
  if (contentEncoding === undefined) return undefined;
  const codings = contentEncoding.split(',').map((coding) => coding.trim());
  const others = codings.filter((coding) => !/^(?:identity)?$/i.test(coding));
  return others.length === 0 ? undefined : others.join(', ');
}

/**
 * Whether an Accept header admits a media type (RFC 9110 §12.5.1): the most specific range that matches it decides, and
 * `q=0` refuses. A header that is missing or names nothing admits everything.
 */
export function accepts(accept: string | undefined, type: string): boolean {
  if (accept === undefined || accept.trim() === '') return true;
  const ranges = new Map(accept.split(',').map((range) => [mediaType(range), !refused.test(range)]));
  const anySubtype = `${type.slice(0, type.indexOf('/'))}/*`;
  return ranges.get(type) ?? ranges.get(anySubtype) ?? ranges.get('*/*') ?? false;
}

/** In which form a client takes the answer to a request: one JSON document, an event stream, or whichever fits. */
export type AnswerForm = 'json' | 'stream' | 'either';

/**
 * The form that an Accept header asks for, or undefined when it admits neither. MCP wants clients to name both media
 * types (2025-11-25, Streamable HTTP, "Sending Messages to the Server"); those that do not are served what they take.
 */
export function answerForm(accept: string | undefined): AnswerForm | undefined {
  // What the official SDKs send, word for word: not worth reading again on every call.
  if (accept === 'application/json, text/event-stream') return 'either';
  const takesJson = accepts(accept, 'application/json');
  if (accepts(accept, eventStreamType)) return takesJson ? 'either' : 'stream';
  return takesJson ? 'json' : undefined;
}

const refused = /;\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)/i;

function mediaType(value: string): string {
  const end = value.indexOf(';');
  return (end === -1 ? value : value.slice(0, end)).trim().toLowerCase();
}
