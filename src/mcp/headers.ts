import { eventStreamType } from './sse.ts';

/** HTTP headers of MCP's Streamable HTTP transport, in lower case as Node keeps them. */
export const sessionHeader = 'mcp-session-id';
export const revisionHeader = 'mcp-protocol-version';
export const methodHeader = 'mcp-method';
export const nameHeader = 'mcp-name';
export const paramHeaderPrefix = 'mcp-param-';

/** Whether a Content-Type header is `application/json`, with any parameters (RFC 9110 §8.3). */
export function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && mediaType(contentType) === 'application/json';
}

/** The codings in a Content-Encoding header, such as `gzip`; undefined for an uncompressed body (RFC 9110 §8.4). */
export function codingsOf(contentEncoding: string | undefined): string | undefined {
  if (contentEncoding === undefined) return undefined;
  const codings = contentEncoding.split(',').map((coding) => coding.trim());
  const others = codings.filter((coding) => !/^(?:identity)?$/i.test(coding));
  return others.length === 0 ? undefined : others.join(', ');
}

/**
 * Whether an Accept header allows a media type (RFC 9110 §12.5.1): the most specific matching range decides, and `q=0`
 * excludes it. A missing or empty header allows everything.
 */
export function accepts(accept: string | undefined, type: string): boolean {
  if (accept === undefined || accept.trim() === '') return true;
  const ranges = new Map(accept.split(',').map((range) => [mediaType(range), !refused.test(range)]));
  const anySubtype = `${type.slice(0, type.indexOf('/'))}/*`;
  return ranges.get(type) ?? ranges.get(anySubtype) ?? ranges.get('*/*') ?? false;
}

/** The form in which a client accepts the response to a request: one JSON document, an event stream, or either. */
export type AnswerForm = 'json' | 'stream' | 'either';

/**
 * The form that an Accept header asks for, or undefined if it allows neither. MCP requires clients to list both media types
 * (2025-11-25, Streamable HTTP, "Sending Messages to the Server"); a client that lists one gets that.
 */
export function answerForm(accept: string | undefined): AnswerForm | undefined {
  // The header of the official SDKs is compared, to avoid parsing it for every call.
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
