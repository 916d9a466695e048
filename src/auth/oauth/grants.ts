import { randomUUID } from 'node:crypto';

import type { Clock } from '../../platform/clock.ts';
import { digestOf, matchesDigest, newSecret } from './digest.ts';
import type { OAuthEvent, RevokeReason } from './events.ts';
import { accessTokenPrefix } from '../token.ts';
import { narrower, type Scope } from './scopes.ts';

/** Prefixes by which secret scanners and people know the tokens. */
const refreshTokenPrefix = 'mcpr_';

/** RFC 6749 §4.1.2 recommends at most ten minutes; clients exchange a code at once. */
const codeLifeMs = 60_000;

/** Life of an access token in seconds: clients renew it without the owner. */
const accessTokenLifeSeconds = 3600;

/** The owner approves each grant by hand; more are a mistake. The one that was renewed least recently ends. */
const maxGrants = 100;

/** Access tokens of one grant that are valid at once: more only if a client renews far too often. */
const maxAccessTokens = 5;

/** Refresh tokens of one grant that are remembered to detect their reuse; an older one is only refused. */
const maxRefreshTokens = 100;

/** What the owner approved for a client. */
export interface Grant {
  readonly id: string;
  /** As `AuthorizationServerOptions.nameOf` has given it. */
  readonly clientName: string;
  readonly clientId: string;
  readonly scope: Scope;
  /** The one MCP endpoint that it is for; undefined for all. */
  readonly resource: string | undefined;
  /** When the access token expires, in milliseconds of the clock. */
  readonly expiresAt: number;
}

/** What is approved, and what a code is bound to. */
export interface GrantRequest {
  readonly clientId: string;
  readonly clientName: string;
  readonly redirectUri: string;
  /** S256 (RFC 7636 §4.2). */
  readonly codeChallenge: string;
  readonly scope: Scope;
  readonly resource: string | undefined;
}

export interface CodeExchange {
  readonly clientId: string;
  /** OAuth 2.1 §10.2: newer clients omit it here, since PKCE does the same. */
  readonly redirectUri: string | undefined;
  readonly codeVerifier: string | undefined;
  readonly resource: string | undefined;
}

export interface TokenSet {
  readonly grantId: string;
  readonly clientName: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly scope: Scope;
  readonly expiresInSeconds: number;
}

export type TokenResult = TokenSet | 'invalid_grant' | 'invalid_target';

export interface Grants {
  /** A new grant, whose tokens can be had for the code within a minute. */
  approve(request: GrantRequest): { readonly grantId: string; readonly code: string };
  /** A code is accepted once; each failure but `invalid_target` uses it up, and its reuse revokes the grant. */
  exchangeCode(code: string, exchange: CodeExchange): TokenResult;
  /** Each refresh token is accepted once (RFC 9700 §4.14.2); its reuse revokes the grant. */
  refresh(refreshToken: string, request: { clientId: string; scope: Scope; resource: string | undefined }): TokenResult;
  verify(accessToken: string): Grant | undefined;
  /** RFC 7009: an access token, or with a refresh token the grant. */
  revokeToken(token: string, clientId: string): 'revoked' | 'unknown' | 'of_other_client';
  revoke(grantId: string, reason: RevokeReason): boolean;
  hasClient(clientId: string): boolean;
  /** Ends the timers. */
  close(): void;
}

interface GrantRecord extends GrantRequest {
  readonly id: string;
  readonly codeDigest: string;
  readonly codeExpiresAt: number;
  isCodeUsed: boolean;
  /** Stops the timer that ends the grant with its code. */
  readonly stopWaiting: () => void;
  /** Digests, the newest last. */
  readonly accessTokens: string[];
  readonly refreshTokens: string[];
}

