import { ExposeError, messageOf } from '../../../errors.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';

/** Sentences for the system errors that users meet; others are shown as they are. */
const networkErrors: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ECONNRESET', 'the connection was closed before it had answered'],
  ['EPIPE', 'the connection was closed before it had answered'],
  ['ENOTFOUND', 'no such host'],
  ['EAI_AGAIN', 'the host name could not be looked up'],
  ['EHOSTUNREACH', 'no route to the host'],
  ['ENETUNREACH', 'no route to the network'],
  ['ETIMEDOUT', 'the connection timed out'],
  ['EADDRNOTAVAIL', 'this machine has no address to connect from, or no port left'],
  ['EMFILE', 'too many open files'],
  ['ENFILE', 'too many open files on the whole machine'],
]);

/** Codes of OpenSSL and Node for a certificate that is not to be trusted. */
const certificateError = /^(?:CERT_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT_ALTNAME)/;

/** As much of an unknown error as is shown. */
const maxShown = 200;

/**
 * Why there was no HTTP response, in words that may be told to a remote client: neither the name nor the address of the
 * server is among them.
 */
export function failureWords(thrown: unknown): string {
  if (thrown instanceof ExposeError) return 'its name leads to an address that mcp-expose does not call';
  const code = codeOf(thrown);
  const known = networkErrors.get(code);
  if (known !== undefined) return known;
  if (code === 'HPE_HEADER_OVERFLOW') return 'the head of its answer is too large';
  if (code.startsWith('HPE_')) return 'what answers there does not speak HTTP';
  if (certificateError.test(code)) {
    return `its certificate is not trusted (${code}); for an authority of your own, use --upstream-ca`;
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) return 'it does not speak TLS; is its address http:// instead?';
  return code === '' ? excerpt(messageOf(thrown), maxShown) : code;
}

/** The code of an error, or of the first of several: Node tries every address of a host. */
function codeOf(thrown: unknown): string {
  if (thrown instanceof AggregateError) return codeOf(thrown.errors[0]);
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : '';
}
