/** Names of the HTTP headers of MCP's Streamable HTTP transport, in the lower case in which Node keeps them. */
export const sessionHeader = 'mcp-session-id';
export const revisionHeader = 'mcp-protocol-version';

/** Whether a Content-Type header names `application/json`, with whatever parameters (RFC 9110 §8.3). */
export function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && mediaType(contentType) === 'application/json';
}

/**
 * Whether an Accept header admits every one of the media types (RFC 9110 §12.5.1): the most specific range that matches
 * a type decides, and `q=0` refuses. A missing header admits nothing, since MCP demands that clients send one
 * (2025-11-25, Streamable HTTP).
 */
export function accepts(accept: string | undefined, types: readonly string[]): boolean {
  if (accept === undefined) return false;
  // What the official SDKs send, word for word: not worth reading again on every call.
  if (accept === 'application/json, text/event-stream') return true;
  const ranges = new Map(accept.split(',').map((range) => [mediaType(range), !refused.test(range)]));
  return types.every((type) => {
    const anySubtype = `${type.slice(0, type.indexOf('/'))}/*`;
    return ranges.get(type) ?? ranges.get(anySubtype) ?? ranges.get('*/*') ?? false;
  });
}

const refused = /;\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)/i;

function mediaType(value: string): string {
  const end = value.indexOf(';');
  return (end === -1 ? value : value.slice(0, end)).trim().toLowerCase();
}
