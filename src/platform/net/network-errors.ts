/** Text for common system errors. */
const words: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ECONNRESET', 'the connection was reset'],
  ['EPIPE', 'the connection was reset'],
  ['ENOTFOUND', 'no such host'],
  ['EAI_AGAIN', 'the host name could not be looked up'],
  ['EHOSTUNREACH', 'no route to the host'],
  ['ENETUNREACH', 'no route to the network'],
  ['ETIMEDOUT', 'the connection timed out'],
  ['EADDRNOTAVAIL', 'this machine has no address to connect from, or no port left'],
  ['EMFILE', 'too many open files'],
  ['ENFILE', 'too many open files on the whole machine'],
]);

/** The meaning of a system error; undefined for a rare one, which is shown unchanged. */
export function networkErrorWords(thrown: unknown): string | undefined {
  return words.get(errorCode(thrown));
}

/** Whether a code of OpenSSL or Node says that a certificate is not trusted. */
export function isCertificateError(code: string): boolean {
  return /^(?:CERT_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT_ALTNAME)/.test(code);
}

/** The system's code of an error or of the error that caused it; empty when it has none. */
export function errorCode(thrown: unknown): string {
  if (!(thrown instanceof Error)) return '';
  // Node tries all addresses of a host; each failure is in `errors`, of which the first is used.
  if (thrown instanceof AggregateError) return errorCode(thrown.errors[0]);
  if ('code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return errorCode(thrown.cause);
}
