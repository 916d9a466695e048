import type { IncomingMessage } from 'node:http';
import type { Refusal } from './request-queue.ts';

/** RFC 9112 §3.2.2: scheme, authority, and path with query. */
const absoluteForm = /^https?:\/\/([^/?#]*)(.*)$/is;

/** Host and port (RFC 9110 §7.2), without user information, which §4.2.4 has servers treat as an error. */
const hostAndPort = /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d*)?$/i;

/**
 * Changes a request in absolute-form, as clients of a proxy send it, to origin-form. The authority of the target replaces the
 * Host header, which a server has to ignore then (RFC 9112 §3.2.2), so that all checks of the host use it. The number of Host
 * headers stays the same, so that none or two are rejected.
 * @returns why the request is rejected, or undefined.
 */
export function toOriginForm(request: IncomingMessage): Refusal | undefined {
  const { url = '', rawHeaders } = request;
  const [, authority = '', rest = ''] = absoluteForm.exec(url) ?? [];
  if (!hostAndPort.test(authority)) {
    return { status: 400, message: 'the request target must be a path, or an http URL without user information' };
  }
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== 'host') continue;
    const host = rawHeaders[at + 1] ?? '';
    if (host !== '' && !hostAndPort.test(host)) return { status: 400, message: 'the Host header is not valid' };
    rawHeaders[at + 1] = authority;
  }
  if (request.headers.host !== undefined) request.headers.host = authority;
  request.url = rest.startsWith('/') ? rest : `/${rest}`;
  return undefined;
}
