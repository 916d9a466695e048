import { hash } from 'node:crypto';

import { ExposeError } from '../errors.ts';
import { systemClock, type Clock } from '../platform/clock.ts';
import { createAddressList } from './address-list.ts';
import type { Caller, CallerSource, Refusal } from './caller.ts';
import { checkLimits, rulesIn, type TokenLimits, type TokenRules } from './token-limits.ts';
import { checkTokenName } from './token-name.ts';
import { checkToken, generateToken } from './token.ts';

/** Tokens that are kept, those that ended included: they are told apart from unknown ones. */
const maxTokens = 1000;

/** How often the clock is compared with the ends of tokens, in milliseconds: it may jump, or the machine may sleep. */
const tickMs = 1000;

/** A token as it is shown and stored: without its secret. */
export interface TokenReport extends TokenRules {
  readonly name: string;
  /** `exhausted`: it allows no more tool calls, but what goes on can end. */
  readonly state: 'valid' | 'expired' | 'revoked' | 'exhausted';
  /** In milliseconds since 1970. */
  readonly createdAt: number;
  readonly expiresAt?: number | undefined;
  readonly once?: true | undefined;
  /** The client that a `once` token belongs to. */
  readonly client?: string | undefined;
  readonly maxCalls?: number | undefined;
  readonly calls: number;
  /** What a client that signed in with OAuth may do. */
  readonly scope?: 'mcp' | 'mcp:read' | undefined;
}

/** `rotated`: it ended, and the next one of its name follows. `claimed`: its first client has initialized. `called`: a tool call was counted. */
export type TokenChange = 'added' | 'expired' | 'revoked' | 'rotated' | 'exhausted' | 'claimed' | 'called';

export interface StoredToken extends TokenReport {
  /** SHA-256 of the token in base64: with 256 random bits nothing slower is needed. */
  readonly digest: string;
}

export interface TokenStoreOptions {
  /** Tokens of an earlier run. */
  readonly stored?: readonly StoredToken[];
  readonly clock?: Clock;
  /** A caller's token ended: its sessions and streams have to end. */
  readonly onEnd?: (callerId: string) => void;
  readonly onChange?: (name: string, change: TokenChange) => void;
}

type Token = { -readonly [Key in keyof StoredToken]: StoredToken[Key] } & { readonly caller: Caller };

const expired: Refusal = { reason: 'the bearer token has expired', code: 'token_expired' };
const revoked: Refusal = { reason: 'the bearer token was revoked', code: 'token_revoked' };

/**
 * The bearer tokens of a run. A presented token is found by its SHA-256 in a table: the time tells nothing about a token, and
 * a hundred tokens cost what one costs.
 */
export class TokenStore implements CallerSource {
  readonly #clock: Clock;
  readonly #onEnd: (callerId: string) => void;
  readonly #onChange: (name: string, change: TokenChange) => void;
  readonly #byDigest = new Map<string, Token>();
  /** The tokens that can be named: of a name, the newest. */
  readonly #byName = new Map<string, Token>();
  #generation = 0;
  #lastSeen: number;
  #stopTicking: (() => void) | undefined;

  constructor({ stored = [], clock = systemClock, onEnd = () => {}, onChange = () => {} }: TokenStoreOptions = {}) {
    this.#clock = clock;
    this.#onEnd = onEnd;
    this.#onChange = onChange;
    this.#lastSeen = clock.now();
    for (const token of stored) this.#insert(token);
    this.#tick();
  }

