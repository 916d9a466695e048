import { ExposeError } from '../../../errors.ts';
import {
  createHttpClient,
  type HttpCall,
  type HttpClientOptions,
  type HttpExchange,
  type HttpResponse,
} from '../../../platform/net/http-client.ts';
import { ProxyError } from '../../../platform/net/http-proxy.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';
import { failureWords } from './http-failure.ts';
import { checkUpstreamHeaders } from './upstream-headers.ts';
import { guardedLookup, refuseCredentialHost } from './upstream-url.ts';

/** Redirects that are followed for one request. */
const maxRedirects = 3;

/** Characters of an address that are shown. */
const maxShownLocation = 200;

export interface UpstreamClientOptions extends Pick<HttpClientOptions, 'url' | 'ca' | 'connectTimeoutMs' | 'clock'> {
  /** Default: no proxy. */
  readonly env?: NodeJS.ProcessEnv;
  /** Sent with every request, and nothing of the caller's own. */
  readonly headers: ReadonlyMap<string, string>;
  readonly onWarning: (message: string) => void;
}

/** Why the server gave no response that counts. */
export interface UpstreamFailure {
  readonly kind: 'failed';
  /** Words without an address. */
  readonly reason: string;
  /** Not a byte of the request has left: it can be sent again, whatever it is. */
  readonly isUnsent: boolean;
  /** It would fail in the same way again. */
  readonly isFinal: boolean;
  /** As `UpstreamEnd.advice`. */
  readonly advice?: string;
}

export type UpstreamExchange = HttpExchange<HttpResponse | UpstreamFailure>;

export interface UpstreamClient {
  send(call: HttpCall): UpstreamExchange;
  /** Ends all requests and connections; resolves when none is left. */
  close(): Promise<void>;
}

/**
 * HTTP to one MCP server: the user's headers on every request, redirects on the same origin (only 307 and 308, which
 * keep method and body, RFC 9110 §15.4), no connection to an address under which clouds hand out credentials.
 * @throws ExposeError `usage` for headers that cannot be sent, `upstream_url_refused` for such an address.
 */
export function createUpstreamClient(options: UpstreamClientOptions): UpstreamClient {
  const { url: origin, headers, env = {}, onWarning, ...rest } = options;
  refuseCredentialHost(origin);
  const client = createHttpClient({
    ...rest,
    url: origin,
    env,
    headers: {
      // Some firewalls refuse requests without one.
      ...(hasUserAgent(headers) ? {} : { 'User-Agent': 'mcp-expose' }),
      ...Object.fromEntries(checkUpstreamHeaders(headers)),
      // Bodies are measured and passed on as they come.
      'Accept-Encoding': 'identity',
    },
    lookup: guardedLookup,
  });

  function failed(cause: unknown, isUnsent: boolean): UpstreamFailure {
    const isFinal = cause instanceof ExposeError;
    // Names of the network inside are for whoever runs this, not for its clients.
    if (isFinal) onWarning(cause.message);
    const advice = cause instanceof ProxyError ? { advice: cause.message } : {};
    return { kind: 'failed', reason: failureWords(cause), isUnsent, isFinal, ...advice };
  }

  /** The URL that a redirect leads to, if it is to be followed; otherwise why not. */
  function redirected({ status, response, url }: HttpResponse, redirects: number): URL | UpstreamFailure {
    const target = redirectTarget(url, response.headers.location);
    const isAllowed = target?.origin === url.origin && (status === 307 || status === 308);
    if (isAllowed && redirects < maxRedirects) return target;
    const shown = target === undefined ? 'nowhere' : excerpt(`${target.origin}${target.pathname}`, maxShownLocation);
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
      if (!isRedirect(outcome.status)) return outcome;
      outcome.response.destroy();
      const next = redirected(outcome, redirects);
      if (!(next instanceof URL)) return next;
      exchange = client.send({ ...call, url: next });
      return await follow(redirects + 1);
    }

    return { outcome: follow(0), isUnsent: () => exchange.isUnsent(), abort: () => exchange.abort() };
  }

  return { send, close: client.close };
}

function isRedirect(status: number): boolean {
  return status >= 301 && status <= 308 && status !== 304;
}

/** Where a redirect leads; undefined where it names nothing that can be called. */
function redirectTarget(from: URL, location: string | undefined): URL | undefined {
  const target = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  return target?.protocol === 'http:' || target?.protocol === 'https:' ? target : undefined;
}

function hasUserAgent(headers: ReadonlyMap<string, string>): boolean {
  return [...headers.keys()].some((name) => name.toLowerCase() === 'user-agent');
}