/** Codes and tokens in memory, as digests: whoever reads the memory cannot use them. */
export function createGrants({
  clock,
  onEvent,
}: {
  readonly clock: Clock;
  readonly onEvent: (event: OAuthEvent) => void;
}): Grants {
  const grants = new Map<string, GrantRecord>();
  const codes = new Map<string, GrantRecord>();
  const refreshTokens = new Map<string, GrantRecord>();
  const accessTokens = new Map<string, { readonly record: GrantRecord; readonly grant: Grant }>();

  function revoke(record: GrantRecord, reason: RevokeReason): void {
    record.stopWaiting();
    grants.delete(record.id);
    codes.delete(record.codeDigest);
    for (const digest of record.accessTokens) accessTokens.delete(digest);
    for (const digest of record.refreshTokens) refreshTokens.delete(digest);
    onEvent({ kind: 'grant_revoked', clientName: record.clientName, grantId: record.id, reason });
  }

  function issue(record: GrantRecord, scope: Scope): TokenSet {
    const accessToken = newSecret(accessTokenPrefix);
    const refreshToken = newSecret(refreshTokenPrefix);
    const { id, clientId, clientName, resource } = record;
    const expiresAt = clock.now() + accessTokenLifeSeconds * 1000;
    const grant: Grant = { id, clientName, clientId, scope, resource, expiresAt };
    remember(record.accessTokens, accessTokens, accessToken, { record, grant }, maxAccessTokens);
    remember(record.refreshTokens, refreshTokens, refreshToken, record, maxRefreshTokens);
    // The last in the map is the most recently renewed.
    grants.delete(id);
    grants.set(id, record);
    return { grantId: id, clientName, accessToken, refreshToken, scope, expiresInSeconds: accessTokenLifeSeconds };
  }

  return {
    approve(request) {
      const [oldest] = grants.values();
      if (grants.size >= maxGrants && oldest !== undefined) revoke(oldest, 'too_many_grants');
      const code = newSecret();
      const record: GrantRecord = {
        ...request,
        id: randomUUID(),
        codeDigest: digestOf(code),
        codeExpiresAt: clock.now() + codeLifeMs,
        isCodeUsed: false,
        stopWaiting: clock.after(codeLifeMs, () => revoke(record, 'not_exchanged')),
        accessTokens: [],
        refreshTokens: [],
      };
      grants.set(record.id, record);
      codes.set(record.codeDigest, record);
      return { grantId: record.id, code };
    },
    exchangeCode(code, { clientId, redirectUri, codeVerifier, resource }) {
      const record = codes.get(digestOf(code));
      if (record === undefined) return 'invalid_grant';
      if (record.isCodeUsed) {
        revoke(record, 'reused');
        return 'invalid_grant';
      }
      const isBound =
        clientId === record.clientId &&
        (redirectUri === undefined || redirectUri === record.redirectUri) &&
        codeVerifier !== undefined &&
        matchesDigest(codeVerifier, record.codeChallenge);
      if (clock.now() >= record.codeExpiresAt || !isBound) {
        revoke(record, 'not_exchanged');
        return 'invalid_grant';
      }
      if (!includesResource(record, resource)) return 'invalid_target';
      record.isCodeUsed = true;
      record.stopWaiting();
      return issue(record, record.scope);
    },
    refresh(refreshToken, { clientId, scope, resource }) {
      const digest = digestOf(refreshToken);
      const record = refreshTokens.get(digest);
      if (record === undefined || record.clientId !== clientId) return 'invalid_grant';
      if (digest !== record.refreshTokens.at(-1)) {
        revoke(record, 'reused');
        return 'invalid_grant';
      }
      if (!includesResource(record, resource)) return 'invalid_target';
      // A client that asks for more than was approved gets what was approved, and the response says so (RFC 6749 §3.3).
      return issue(record, narrower(record.scope, scope));
    },
    verify(accessToken) {
      const entry = accessToken.startsWith(accessTokenPrefix) ? accessTokens.get(digestOf(accessToken)) : undefined;
      return entry !== undefined && clock.now() < entry.grant.expiresAt ? entry.grant : undefined;
    },
    revokeToken(token, clientId) {
      const digest = digestOf(token);
      const record = refreshTokens.get(digest) ?? accessTokens.get(digest)?.record;
      if (record === undefined) return 'unknown';
      if (record.clientId !== clientId) return 'of_other_client';
      if (!accessTokens.delete(digest)) revoke(record, 'revoked_by_client');
      return 'revoked';
    },
    revoke(grantId, reason) {
      const record = grants.get(grantId);
      if (record !== undefined) revoke(record, reason);
      return record !== undefined;
    },
    hasClient: (clientId) => [...grants.values()].some((record) => record.clientId === clientId),
    close() {
      for (const { stopWaiting } of grants.values()) stopWaiting();
    },
  };
}

/** Adds a token to the newest of its grant, and forgets the oldest if there are too many. */
function remember<T>(digests: string[], tokens: Map<string, T>, token: string, value: T, max: number): void {
  const digest = digestOf(token);
  digests.push(digest);
  tokens.set(digest, value);
  if (digests.length > max) tokens.delete(digests.shift() ?? '');
}

/** Whether a grant is for this endpoint; a request that names none takes what was approved. */
function includesResource(record: GrantRequest, resource: string | undefined): boolean {
  return resource === undefined || record.resource === undefined || record.resource === resource;
}
