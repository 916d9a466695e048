import type { IncomingHttpHeaders } from 'node:http';

import { messageOf } from '../../errors.ts';
import { TimeoutError } from '../../platform/deadline.ts';
import { withoutBrackets } from '../../platform/net/addresses.ts';
import { portOf, ProxyError } from '../../platform/net/http-proxy.ts';
import { errorCode } from '../../platform/net/network-errors.ts';
import { requestText, type TextRequest } from '../../platform/net/request-text.ts';
import type { HostEnvironment } from '../host-environment.ts';

export type RoundTripRequest = Omit<TextRequest, 'env' | 'lookup'>;

/** How far a request came. */
export type RoundTrip =
  | { readonly kind: 'no_dns' }
  | { readonly kind: 'tls'; readonly reason: string }
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** No answer in time. */
  | { readonly kind: 'silent'; readonly reason: string }
  | {
      readonly kind: 'response';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      /** What has come of it, which may not be all. */
      readonly body: string;
    };

/**
 * Sends a request to a URL of ours as a client elsewhere would: by the resolver, the proxy and the certificates of this
 * machine, except for the addresses that the user has given. Never rejects.
 */
export async function makeRoundTrip(
  { env, overrides }: Pick<HostEnvironment, 'env' | 'overrides'>,
  request: RoundTripRequest,
): Promise<RoundTrip> {
  const port = portOf(request.url);
  const isOverridden = overrides.find(withoutBrackets(request.url.hostname), port) !== undefined;
  try {
    const { status, headers, text } = await requestText({
      ...request,
      env: isOverridden ? {} : env,
      lookup: overrides.lookupFor(port),
    });
    return { kind: 'response', status, headers, body: text };
  } catch (error) {
    return error instanceof TimeoutError || request.signal.aborted
      ? { kind: 'silent', reason: `no answer within ${request.timeoutMs / 1000} s` }
      : failureOf(error);
  }
}

/** Codes of Node for certificates that are not trusted, and what OpenSSL says of a peer that speaks no TLS. */
const tlsCode = /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED|UNABLE_TO_|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH|EPROTO$)/;

function failureOf(error: unknown): RoundTrip {
  // The error behind that of a proxy is about the proxy.
  const code = error instanceof ProxyError ? '' : errorCode(error);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EAI_NODATA') return { kind: 'no_dns' };
  // Errors of several addresses have no message of their own.
  return { kind: tlsCode.test(code) ? 'tls' : 'unreachable', reason: messageOf(error) || code };
}
