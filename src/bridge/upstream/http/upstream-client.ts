import { ExposeError, messageOf } from '../../../errors.ts';
import {
  HttpClient,
  type HttpCall,
  type HttpClientOptions,
  type HttpExchange,
  type HttpResponse,
} from '../../../platform/net/http-client.ts';
import { ProxyError } from '../../../platform/net/http-proxy.ts';
import { errorCode, isCertificateError, networkErrorWords } from '../../../platform/net/network-errors.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';
import { checkUpstreamHeaders } from './upstream-headers.ts';
import { guardedLookup, refuseCredentialHost } from './upstream-url.ts';

/** Redirects that are followed for one request. */
const maxRedirects = 3;

export interface UpstreamClientOptions extends Pick<HttpClientOptions, 'url' | 'ca' | 'connectTimeoutMs' | 'clock'> {
  /** Default: no proxy. */
  readonly env?: NodeJS.ProcessEnv;
  /** Sent with every request; nothing from the client's requests goes to the server. */
  readonly headers: ReadonlyMap<string, string>;
  readonly onWarning: (message: string) => void;
}

/** Why there is no response from the server, or only a redirect that is not followed. */
export interface UpstreamFailure {
  readonly kind: 'failed';
  /** Without an address: remote clients may see it. */
  readonly reason: string;
  /** Not a byte of the request was sent: it is safe to send it again. */
  readonly isUnsent: boolean;
  /** A retry would fail in the same way. */
  readonly isFinal: boolean;
  /** As `UpstreamEnd.advice`. */
  readonly advice?: string;
}

export type PostOptions = Pick<HttpCall, 'headTimeoutMs' | 'onSent'>;

export type UpstreamExchange = HttpExchange<HttpResponse | UpstreamFailure>;

export interface UpstreamClient {
  send(call: HttpCall): UpstreamExchange;
  /** Ends all requests and connections; resolves when none is left. */
  close(): Promise<void>;
}

/**
 * HTTP to one MCP server: the user's headers on every request, redirects on the same origin (only 307 and 308, which
 * keep method and body, RFC 9110 §15.4), no connection to the metadata address of a cloud, which serves credentials.
 * @throws ExposeError `usage` for headers that cannot be sent, `upstream_url_refused` for such an address.
 */
export function createUpstreamClient(options: UpstreamClientOptions): UpstreamClient {
  const { url: origin, headers, env = {}, onWarning, ...rest } = options;
  refuseCredentialHost(origin);
  const hasUserAgent = [...headers.keys()].some((name) => name.toLowerCase() === 'user-agent');
  const client = new HttpClient({
    ...rest,
    url: origin,
    env,
    headers: {
      // Some firewalls refuse requests without one.
      ...(hasUserAgent ? {} : { 'User-Agent': 'mcp-expose' }),
      ...Object.fromEntries(checkUpstreamHeaders(headers)),
      // Bodies are limited in size and passed on unchanged.
      'Accept-Encoding': 'identity',
    },
    lookup: guardedLookup,
  });

  function failed(cause: unknown, isUnsent: boolean): UpstreamFailure {
    const isFinal = cause instanceof ExposeError;
    // Names in the internal network are for the operator, not for remote clients.
    if (isFinal) onWarning(cause.message);
    const advice = cause instanceof ProxyError ? { advice: cause.message } : {};
    return { kind: 'failed', reason: failureWords(cause), isUnsent, isFinal, ...advice };
  }

  /** The target of a redirect, or why it is not followed. */
  function redirected({ status, response, url }: HttpResponse, redirects: number): URL | UpstreamFailure {
    const target = redirectTarget(url, response.headers.location);
    const isAllowed = target?.origin === url.origin && (status === 307 || status === 308);
    if (isAllowed && redirects < maxRedirects) return target;
    const shown = target === undefined ? 'nowhere' : excerpt(`${target.origin}${target.pathname}`);
    onWarning(`the server redirects to ${shown} (${status}), which is not followed`);
    const reason = isAllowed ? 'it redirects too often' : `it redirects elsewhere (${status})`;
    const advice = target === undefined ? {} : { advice: `give ${shown} if that is the right address` };
    return { kind: 'failed', reason, isUnsent: false, isFinal: true, ...advice };
  }

  function send(call: HttpCall): UpstreamExchange {
    let exchange = client.send(call);

    async function follow(redirects: number): Promise<HttpResponse | UpstreamFailure> {
      const outcome = await exchange.outcome;
      if (outcome.kind === 'failed') return failed(outcome.cause, outcome.isUnsent);
      const { status } = outcome;
      if (status < 301 || status > 308 || status === 304) return outcome;
      outcome.response.destroy();
      const next = redirected(outcome, redirects);
      if (!(next instanceof URL)) return next;
      exchange = client.send({ ...call, url: next });
      return await follow(redirects + 1);
    }

    return { outcome: follow(0), isUnsent: () => exchange.isUnsent(), abort: () => exchange.abort() };
  }

  return { send, close: () => client.close() };
}

/** The target of a redirect; undefined unless it is an http(s) URL. */
function redirectTarget(from: URL, location: string | undefined): URL | undefined {
  const target = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  return target?.protocol === 'http:' || target?.protocol === 'https:' ? target : undefined;
}

/** Why there was no HTTP response, without the name and address of the server: remote clients may see it. */
export function failureWords(thrown: unknown): string {
  if (thrown instanceof ProxyError) return thrown.words;
  if (thrown instanceof ExposeError) return 'its name resolves to an address to which mcp-expose sends no requests';
  const code = errorCode(thrown);
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'the connection was closed before it had answered';
  const known = networkErrorWords(thrown);
  if (known !== undefined) return known;
  if (code === 'HPE_HEADER_OVERFLOW') return 'the head of its answer is too large';
  if (code.startsWith('HPE_')) return 'it does not speak HTTP';
  if (isCertificateError(code)) {
    return `its certificate is not trusted (${code}); for an authority of your own, use --upstream-ca`;
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) return 'it does not speak TLS; is its address http:// instead?';
  return code === '' ? excerpt(messageOf(thrown)) : code;
}
