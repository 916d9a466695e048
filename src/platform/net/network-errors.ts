/** Words for the system errors that users meet. */
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

/** What an error of the system means; undefined for those that are rarely met, to be shown as they are. */
export function networkErrorWords(thrown: unknown): string | undefined {
  return words.get(errorCode(thrown));
}

/** The system's code of an error or of the error that caused it; empty when it has none. */
export function errorCode(thrown: unknown): string {
  if (!(thrown instanceof Error)) return '';
  // Node tries all addresses of a host; each failure is in `errors`, the first stands for them.
  if (thrown instanceof AggregateError) return errorCode(thrown.errors[0]);
  if ('code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return errorCode(thrown.cause);
}
