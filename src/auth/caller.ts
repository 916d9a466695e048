/** What a caller may use of what the run allows, by globs (see PolicyRules in policy.ts, which is not known here). */
export interface CallerRules {
  readonly allowTools?: readonly string[] | undefined;
  readonly denyTools?: readonly string[] | undefined;
  readonly allowResources?: readonly string[] | undefined;
  readonly denyResources?: readonly string[] | undefined;
  readonly allowPrompts?: readonly string[] | undefined;
  readonly denyPrompts?: readonly string[] | undefined;
  /** Only tools that the server marks as read-only, and those that `allowTools` names without a wildcard. Default: false. */
  readonly readOnly?: boolean | undefined;
}

/** Who calls, as far as the credential tells. */
export interface Caller {
  /** Equal for two requests exactly if they have the same credential. */
  readonly id: string;
  /** For people: the name of the token, or of the client with an OAuth grant. */
  readonly label: string;
  /** Address of the client, if it can be trusted (see client-address.ts). */
  readonly address?: string | undefined;
  /** The same object for all requests with the credential. Default: everything that the run allows. */
  readonly rules?: CallerRules | undefined;
  /** Whether the credential is accepted from this address. Default: from all that the run accepts. */
  readonly admitsAddress?: ((address: string | undefined) => boolean) | undefined;
  /** The challenge for a call that the scope of an OAuth grant does not allow (RFC 6750 §3.1, `insufficient_scope`). Default: none. */
  readonly stepUp?: string;
  /** Binds the credential to the first client that initializes with it; false for any other client. Default: any client. */
  readonly claim?: (client: string) => boolean;
  /** Counts a tool call; false if no more are allowed. Default: any number. */
  readonly spendCall?: () => boolean;
}

/** Why a credential that is known is not accepted. */
export interface Refusal {
  readonly reason: string;
  /** For programs. */
  readonly code: string;
}

/** Knows the callers behind tokens. */
export interface CallerSource {
  /**
   * The caller behind a token, or why it is refused; undefined for an unknown token. Finds tokens by their digest.
   * @param endpoint path of the MCP endpoint that the request is for.
   */
  find(token: string, endpoint: string): Caller | Refusal | undefined;
}
