import { ExposeError, messageOf } from '../../../errors.ts';
import { errorCode, networkErrorWords } from '../../../platform/net/network-errors.ts';
import { ProxyError } from '../../../platform/net/http-proxy.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';

/** Codes of OpenSSL and Node for a certificate that is not to be trusted. */
const certificateError = /^(?:CERT_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT_ALTNAME)/;

/** As much of an unknown error as is shown. */
const maxShown = 200;

/**
 * Why there was no HTTP response, in words that may be told to a remote client: neither the name nor the address of the
 * server is among them.
 */
export function failureWords(thrown: unknown): string {
  if (thrown instanceof ProxyError) return thrown.words;
  if (thrown instanceof ExposeError) return 'its name resolves to an address to which mcp-expose sends no requests';
  const code = errorCode(thrown);
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'the connection was closed before it had answered';
  const known = networkErrorWords(thrown);
  if (known !== undefined) return known;
  if (code === 'HPE_HEADER_OVERFLOW') return 'the head of its answer is too large';
  if (code.startsWith('HPE_')) return 'it does not speak HTTP';
  if (certificateError.test(code)) {
    return `its certificate is not trusted (${code}); for an authority of your own, use --upstream-ca`;
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) return 'it does not speak TLS; is its address http:// instead?';
  return code === '' ? excerpt(messageOf(thrown), maxShown) : code;
}
