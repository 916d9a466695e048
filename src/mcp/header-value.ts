/** A value that a header cannot carry as it is, as the base64 of its UTF-8 (MCP 2026-07-28, "Value Encoding"). */
const prefix = '=?base64?';
const suffix = '?=';

/** With all of its padding (RFC 4648 §4). */
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** What a header may consist of (MCP 2026-07-28, "Value Encoding"; RFC 9110 §5.5). */
const plain = /^[\t\u0020-\u007E]*$/;

/** What surrounds a value without being a part of it (RFC 9110 §5.5). */
const outerSpace = /^[\t ]+|[\t ]+$/g;

/** Writes a value of a message as the value of an `Mcp-Name` or `Mcp-Param-*` header. */
export function encodeHeaderValue(value: string): string {
  const isPlain = plain.test(value) && value.trim() === value && value !== '' && !isEncoded(value);
  return isPlain ? value : `${prefix}${Buffer.from(value).toString('base64')}${suffix}`;
}

/** The value that such a header stands for; undefined if it has characters that it must not have, or is wrongly encoded. */
export function decodeHeaderValue(header: string): string | undefined {
  const value = header.replaceAll(outerSpace, '');
  if (!plain.test(value)) return undefined;
  if (!isEncoded(value)) return value;
  const content = value.slice(prefix.length, -suffix.length);
  if (!base64.test(content)) return undefined;
  try {
    return utf8.decode(Buffer.from(content, 'base64'));
  } catch {
    return undefined;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function isEncoded(value: string): boolean {
  return value.length >= prefix.length + suffix.length && value.startsWith(prefix) && value.endsWith(suffix);
}
