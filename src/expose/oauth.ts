import type { Caller, CallerRules } from '../auth/caller.ts';
import { createAuthorizationServer, type AuthorizationServer } from '../auth/oauth/authorization-server.ts';
import type { Confirm, PairingMode } from '../auth/oauth/authorize-endpoint.ts';
import { errorPage } from '../auth/oauth/consent-page.ts';
import { signInPath, type Identity } from '../auth/oauth/identity-sign-in.ts';
import { callerName, type OAuthEvent, type PairingRequest } from '../auth/oauth/events.ts';
import { errorResponse, maxOAuthBodyBytes, type OAuthRequest, type OAuthResponse } from '../auth/oauth/message.ts';
import { scopes, type Scope } from '../auth/oauth/scopes.ts';
import type { TokenReport } from '../auth/token-store.ts';
import { createBodyReader, type BodyReader } from '../http/body.ts';
import type { OAuthRoutes } from '../http/oauth-route.ts';
import type { IdentityProviderReport } from './options.ts';
import { createForwardClock, systemClock, type Clock } from '../platform/clock.ts';

/** What begins the access of another client. */
const entrances: ReadonlySet<string> = new Set(['/authorize', '/register', signInPath]);

export interface SignInOptions {
  readonly pairing: PairingMode;
  readonly confirm: Confirm | undefined;
  /** Users sign in there, instead of pairing. */
  readonly identity: Identity | undefined;
  /** Only the first client that is approved gets in. */
  readonly once: boolean;
  /** How long clients can sign in and stay, in milliseconds. Default: no limit. */
  readonly expiresInMs: number | undefined;
  /** Whether a wider scope would allow more. */
  readonly canStepUp: boolean;
  /** Whether a token or a client has this name. */
  readonly isTaken: (name: string) => boolean;
  /** Paths of the MCP endpoints that exist now. */
  readonly endpoints: () => readonly string[];
  readonly sharedName: () => string;
  readonly onEvent: (event: OAuthEvent) => void;
  /** The caller lost its access: its sessions and streams have to end. */
  readonly onEnd: (callerId: string) => void;
  readonly clock?: Clock;
}

/** What the scope `mcp:read` allows. */
const readRules: CallerRules = { readOnly: true };

/** How often the time is looked at, in milliseconds: timers are late after the machine was asleep. */
const tickMs = 60_000;

/**
 * Lets clients sign in with OAuth at the public URL of the run. The URL is the issuer and the audience of everything that is
 * issued, so a new URL begins anew.
 */
export class SignIn implements OAuthRoutes {
  /** Not the reader of the endpoints: strangers send these bodies. */
  readonly bodies: BodyReader = createBodyReader({ maxBytes: maxOAuthBodyBytes });
  readonly #options: SignInOptions;
  #server: AuthorizationServer | undefined;
  #issuer = '';
  #isClosed = false;
  /** What was approved at this URL, by the id of the grant. */
  #grants = new Map<string, TokenReport>();
  #stopTicking: (() => void) | undefined;

  constructor(options: SignInOptions) {
    this.#options = options;
    const { expiresInMs } = options;
    const clock = createForwardClock(options.clock ?? systemClock);
    if (expiresInMs !== undefined) this.#tick(clock, clock.now() + expiresInMs);
  }

  /** As it is shown; undefined before there is a URL, and if no code is typed into the page. */
  get pairingCode(): string | undefined {
    const { pairing, identity } = this.#options;
    return pairing === 'tty' || identity !== undefined ? undefined : this.#server?.pairingCode;
  }

