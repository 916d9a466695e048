/**
 * Every way in which mcp-expose itself can fail, with the exit code of a process that such an error ends: 1 for a failure
 * at run time, 2 for wrong input, 3 for a server and 4 for a tunnel. docs/errors.md says what to do about each.
 * The codes of JSON-RPC errors are in mcp/json-rpc.ts.
 */
export const exitCodes = {
  /** The command line, an environment variable or an option of the library is wrong. */
  usage: 2,
  /** The configuration file, or a server in it, cannot be used. */
  config_unusable: 2,
  /** The given token is not a bearer token, or its file cannot be used. */
  token_unusable: 2,
  /** The file in which a relay keeps its names, or a run its tokens, cannot be used. */
  state_unusable: 2,
  /** The OpenID provider could not be reached, or its metadata cannot be used. */
  identity_provider_unusable: 1,
  /** Without a token, others could use the server, which nobody has allowed. */
  unauthenticated_public: 2,
  /** Another program listens on the port. */
  address_in_use: 1,
  /** The address to listen on does not exist on this machine, or may not be used. */
  address_unavailable: 1,
  /** The system opens no more files for this process, or for any. */
  too_many_open_files: 1,
  /** The command of the server could not be started. */
  upstream_not_started: 3,
  /** The server exited before it answered `initialize`. */
  upstream_exited: 3,
  /** The server did not answer `initialize` in time. */
  upstream_silent: 3,
  /** The server at a URL could not be connected to. */
  upstream_unreachable: 3,
  /** The URL of the server is one to which mcp-expose sends no requests. */
  upstream_url_refused: 2,
  /** The server rejected `initialize`, or the URL is not that of an MCP server. */
  upstream_refused: 3,
  /** The relay or the service of the tunnel could not be connected to, or the tunnel was not up in time. */
  tunnel_unreachable: 4,
  /** What answers at the URL of the relay is not a relay. */
  tunnel_not_a_relay: 4,
  /** The relay speaks another version of the tunnel protocol. */
  tunnel_version: 4,
  /** The relay or the service refused the tunnel; trying again does not help. */
  tunnel_rejected: 4,
  /** The tunnel cannot work at the moment, or on this machine. */
  tunnel_unavailable: 4,
  /** The program of the tunnel is not installed. */
  tunnel_not_installed: 4,
  /** A request without the token passed through the public URL, so the tunnel was closed. */
  tunnel_unguarded: 4,
  /** A bug in mcp-expose, or the end of a part that something still waits for. */
  internal: 1,
} as const;

/** The code of an `ExposeError`, for a `switch`. */
export type ErrorCode = keyof typeof exitCodes;

/**
 * An error to show to a user: `message` says what failed and with which value, in lower case and without a full stop;
 * each line of `hints` says what to do about it. Never holds a secret.
 */
export class ExposeError extends Error {
  readonly code: ErrorCode;
  /** What to do about it, one line each; often none. */
  readonly hints: readonly string[];

  constructor(code: ErrorCode, message: string, options: { hints?: readonly string[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ExposeError';
    this.code = code;
    // The same remedy helps, whatever was tried.
    this.hints = isOutOfFiles(options.cause) ? [openFilesHint] : (options.hints ?? []);
  }

  /** Exit code of a process that this error ends. */
  get exitCode(): number {
    return exitCodes[this.code];
  }
}

/** The message of an error of one of several servers, with the server's name once: errors of a configuration have it. */
export function messageOfServer(name: string, { message }: Error): string {
  return message.startsWith('server "') ? message : `${name}: ${message}`;
}

/** What to do when the system opens no more files for this process; sockets and pipes count as files. */
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
