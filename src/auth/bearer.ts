import { hash, timingSafeEqual } from 'node:crypto';

/** `Bearer` and the token, as RFC 6750 §2.1 writes them; the scheme's case does not matter (RFC 9110 §11.1). */
const credentials = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i;

export type BearerVerdict = 'accepted' | 'absent' | 'malformed' | 'wrong';

export interface BearerCheck {
  /** @param authorization every Authorization header of the request, in order. */
  check(authorization: readonly string[]): BearerVerdict;
}

/**
 * Compares bearer tokens with the one that is accepted. Only digests are kept and compared, in constant time, so that
 * neither the length nor the content of the token shows in how long an answer takes.
 */
export function createBearerCheck(token: string): BearerCheck {
  const expected = digest(token);
  return {
    check(authorization) {
      const [header, ...further] = authorization;
      if (header === undefined) return 'absent';
      if (further.length > 0) return 'malformed';
      const presented = credentials.exec(header)?.[1];
      // Another scheme, or a token that no bearer could be, is a credential that is wrong, not one that is missing.
      if (presented === undefined) return 'wrong';
      return timingSafeEqual(digest(presented), expected) ? 'accepted' : 'wrong';
    },
  };
}

function digest(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}
