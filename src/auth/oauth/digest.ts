import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** 256 bits, as OAuth 2.1 §7.1.3 asks for at least 128. */
const secretBytes = 32;

/** A new unguessable value in base64url. */
export function newSecret(prefix = ''): string {
  return prefix + randomBytes(secretBytes).toString('base64url');
}

/** SHA-256 in base64url: what is kept of a secret, and the S256 challenge of a verifier (RFC 7636 §4.2). */
export function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

/** Whether a secret has this digest, in constant time. */
export function matchesDigest(secret: string, digest: string): boolean {
  const [own, other] = [Buffer.from(digestOf(secret)), Buffer.from(digest)];
  return own.length === other.length && timingSafeEqual(own, other);
}
