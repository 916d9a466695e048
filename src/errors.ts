/**
 * Every way in which mcp-expose itself can fail, as a code that callers can `switch` on.
 * Each code is explained in docs/errors.md. JSON-RPC error codes, which cross the wire, are in mcp/json-rpc.ts.
 */
export type ErrorCode =
  | 'usage'
  | 'config_unusable'
  | 'token_unusable'
  | 'state_unusable'
  | 'unauthenticated_public'
  | 'address_in_use'
  | 'address_unavailable'
  | 'too_many_open_files'
  | 'upstream_not_started'
  | 'upstream_exited'
  | 'upstream_silent'
  | 'upstream_unreachable'
  | 'upstream_url_refused'
  | 'upstream_refused'
  | 'tunnel_unreachable'
  | 'tunnel_not_a_relay'
  | 'tunnel_version'
  | 'tunnel_rejected'
  | 'tunnel_unavailable'
  | 'tunnel_not_installed'
  | 'tunnel_unguarded'
  | 'internal';

/** Exit code of the process when an error with this code ends it. */
const exitCodes: Record<ErrorCode, number> = {
  usage: 2,
  config_unusable: 2,
  token_unusable: 2,
  state_unusable: 2,
  unauthenticated_public: 2,
  address_in_use: 1,
  address_unavailable: 1,
  too_many_open_files: 1,
  upstream_not_started: 3,
  upstream_exited: 3,
  upstream_silent: 3,
  upstream_unreachable: 3,
  upstream_url_refused: 2,
  upstream_refused: 3,
  tunnel_unreachable: 4,
  tunnel_not_a_relay: 4,
  tunnel_version: 4,
  tunnel_rejected: 4,
  tunnel_unavailable: 4,
  tunnel_not_installed: 4,
  tunnel_unguarded: 4,
  internal: 1,
};

/**
 * An error meant for a person: `message` says what failed and with which value, in lower case and without a full stop;
 * each line of `hints` says what to do about it. Never holds a secret.
 */
export class ExposeError extends Error {
  readonly code: ErrorCode;
  readonly hints: readonly string[];

  constructor(code: ErrorCode, message: string, options: { hints?: readonly string[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ExposeError';
    this.code = code;
    // Whatever was tried: what helps is the same.
    this.hints = isOutOfFiles(options.cause) ? [openFilesHint] : (options.hints ?? []);
  }

  get exitCode(): number {
    return exitCodes[this.code];
  }
}

/** What failed with one of several servers, with its name once: errors of a configuration name the server themselves. */
export function messageOfServer(name: string, { message }: Error): string {
  return message.startsWith('server "') ? message : `${name}: ${message}`;
}

/** What helps when the system opens no more files for us, sockets and pipes included. */
export const openFilesHint =
  'raise the limit of open files, which ulimit -n shows: ulimit -n 65536, LimitNOFILE= of a service, or --ulimit nofile= of a container';

/** Whether the system refused because too many files are open: in this process (EMFILE) or on the machine (ENFILE). */
export function isOutOfFiles(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  if ('code' in thrown && (thrown.code === 'EMFILE' || thrown.code === 'ENFILE')) return true;
  return isOutOfFiles(thrown instanceof AggregateError ? thrown.errors[0] : thrown.cause);
}

/** The message of anything thrown: an error's own message, or the value as text. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
