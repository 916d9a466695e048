/** `Bearer` and the token, as RFC 6750 §2.1 writes them; the scheme's case does not matter (RFC 9110 §11.1). */
const credentials = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i;

/** A token in `X-API-Key`. */
const apiKey = /^[A-Za-z0-9\-._~+/]+=*$/;

/** The headers of a request that can carry a token, every value in order. */
export interface CredentialHeaders {
  readonly authorization: readonly string[];
  /** `X-API-Key`, for clients that can send no `Authorization`. */
  readonly apiKey?: readonly string[];
}

/** What a request presents. `malformed`: not exactly one credential; `unusable`: one that is no token. */
export type Presented = { readonly token: string } | 'absent' | 'malformed' | 'unusable';

/** Reads the credential of a request. Tokens in URLs are never read (RFC 6750 §2.3). */
export function presentedToken({ authorization, apiKey: keys = [] }: CredentialHeaders): Presented {
  const [value, ...further] = [...authorization, ...keys];
  if (value === undefined) return 'absent';
  if (further.length > 0) return 'malformed';
  // Another scheme is a wrong credential, not a missing one.
  const token = authorization.length > 0 ? credentials.exec(value)?.[1] : apiKey.exec(value)?.[0];
  return token === undefined ? 'unusable' : { token };
}