  /**
   * Adds a token.
   * @param own the user's token; by default a new one.
   * @returns the token.
   * @throws ExposeError `usage` for a name that is taken or cannot be used, for a limit that is not valid and for too many tokens,
   * `token_unusable` for such a token.
   */
  add(name: string, limits: TokenLimits = {}, own?: string): string {
    checkTokenName(name);
    const former = this.#byName.get(name);
    if (former !== undefined && isLive(former)) {
      throw new ExposeError('usage', `there is a token with the name ${name} already`, {
        hints: [`revoke it, or rotate it: mcp-expose token rotate ${JSON.stringify(name)}`],
      });
    }
    if ([...this.#byDigest.values()].filter(isLive).length >= maxTokens) {
      throw new ExposeError('usage', `there are ${maxTokens} valid tokens already`, { hints: ['revoke some of them'] });
    }
    const { expiresInMs, once, maxCalls, allowIps, ...rules } = checkLimits(limits);
    const token = own === undefined ? generateToken() : checkToken(own, 'the token');
    this.#expire();
    const createdAt = this.#clock.now();
    this.#insert({
      name,
      digest: digestOf(token),
      state: 'valid',
      createdAt,
      calls: 0,
      expiresAt: expiresInMs === undefined ? undefined : createdAt + expiresInMs,
      once: once === true ? once : undefined,
      maxCalls,
      allowIps,
      ...rulesIn(rules),
    });
    this.#onChange(name, 'added');
    this.#tick();
    return token;
  }

  /** @returns false if no valid token has this name. */
  revoke(name: string): boolean {
    const token = this.#byName.get(name);
    if (token === undefined || !isLive(token)) return false;
    this.#end(token, 'revoked');
    return true;
  }

  /** Replaces a token by a new one with the same limits. @returns the new token; undefined if no valid token has this name. */
  rotate(name: string): string | undefined {
    const old = this.#byName.get(name);
    if (old === undefined || !isLive(old)) return undefined;
    this.#end(old, 'revoked', 'rotated');
    const lifeMs = old.expiresAt === undefined ? undefined : old.expiresAt - old.createdAt;
    const { once, maxCalls, allowIps } = old;
    return this.add(name, { expiresInMs: lifeMs, once, maxCalls, allowIps, ...rulesIn(old) });
  }

  /** Whether a valid token of this name is this one. */
  has(name: string, token: string): boolean {
    const found = this.#byDigest.get(digestOf(token));
    return found !== undefined && found.name === name && isLive(found);
  }

  list(): TokenReport[] {
    return [...this.#byName.values()].map(({ digest: _digest, caller: _caller, ...report }) => report);
  }

  /** What a later run needs to accept the same tokens. */
  stored(): StoredToken[] {
    return [...this.#byDigest.values()].map(({ caller: _caller, ...token }) => token);
  }

  find(presented: string): Caller | Refusal | undefined {
    const token = this.#byDigest.get(digestOf(presented));
    if (token === undefined) return undefined;
    if (token.expiresAt !== undefined) this.#expire();
    if (isLive(token)) return token.caller;
    return token.state === 'expired' ? expired : revoked;
  }

  close(): void {
    this.#stopTicking?.();
  }

  #insert(stored: StoredToken): void {
    const { name, once, maxCalls, allowIps } = stored;
    const token: Token = {
      ...stored,
      caller: {
        id: `${name}#${++this.#generation}`,
        label: name,
        rules: rulesIn(stored),
        admitsAddress: allowIps && createAddressList(allowIps),
        ...(once === undefined ? {} : { claim: (client: string) => this.#claim(token, client) }),
        ...(maxCalls === undefined ? {} : { spendCall: () => this.#spend(token, maxCalls) }),
      },
    };
    this.#byDigest.set(token.digest, token);
    this.#byName.set(name, token);
    for (const [digest, oldest] of this.#byDigest) {
      if (this.#byDigest.size <= maxTokens) return;
      if (isLive(oldest)) continue;
      this.#byDigest.delete(digest);
      if (this.#byName.get(oldest.name) === oldest) this.#byName.delete(oldest.name);
    }
  }

  #claim(token: Token, client: string): boolean {
    if (token.client !== undefined) return token.client === client;
    token.client = client;
    this.#onChange(token.name, 'claimed');
    return true;
  }

  #spend(token: Token, maxCalls: number): boolean {
    if (token.calls >= maxCalls) return false;
    token.calls++;
    // What the last call needs goes on: answers of the client, cancellation, resumption.
    if (token.calls === maxCalls) token.state = 'exhausted';
    this.#onChange(token.name, token.state === 'exhausted' ? 'exhausted' : 'called');
    return true;
  }

  #end(token: Token, state: 'expired' | 'revoked', change: TokenChange = state): void {
    token.state = state;
    this.#onEnd(token.caller.id);
    this.#onChange(token.name, change);
  }

  /** Ends what has expired. A clock that is set back lengthens no life. */
  #expire(): void {
    const now = this.#clock.now();
    const setBackBy = Math.max(0, this.#lastSeen - now);
    this.#lastSeen = now;
    for (const token of this.#byDigest.values()) {
      if (token.expiresAt === undefined || !isLive(token)) continue;
      token.createdAt -= setBackBy;
      token.expiresAt -= setBackBy;
      if (token.expiresAt <= now) this.#end(token, 'expired');
    }
  }

  #tick(): void {
    this.#stopTicking?.();
    this.#stopTicking = undefined;
    this.#expire();
    const ends = [...this.#byDigest.values()].flatMap(({ state, expiresAt }) =>
      expiresAt !== undefined && isLive({ state }) ? [expiresAt] : [],
    );
    if (ends.length === 0) return;
    const leftMs = Math.min(...ends) - this.#lastSeen;
    this.#stopTicking = this.#clock.after(Math.min(leftMs, tickMs), () => this.#tick());
  }
}

/** Whether a token still identifies its caller. */
function isLive({ state }: Pick<TokenReport, 'state'>): boolean {
  return state === 'valid' || state === 'exhausted';
}

function digestOf(token: string): string {
  return hash('sha256', token, 'base64');
}
