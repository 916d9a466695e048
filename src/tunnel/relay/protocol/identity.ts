import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { protocolVersion } from './protocol.ts';

/** Length of a name that is derived from a key: 50 bits. */
const derivedNameLength = 10;
/** RFC 4648, section 6, in lower case: the only base32 that is also a DNS label. */
const base32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** An agent's key. The private half leaves it only through `exportPem`. */
export interface Identity {
  /** Raw 32-byte Ed25519 public key, base64url. */
  readonly publicKey: string;
  readonly name: string;
  /** Signature over the proof payload, base64url. */
  sign(proof: ProofInput): string;
  /** The private key as PKCS #8 PEM. */
  exportPem(): string;
}

export interface ProofInput {
  /** `host[:port]` of the relay as the agent dialled it, lower case, without a default port. */
  readonly relayHost: string;
  /** The relay's 32 bytes. */
  readonly nonce: Buffer;
  /** The hello, byte for byte as it was sent. */
  readonly hello: Buffer;
}

/** A new key, or the one in `pem` (PKCS #8). Throws when `pem` contains anything but an Ed25519 private key. */
export function createIdentity(pem: string = generatePem()): Identity {
  const privateKey = createPrivateKey(pem);
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new TypeError('the key is not an Ed25519 private key');
  const { x: publicKey } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (publicKey === undefined) throw new TypeError('the key has no public half');
  return {
    publicKey,
    name: deriveName(publicKey),
    sign: (proof) => sign(null, proofPayload(proof), privateKey).toString('base64url'),
    exportPem: () => privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

/**
 * A new Ed25519 key as PEM. The key objects that node:crypto generates deadlock when the garbage collector runs during
 * their export (seen in Node 20.20: the finished job of the generation waits for the lock that the export holds).
 */
function generatePem(): string {
  return generateKeyPairSync('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey;
}

/** The name that belongs to a public key: the first 10 characters of base32(sha256(raw key)), so it needs no account. */
export function deriveName(publicKey: string): string {
  const digest = createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest();
  let name = '';
  for (let index = 0; index < derivedNameLength; index += 1) {
    const bit = index * 5;
    const pair = digest.readUInt16BE(bit >> 3);
    name += base32.charAt((pair >> (11 - (bit & 7))) & 31);
  }
  return name;
}

/** Whether `signature` (base64url) is `publicKey`'s over this proof. Never throws. */
export function verifyProof(publicKey: string, proof: ProofInput, signature: string): boolean {
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });
    return verify(null, proofPayload(proof), key, Buffer.from(signature, 'base64url'));
  } catch {
    return false;
  }
}

/**
 * What is signed. The host binds the proof to one relay, so that a relay cannot pass on another relay's challenge; the nonce
 * binds it to this connection, the digest to the contents of the hello. Only the host varies in length, so no two inputs are
 * the same.
 */
export function proofPayload(proof: ProofInput): Buffer {
  const hello = createHash('sha256').update(proof.hello).digest();
  return Buffer.concat([Buffer.from(`${protocolVersion}\0${proof.relayHost}`), proof.nonce, hello]);
}

/** Whether `name` can be requested: a DNS label (RFC 1035, section 2.3.1) of 3 to 63 characters in lower case. */
export function isValidName(name: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])$/.test(name);
}

/** Whether `name` has the form of one derived from a key, so that only that key may have it. */
export function isDerivedForm(name: string): boolean {
  return name.length === derivedNameLength && /^[a-z2-7]+$/.test(name);
}
