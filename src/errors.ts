/**
 * Every way in which mcp-expose itself can fail, as a code that callers can `switch` on.
 * Each code is explained in docs/errors.md. JSON-RPC error codes, which cross the wire, are in mcp/json-rpc.ts.
 */
export type ErrorCode =
  | 'usage'
  | 'config_unusable'
  | 'token_unusable'
  | 'unauthenticated_public'
  | 'address_in_use'
  | 'address_unavailable'
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
  unauthenticated_public: 2,
  address_in_use: 1,
  address_unavailable: 1,
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
    this.hints = options.hints ?? [];
  }

  get exitCode(): number {
    return exitCodes[this.code];
  }
}

/** The message of anything thrown: an error's own message, or the value as text. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