  /** Where users sign in; undefined before there is a URL, and without an identity provider. */
  get identityProvider(): IdentityProviderReport | undefined {
    const { identity } = this.#options;
    if (identity === undefined || this.#server === undefined) return undefined;
    return { host: identity.provider.host, redirectUri: this.#issuer + signInPath };
  }

  /**
   * The public URL, without a slash at its end.
   * @returns whether it replaced another one, so that all clients have to sign in again.
   * @throws ExposeError `usage` for one that is neither https nor on loopback, or at which users cannot sign in.
   */
  setIssuer(issuer: string): boolean {
    if (this.#isClosed || issuer === this.#issuer) return false;
    const isReplaced = this.#server !== undefined;
    // Also for a URL that cannot be used: what was issued is not for it.
    this.#endGrants();
    this.#issuer = issuer;
    const { pairing, confirm, identity, endpoints, sharedName } = this.#options;
    this.#server = createAuthorizationServer({
      issuer,
      resources: () => endpoints().map((endpoint) => issuer + endpoint),
      sharedName,
      pairing,
      ...(confirm === undefined ? {} : { confirm }),
      ...(identity === undefined ? {} : { identity }),
      nameOf: (request) => this.#nameOf(request),
      onEvent: (event) => this.#observe(event),
    });
    return isReplaced;
  }

  serves(path: string): boolean {
    return this.#server?.serves(path) === true;
  }

  isForOwner(path: string): boolean {
    return path === '/authorize' || path === signInPath;
  }

  async handle(request: OAuthRequest): Promise<OAuthResponse> {
    if (this.#server === undefined) return errorResponse(503, 'temporarily_unavailable', 'the tunnel is not open yet');
    if (this.#options.once && this.#grants.size > 0 && entrances.has(request.path)) {
      const message = 'the server is shared with one client, and another one was first';
      if (request.path === '/register') return errorResponse(403, 'access_denied', message);
      return errorPage(403, { title: 'Not available any more', message: `No app can sign in: ${message}.` });
    }
    return await this.#server.handle(request);
  }

  challengeFor(endpoint: string, error?: 'invalid_token'): string {
    if (this.#server === undefined) return 'Bearer';
    return this.#server.challenge(endpoint, error === undefined ? undefined : { code: error });
  }

  find(accessToken: string, endpoint: string): Caller | undefined {
    const grant = this.#server?.verify(accessToken, endpoint);
    if (grant === undefined) return undefined;
    const { id, clientName: label, scope } = grant;
    const rules = scope === 'mcp:read' ? readRules : undefined;
    const caller = { id: callerIdOf(id, scope), label, rules };
    const stepUp = this.#server?.challenge(endpoint, { code: 'insufficient_scope', scope: 'mcp' });
    return scope === 'mcp' || stepUp === undefined || !this.#options.canStepUp ? caller : { ...caller, stepUp };
  }

  /** Ends all access for good: a tunnel that connects again changes nothing. */
  close(): void {
    this.#isClosed = true;
    this.#stopTicking?.();
    this.#endGrants();
  }

  #tick(clock: Clock, expiresAt: number): void {
    const leftMs = expiresAt - clock.now();
    if (leftMs <= 0) this.close();
    else this.#stopTicking = clock.after(Math.min(leftMs, tickMs), () => this.#tick(clock, expiresAt));
  }

  #endGrants(): void {
    this.#server?.close();
    this.#server = undefined;
    this.#issuer = '';
    for (const grant of this.#grants.keys()) this.#endCallers(grant);
    this.#grants = new Map();
  }

  /** The clients that are signed in, in the form of tokens. */
  list(): readonly TokenReport[] {
    return [...this.#grants.values()];
  }

  /** @returns false if no client of this name is signed in. */
  revoke(name: string): boolean {
    const [grantId] = [...this.#grants].find(([, report]) => report.name === name) ?? [];
    return grantId !== undefined && this.#server?.revoke(grantId) === true;
  }

  /** A name that no other caller has: it tells callers apart in lists, reports and alerts. */
  #nameOf(request: PairingRequest): string {
    const { isTaken } = this.#options;
    const ownName = callerName(request);
    let name = ownName;
    for (let count = 2; isTaken(name); count++) name = `${ownName} ${count}`;
    return name;
  }

  #endCallers(grantId: string): void {
    for (const scope of scopes) this.#options.onEnd(callerIdOf(grantId, scope));
  }

  #observe(event: OAuthEvent): void {
    if (event.kind === 'access_approved') {
      const { clientName: name, grantId, request } = event;
      this.#grants.set(grantId, { name, state: 'valid', createdAt: Date.now(), calls: 0, scope: request.scope });
    }
    if (event.kind === 'grant_revoked') {
      this.#grants.delete(event.grantId);
      this.#endCallers(event.grantId);
    }
    this.#options.onEvent(event);
  }
}

/** A session belongs to a scope: its policy is that of the token that opened it. */
function callerIdOf(grantId: string, scope: Scope): string {
  return `oauth:${grantId}:${scope}`;
}
