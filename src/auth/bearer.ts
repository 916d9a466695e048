import { timingSafeEqual } from 'node:crypto';

/** `Bearer` and the token, as RFC 6750 §2.1 writes them; the scheme's case does not matter (RFC 9110 §11.1). */
const credentials = /^bearer +[A-Za-z0-9\-._~+/]+=* *$/i;
const scheme = 'bearer';

export type BearerVerdict = 'accepted' | 'absent' | 'malformed' | 'wrong';

export interface BearerCheck {
  /** @param authorization every Authorization header of the request, in order. */
  check(authorization: readonly string[]): BearerVerdict;
}

/** Fewest bytes in which tokens are compared, whatever their length. */
const minComparedBytes = 256;

/**
 * Compares bearer tokens with the accepted one in constant time: always the same number of bytes, so that the time reveals
 * neither the length nor the content of the token. (Comparing digests would take ten times as long, on every request.)
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
      // Another scheme or an invalid token is a wrong credential, not a missing one.
      if (!credentials.test(header)) return 'wrong';
      const presented = header.slice(scheme.length).trim();
      // A longer token is cut to a length that differs from that of the accepted one.
      return timingSafeEqual(padded(presented, scratch), expected) ? 'accepted' : 'wrong';
    },
  };
}

/** The characters of a token, one byte each, padded with zero bytes, which no token contains. */
function padded(token: string, into: Buffer): Buffer {
  into.fill(0, into.write(token, 'latin1'));
  return into;
}
