import { STATUS_CODES, type IncomingMessage } from 'node:http';

import { codingsOf } from '../../../mcp/headers.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';
import type { UpstreamEnd } from '../upstream.ts';

/** As much of an error page as is shown. */
const maxExcerpt = 200;

/** As much of the name of a compression is shown. */
const maxCodings = 40;

export type HttpUpstreamKind = '--http' | '--sse';

/** `the server answered 502 Bad Gateway`, with the words of the standard, not the server's. */
export function statusWords(status: number): string {
  return `the server answered ${`${status} ${STATUS_CODES[status] ?? ''}`.trim()}`;
}

/** Why an answer cannot be read that is compressed although we ask for that not to be done; undefined where it is not. */
export function compressedWords({ headers }: IncomingMessage): string | undefined {
  const codings = codingsOf(headers['content-encoding']);
  if (codings === undefined) return undefined;
  const what = `the server compressed its answer (${excerpt(codings, maxCodings)})`;
  return `${what}, although mcp-expose does not accept that: turn compression off in the server or the proxy in front of it`;
}

/** The same with the beginning of a page that is plain text: an HTML page says too little in so few words. */
export function statusWithExcerpt(status: number, response: IncomingMessage, body: Buffer): string {
  const compressed = compressedWords(response);
  if (compressed !== undefined) return `${statusWords(status)}; ${compressed}`;
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
  response: IncomingMessage,
  retryAfterMs: number | undefined,
): Pick<UpstreamEnd, 'reason' | 'code' | 'retryAfterMs'> {
  const words = statusWords(status);
  if (status === 429 || status >= 500) {
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

/** What answers with 200, but in no form of MCP that can be read. */
export function notMcp(kind: HttpUpstreamKind, response: IncomingMessage): Pick<UpstreamEnd, 'reason' | 'code'> {
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
