import { createHash, createPrivateKey, createPublicKey, verify } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  createIdentity,
  deriveName,
  proofPayload,
  verifyProof,
} from '../../../../src/tunnel/relay/protocol/identity.ts';

/** RFC 8032, section 7.1, test 1. */
const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
const pem = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
  format: 'der',
  type: 'pkcs8',
})
  .export({ format: 'pem', type: 'pkcs8' })
  .toString();
const proof = { relayHost: 'relay.example:8443', nonce: Buffer.alloc(32, 7), hello: Buffer.from('{"type":"hello"}') };

test('a fixed key has a fixed public key and a fixed name', () => {
  const identity = createIdentity(pem);
  expect(Buffer.from(identity.publicKey, 'base64url').toString('hex')).toBe(
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
  );
  expect(identity.name).toBe('eh7ddx5bks');
  expect(createIdentity(identity.exportPem()).name).toBe('eh7ddx5bks');
});

test('the name is the start of lower-case base32(sha256(raw key))', () => {
  const { publicKey } = createIdentity();
  const digest = createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest();
  const bits = [...digest].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const letters = Array.from({ length: 10 }, (_, index) =>
    'abcdefghijklmnopqrstuvwxyz234567'.charAt(Number.parseInt(bits.slice(index * 5, index * 5 + 5), 2)),
  );
  expect(deriveName(publicKey)).toBe(letters.join(''));
});

test('the signed bytes are version, NUL, host, nonce and the digest of the hello', () => {
  const expected = Buffer.concat([
    Buffer.from('mcp-expose.v1\0relay.example:8443'),
    proof.nonce,
    createHash('sha256').update('{"type":"hello"}').digest(),
  ]);
  expect(proofPayload(proof)).toEqual(expected);
  const identity = createIdentity(pem);
  const key = createPublicKey(identity.exportPem());
  expect(verify(null, expected, key, Buffer.from(identity.sign(proof), 'base64url'))).toBe(true);
});

test('a proof holds for its own host, nonce, hello and key only', () => {
  const identity = createIdentity();
  const signature = identity.sign(proof);
  expect(verifyProof(identity.publicKey, proof, signature)).toBe(true);
  expect(verifyProof(identity.publicKey, { ...proof, relayHost: 'relay.example' }, signature)).toBe(false);
  expect(verifyProof(identity.publicKey, { ...proof, nonce: Buffer.alloc(32, 8) }, signature)).toBe(false);
  expect(verifyProof(identity.publicKey, { ...proof, hello: Buffer.from('{}') }, signature)).toBe(false);
  expect(verifyProof(createIdentity().publicKey, proof, signature)).toBe(false);
  expect(verifyProof('not a key', proof, signature)).toBe(false);
  expect(verifyProof(identity.publicKey, proof, 'AAAA')).toBe(false);
});

test('a key of another kind is refused', () => {
  expect(() => createIdentity('nonsense')).toThrow(/DECODER|unsupported|PEM/i);
});
