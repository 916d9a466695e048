import { STATUS_CODES, type IncomingMessage } from 'node:http';

import { codingsOf } from '../../../mcp/headers.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';
import type { HttpResponse } from '../../../platform/net/http-client.ts';
import type { UpstreamEnd } from '../upstream.ts';
import { retryAfterOf } from './http-response.ts';
import type { UpstreamFailure } from './upstream-client.ts';

/** Bytes of an error page of which the beginning is shown. */
const maxReadBytes = 800;

/** Characters of the name of a compression that are shown. */
const maxCodings = 40;

export type HttpUpstreamKind = '--http' | '--sse';

export type UpstreamEndCause = Pick<UpstreamEnd, 'code' | 'reason' | 'advice' | 'retryAfterMs'>;

export function unreachableWords({ reason }: UpstreamFailure): string {
  return `the server cannot be reached: ${reason}`;
}

export function brokeWords(reason: string): string {
  return `the connection broke before the server had answered: ${reason}`;
}

/** Why the server cannot be used, from a request without a response. */
export function connectFailure(failure: UpstreamFailure): UpstreamEndCause {
  const code = failure.isFinal ? 'upstream_refused' : 'upstream_unreachable';
  return { code, reason: unreachableWords(failure), advice: failure.advice };
}

/** `the server answered 502 Bad Gateway`, with the reason phrase of the standard, not the server's. */
export function statusWords(status: number): string {
  return `the server answered ${`${status} ${STATUS_CODES[status] ?? ''}`.trim()}`;
}

/** Why a compressed response cannot be read; undefined if it is not compressed. */
export function compressedWords({ headers }: IncomingMessage): string | undefined {
  const codings = codingsOf(headers['content-encoding']);
  if (codings === undefined) return undefined;
  const what = `the server compressed its answer (${excerpt(codings, maxCodings)})`;
  return `${what}, although mcp-expose does not accept that: turn compression off in the server or the proxy in front of it`;
}

/** The status, with the beginning of a plain text or JSON body: the beginning of an HTML page says too little. */
export function statusWithExcerpt(status: number, response: IncomingMessage, body: Buffer): string {
  const compressed = compressedWords(response);
  if (compressed !== undefined) return `${statusWords(status)}; ${compressed}`;
  if (!/^(?:text\/plain|application\/(?:[\w.+-]*\+)?json)\b/i.test(response.headers['content-type'] ?? '')) {
    return statusWords(status);
  }
  const beginning = body.toString('utf8', 0, maxReadBytes).trim();
  const text = excerpt(beginning.replaceAll(/\s+/g, ' ')).trim();
  return text === '' ? statusWords(status) : `${statusWords(status)}: ${text}`;
}

/** Why the server cannot be used, from a refusal of the first request. */
export function openingFailure(
  kind: HttpUpstreamKind,
  { status, response }: HttpResponse,
  now: number,
): UpstreamEndCause {
  const words = statusWords(status);
  if (status === 429 || status >= 500) {
    const retryAfterMs = retryAfterOf(response, now);
    return { reason: words, code: 'upstream_unreachable', ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }
  return { reason: `${words}${adviceFor(status, kind, compressedWords(response))}`, code: 'upstream_refused' };
}

function adviceFor(status: number, kind: HttpUpstreamKind, compressed: string | undefined): string {
  if (status === 401 || status === 403) {
    return '; if it wants credentials, give them with --upstream-header "Authorization: Bearer …"';
  }
  if (compressed !== undefined) return `; ${compressed}`;
  if (status === 400 || status === 404 || status === 405) return `; is the path right? ${otherTransport(kind)}`;
  return '';
}

/** Why the server cannot be used, from a successful response that is not MCP. */
export function notMcp(kind: HttpUpstreamKind, response: IncomingMessage): UpstreamEndCause {
  const compressed = compressedWords(response);
  if (compressed !== undefined) return { reason: compressed, code: 'upstream_refused' };
  const missing = kind === '--http' ? 'neither JSON nor an event stream' : 'no event stream';
  const reason = `the URL does not answer as an MCP server of this kind, it sent ${missing}; is the path right?`;
  return { reason: `${reason} ${otherTransport(kind)}`, code: 'upstream_refused' };
}

function otherTransport(kind: HttpUpstreamKind): string {
  return kind === '--http'
    ? 'for a server of the older HTTP+SSE transport, use --sse'
    : 'for a Streamable HTTP server, use --http';
}
