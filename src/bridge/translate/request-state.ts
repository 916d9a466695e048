import { hash } from 'node:crypto';

import { isObject } from '../../mcp/rpc-message.ts';
import type { RpcRequest } from '../../mcp/json-rpc.ts';
import { inOnePiece } from '../../platform/bytes.ts';
import { StateSeal, type UnreadableState } from './state-seal.ts';

export type { UnreadableState } from './state-seal.ts';

/** What a `requestState` says (MCP 2026-07-28, multi round-trip requests). */
export interface StateClaims {
  /** Number of the call that waits. */
  readonly id: number;
  /** Who may go on with it, and with which request: see `bindingOf`. */
  readonly binding: string;
  /** Until when, in milliseconds of wall-clock time. */
  readonly expiresAt: number;
}

/** Longest state of ours, in characters; they have about 200. */
const maxStateLength = 1100;

/** Seals what a client keeps of a call that waits for it: calls are in this process, and so is the key. */
export class RequestStates {
  readonly #seal = new StateSeal();

  seal({ id, binding, expiresAt }: StateClaims): string {
    return this.#seal.seal(JSON.stringify([id, binding, expiresAt]));
  }

  open(state: string): StateClaims | UnreadableState {
    const opened = state.length > maxStateLength ? 'malformed' : this.#seal.open(state);
    if (typeof opened === 'string') return opened;
    // Nobody else can have sealed it.
    const [id, binding, expiresAt]: [number, string, number] = JSON.parse(opened.toString());
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
