import { timingSafeEqual } from 'node:crypto';

/** `Bearer` and the token, as RFC 6750 §2.1 writes them; the scheme's case does not matter (RFC 9110 §11.1). */
const credentials = /^bearer +[A-Za-z0-9\-._~+/]+=* *$/i;
const scheme = 'bearer';

export type BearerVerdict = 'accepted' | 'absent' | 'malformed' | 'wrong';

export interface BearerCheck {
  /** @param authorization every Authorization header of the request, in order. */
  check(authorization: readonly string[]): BearerVerdict;
}

/** Tokens are compared in as many bytes at least, whatever their length. */
const minComparedBytes = 256;

/**
 * Compares bearer tokens with the one that is accepted in constant time: always the same number of bytes, so that neither
 * the length nor the content of the token shows in how long an answer takes. (Digests would do the same at ten times the
 * cost, on every request.)
 */
export function createBearerCheck(token: string): BearerCheck {
  const size = Math.max(minComparedBytes, token.length + 1);
  const expected = padded(token, Buffer.alloc(size));
  const scratch = Buffer.alloc(size);
  return {
    check(authorization) {
      const [header, ...further] = authorization;
      if (header === undefined) return 'absent';
      if (further.length > 0) return 'malformed';
      // Another scheme, or a token that no bearer could be, is a credential that is wrong, not one that is missing.
      if (!credentials.test(header)) return 'wrong';
      const presented = header.slice(scheme.length).trim();
      // What is longer is cut to another length than that of the token.
      return timingSafeEqual(padded(presented, scratch), expected) ? 'accepted' : 'wrong';
    },
  };
}

/** The characters of a token, each a byte, with zeros behind them: no token has one. */
function padded(token: string, into: Buffer): Buffer {
  into.fill(0, into.write(token, 'latin1'));
  return into;
}
