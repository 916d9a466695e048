import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

export type UnreadableState = 'malformed' | 'integrity' | 'bridge_restarted';

/** `mx1.<epoch>.<sealed>` */
const shape = /^mx1\.([\w-]{8})\.([\w-]{40,})$/;

const cipher = 'aes-256-gcm';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** 48 bits: two runs do not have the same, and the key tells them apart in any case. */
const epochBytes = 6;

/** Seals what a client keeps for us: it can neither be read nor made up. The key is one of this process. */
export class StateSeal {
  readonly #key = randomBytes(keyBytes);
  readonly #epoch = randomBytes(epochBytes).toString('base64url');

  seal(text: string): string {
    const nonce = randomBytes(nonceBytes);
    const sealing = createCipheriv(cipher, this.#key, nonce, { authTagLength: tagBytes });
    const content = [sealing.update(text), sealing.final()];
    return `mx1.${this.#epoch}.${Buffer.concat([nonce, sealing.getAuthTag(), ...content]).toString('base64url')}`;
  }

  /** @returns what `seal` was given, as UTF-8, or why it cannot be told. */
  open(state: string): Buffer | UnreadableState {
    const [, epoch, text = ''] = shape.exec(state) ?? [];
    if (epoch === undefined) return 'malformed';
    if (epoch !== this.#epoch) return 'bridge_restarted';
    const sealed = Buffer.from(text, 'base64url');
    const contentStart = nonceBytes + tagBytes;
    const nonce = sealed.subarray(0, nonceBytes);
    const opening = createDecipheriv(cipher, this.#key, nonce, { authTagLength: tagBytes });
    opening.setAuthTag(sealed.subarray(nonceBytes, contentStart));
    const parts = [opening.update(sealed.subarray(contentStart))];
    try {
      parts.push(opening.final());
    } catch {
      return 'integrity';
    }
    return Buffer.concat(parts);
  }
}
