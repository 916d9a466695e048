import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto';

import { isObject } from '../../mcp/rpc-message.ts';
import type { RpcRequest } from '../../mcp/json-rpc.ts';
import { inOnePiece } from '../../platform/bytes.ts';

/** What a `requestState` says (MCP 2026-07-28, multi round-trip requests). */
export interface StateClaims {
  /** Number of the call that waits. */
  readonly id: number;
  /** Who may go on with it, and with which request: see `bindingOf`. */
  readonly binding: string;
  /** Until when, in milliseconds of wall-clock time. */
  readonly expiresAt: number;
}

export type UnreadableState = 'malformed' | 'integrity' | 'bridge_restarted';

/** Of states that we have sealed, as `mx1.<epoch>.<sealed>`, the shape. Ours have about 200 characters. */
const shape = /^mx1\.([\w-]{8})\.([\w-]{40,1000})$/;

const cipher = 'aes-256-gcm';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** 48 bits: two runs do not have the same, and the key tells them apart in any case. */
const epochBytes = 6;

/**
 * Seals what a client keeps of a call that waits for it: it can neither be read nor made up. The key is one of this process, which is
 * also where the calls are.
 */
export class RequestStates {
  readonly #key = randomBytes(keyBytes);
  readonly #epoch = randomBytes(epochBytes).toString('base64url');

  seal({ id, binding, expiresAt }: StateClaims): string {
    const nonce = randomBytes(nonceBytes);
    const sealing = createCipheriv(cipher, this.#key, nonce, { authTagLength: tagBytes });
    const claims = [sealing.update(JSON.stringify([id, binding, expiresAt])), sealing.final()];
    return `mx1.${this.#epoch}.${Buffer.concat([nonce, sealing.getAuthTag(), ...claims]).toString('base64url')}`;
  }

  open(state: string): StateClaims | UnreadableState {
    const [, epoch, text = ''] = shape.exec(state) ?? [];
    if (epoch === undefined) return 'malformed';
    if (epoch !== this.#epoch) return 'bridge_restarted';
    const sealed = Buffer.from(text, 'base64url');
    const claimsStart = nonceBytes + tagBytes;
    const nonce = sealed.subarray(0, nonceBytes);
    const opening = createDecipheriv(cipher, this.#key, nonce, { authTagLength: tagBytes });
    opening.setAuthTag(sealed.subarray(nonceBytes, claimsStart));
    const parts = [opening.update(sealed.subarray(claimsStart))];
    try {
      parts.push(opening.final());
    } catch {
      return 'integrity';
    }
    // Nobody else can have sealed it.
    const [id, binding, expiresAt]: [number, string, number] = JSON.parse(Buffer.concat(parts).toString());
    return { id, binding, expiresAt };
  }
}

/** Parameters in which the retry of a request may differ from the request (MCP 2026-07-28, multi round-trip requests). */
const retryMembers: ReadonlySet<string> = new Set(['_meta', 'inputResponses', 'requestState']);

/**
 * A digest of who sends a request, and of the request without what changes in a retry. The order of members does not count.
 * @param capabilities the fingerprint of those that the client declares.
 */
export function bindingOf(callerId: string, capabilities: string, { method, bytes }: RpcRequest): string {
  // The parsed message may lack its long strings.
  const message: unknown = JSON.parse(inOnePiece(bytes).toString());
  const params = isObject(message) && isObject(message['params']) ? message['params'] : {};
  const kept = Object.fromEntries(Object.entries(params).filter(([name]) => !retryMembers.has(name)));
  return hash('sha256', canonical([callerId, capabilities, method, kept]), 'base64url');
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.keys(value).toSorted();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}
