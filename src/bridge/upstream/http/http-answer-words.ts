import { STATUS_CODES, type IncomingMessage } from 'node:http';

import { memberOf, parseMessage, type RequestId, type RpcResponse } from '../../../mcp/json-rpc.ts';
import { sanitize } from '../../../sanitize.ts';
import type { UpstreamEnd } from '../upstream.ts';

/** As much of an error page as is shown. */
const maxExcerpt = 200;

/** JSON-RPC code of an unknown method, which some servers answer with HTTP 404. */
const methodNotFound = -32601;

/**
 * What servers that were made from the official SDK's examples say, with HTTP 400, of a session that they do not know.
 * All of it comes before anything of the message is done.
 */
const lostSessionWords = /no valid session|session not found|invalid session|server not initialized/i;

export type HttpUpstreamKind = '--http' | '--sse';

/** `the server answered 502 Bad Gateway`, with the words of the standard, not the server's. */
export function statusWords(status: number): string {
  return `the server answered ${`${status} ${STATUS_CODES[status] ?? ''}`.trim()}`;
}

/** The same with the beginning of a page that is plain text: an HTML page says too little in so few words. */
export function statusWithExcerpt(status: number, response: IncomingMessage, body: Buffer): string {
  if (!/^(?:text\/plain|application\/(?:[\w.+-]*\+)?json)\b/i.test(response.headers['content-type'] ?? '')) {
    return statusWords(status);
  }
  const text = sanitize(body.toString('utf8', 0, 4 * maxExcerpt).replaceAll(/\s+/g, ' ')).trim();
  return text === '' ? statusWords(status) : `${statusWords(status)}: ${text.slice(0, maxExcerpt)}`;
}

/** Why what answers at the URL cannot be used, from the answer to the first request. */
export function openingFailure(
  status: number,
  kind: HttpUpstreamKind,
  retryAfterMs: number | undefined,
): Pick<UpstreamEnd, 'reason' | 'code' | 'retryAfterMs'> {
  const words = statusWords(status);
  if (status === 429 || status >= 500) {
    return { reason: words, code: 'upstream_unreachable', ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }
  return { reason: `${words}${adviceFor(status, kind)}`, code: 'upstream_refused' };
}

function adviceFor(status: number, kind: HttpUpstreamKind): string {
  if (status === 401 || status === 403) {
    return '; if it wants credentials, give them with --upstream-header "Authorization: Bearer …"';
  }
  if (status === 400 || status === 404 || status === 405) return `; is the path right? ${otherTransport(kind)}`;
  return '';
}

/** What answers with 200, but in no form of MCP. */
export function notMcp(kind: HttpUpstreamKind): Pick<UpstreamEnd, 'reason' | 'code'> {
  const missing = kind === '--http' ? 'neither JSON nor an event stream' : 'no event stream';
  const reason = `what answers at the URL is no MCP server of this kind, it sent ${missing}; is the path right?`;
  return { reason: `${reason} ${otherTransport(kind)}`, code: 'upstream_refused' };
}

function otherTransport(kind: HttpUpstreamKind): string {
  return kind === '--http'
    ? 'for a server of the older HTTP+SSE transport, use --sse'
    : 'for a Streamable HTTP server, use --http';
}

/** The server's own JSON-RPC error, as the answer to our request. */
export function errorIn(body: Buffer, id: RequestId): RpcResponse | undefined {
  const error = errorOf(body);
  if (error === undefined) return undefined;
  const parsed = parseMessage(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, error })));
  return parsed.kind === 'response' && parsed.failed ? parsed : undefined;
}

/** Whether an answer says that the session is unknown; such an answer comes before anything is done (MCP 2025-11-25). */
export function saysSessionLost(status: number, body: Buffer): boolean {
  const error = errorOf(body);
  if (status === 404) return memberOf(error, 'code') !== methodNotFound;
  return status === 400 && lostSessionWords.test(String(memberOf(error, 'message')));
}

/** Retry-After (RFC 9110 §10.2.3), in milliseconds. */
export function retryAfterOf(response: IncomingMessage, now: number): number | undefined {
  const value = response.headers['retry-after'];
  if (value === undefined) return undefined;
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(waitMs) && waitMs >= 0 ? waitMs : undefined;
}

function errorOf(body: Buffer): unknown {
  try {
    const json: unknown = JSON.parse(body.toString());
    const error = memberOf(json, 'error');
    return typeof memberOf(error, 'code') === 'number' && typeof memberOf(error, 'message') === 'string'
      ? error
      : undefined;
  } catch {
    return undefined;
  }
}
