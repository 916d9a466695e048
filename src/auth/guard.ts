import type { Caller, CallerSource } from './caller.ts';
import { clientAddress, type Source } from './client-address.ts';
import { presentedToken, type CredentialHeaders } from './credentials.ts';
import type { HostList, HostMatch } from './hosts.ts';

/** The parts of a request that the guard checks. It never gets a body. */
export interface RequestHead extends CredentialHeaders {
  readonly host: string | undefined;
  /** Of the MCP endpoint that the request is for, below the public URL: `/mcp`, `/<server>/mcp`. */
  readonly endpoint: string;
  readonly origin: string | undefined;
  /** Where it comes from; omitted if clients are not reported. */
  readonly source?: Source | undefined;
}

export interface Denial {
  readonly status: 400 | 401 | 403;
  /** The message of the answer. */
  readonly reason: string;
  /** Value of `WWW-Authenticate`, if the answer needs one. */
  readonly challenge?: string;
  /** The reason for programs, with the rejected value. */
  readonly data?: Readonly<Record<string, string>>;
}

/** The caller, and the host name that it used. */
export interface Admitted {
  readonly caller: Caller;
  readonly host: HostMatch;
}

export type Admission = Admitted | { readonly denial: Denial };

export interface Guard {
  admit(head: RequestHead): Admission;
  /** The same for requests that need no credential, such as those to an authorization server: only the host counts. */
  admitAnyone(head: Pick<RequestHead, 'host' | 'source'>): Admission;
}

export interface GuardOptions {
  readonly hosts: HostList;
  /** Knows the callers; undefined if no credential is required. */
  readonly callers: CallerSource | undefined;
  /** The challenge for the MCP endpoint at this path (RFC 6750 §3). Default: without parameters of OAuth. */
  readonly challengeFor?: ((endpoint: string, error?: 'invalid_token') => string) | undefined;
  /**
   * The header in which the hop before this guard writes the client's address; null if it writes none, undefined if clients
   * connect directly.
   */
  readonly hopHeader?: string | null | undefined;
}

const anonymous: Caller = { id: 'anonymous', label: 'anonymous' };

/**
 * Decides whether a request is accepted: first whether it is for this server (Host and Origin), then whether it has a
 * credential. Challenges follow RFC 6750 §3: no `error` if there is no credential.
 */
export function createGuard({ hosts, callers, challengeFor = plainChallenge, hopHeader }: GuardOptions): Guard {
  const callerFrom = (caller: Caller, source: Source | undefined): Caller =>
    source === undefined ? caller : { ...caller, address: clientAddress(source, hopHeader) };
  return {
    admitAnyone({ host, source }) {
      const match = hosts.matchHost(host);
      return match === undefined ? wrongHost(host) : { caller: callerFrom(anonymous, source), host: match };
    },
    admit(head) {
      const { host, origin, endpoint, source } = head;
      const match = hosts.matchHost(host);
      if (match === undefined) return wrongHost(host);
      if (!hosts.admitsOrigin(origin, host)) {
        return deny(403, `origin ${quoted(origin)} is not allowed`, named('origin', origin));
      }
      if (callers === undefined) return { caller: callerFrom(anonymous, source), host: match };
      const found = presentedToken(head);
      if (found === 'absent') {
        return deny(401, 'this server needs a bearer token: send "Authorization: Bearer <token>"', {
          challenge: challengeFor(endpoint),
        });
      }
      if (found === 'malformed') {
        const reason =
          head.authorization.length > 1
            ? 'more than one Authorization header'
            : 'more than one credential: send the token in Authorization or in X-API-Key, and once';
        return deny(400, reason, { challenge: 'Bearer error="invalid_request"' });
      }
      const known = found === 'unusable' ? undefined : callers.find(found.token, endpoint);
      if (known !== undefined && 'id' in known) return { caller: callerFrom(known, source), host: match };
      return deny(401, known?.reason ?? 'the bearer token is not valid', {
        challenge: challengeFor(endpoint, 'invalid_token'),
        ...(known === undefined ? {} : { data: { reason: known.code } }),
      });
    },
  };
}

function wrongHost(host: string | undefined): Admission {
  return deny(403, `host ${quoted(host)} is not served here`, named('host', host));
}

function plainChallenge(_endpoint: string, error?: 'invalid_token'): string {
  return error === undefined ? 'Bearer' : `Bearer error="${error}"`;
}

function deny(status: Denial['status'], reason: string, more: Pick<Denial, 'challenge' | 'data'>): Admission {
  return { denial: { status, reason, ...more } };
}

function named(what: 'host' | 'origin', value: string | undefined): Pick<Denial, 'data'> {
  return { data: { reason: `${what}_not_allowed`, [what]: shortened(value ?? '') } };
}

/** A header's value for an error message: quoted and escaped. */
function quoted(value: string | undefined): string {
  return value === undefined ? '(none)' : JSON.stringify(shortened(value));
}

/** Cut to the greatest length of a host name. */
function shortened(value: string): string {
  return value.slice(0, 253);
}
