import { STATUS_CODES, type IncomingMessage } from 'node:http';

import { excerpt } from '../../../sanitize.ts';
import type { UpstreamEnd } from '../upstream.ts';

/** As much of an error page as is shown. */
const maxExcerpt = 200;

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
  const text = excerpt(
    body
      .toString('utf8', 0, 4 * maxExcerpt)
      .trim()
      .replaceAll(/\s+/g, ' '),
    maxExcerpt,
  ).trim();
  return text === '' ? statusWords(status) : `${statusWords(status)}: ${text}`;
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
