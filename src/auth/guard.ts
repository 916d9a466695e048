import { createBearerCheck } from './bearer.ts';
import { clientAddress, type Source } from './client-address.ts';
import type { HostList, HostMatch } from './hosts.ts';

/** Who is calling, as far as the credential tells. */
export interface Caller {
  /** The same for two requests exactly when they came with the same credential. */
  readonly id: string;
  /** Where from, as far as that is known for sure (see client-address.ts). */
  readonly address?: string | undefined;
}

/** What the guard looks at. It never sees a body. */
export interface RequestHead {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** Every Authorization header, in order. */
  readonly authorization: readonly string[];
  /** Where it comes from; left out where nobody wants to know. */
  readonly source?: Source | undefined;
}

export interface Denial {
  readonly status: 400 | 401 | 403;
  /** What to answer, for a person to read. */
  readonly reason: string;
  /** Value of `WWW-Authenticate`, where one is due. */
  readonly challenge?: string;
  /** The same for programs: why, and the value that was refused. */
  readonly data?: Readonly<Record<string, string>>;
}

/** Who came in, and by which of our names. */
export interface Admitted {
  readonly caller: Caller;
  readonly host: HostMatch;
}

export type Admission = Admitted | { readonly denial: Denial };

export interface Guard {
  admit(head: RequestHead): Admission;
}

export interface GuardOptions {
  readonly hosts: HostList;
  /** The bearer token that is accepted, or undefined where everybody is let in. */
  readonly token: string | undefined;
  /**
   * The header in which the hop in front of this guard names the client; null where it does not, undefined where clients
   * connect themselves.
   */
  readonly hopHeader?: string | null | undefined;
}

const anonymous: Caller = { id: 'anonymous' };
const bearerOfToken: Caller = { id: 'bearer' };

/**
 * Decides whether a request may come in: first whether it was meant for this server (Host and Origin), then whether it
 * brings the credential. Challenges follow RFC 6750 §3: no `error` where no credential came.
 */
export function createGuard({ hosts, token, hopHeader }: GuardOptions): Guard {
  const bearer = token === undefined ? undefined : createBearerCheck(token);
  const callerFrom = (caller: Caller, source: Source | undefined): Caller =>
    source === undefined ? caller : { ...caller, address: clientAddress(source, hopHeader) };
  return {
    admit({ host, origin, authorization, source }) {
      const match = hosts.matchHost(host);
      if (match === undefined) return deny(403, `host ${quoted(host)} is not served here`, named('host', host));
      if (!hosts.admitsOrigin(origin, host)) {
        return deny(403, `origin ${quoted(origin)} is not allowed`, named('origin', origin));
      }
      if (bearer === undefined) return { caller: callerFrom(anonymous, source), host: match };
      const verdict = bearer.check(authorization);
      switch (verdict) {
        case 'accepted':
          return { caller: callerFrom(bearerOfToken, source), host: match };
        case 'absent':
          return deny(401, 'this server needs a bearer token: send "Authorization: Bearer <token>"', {
            challenge: 'Bearer',
          });
        case 'malformed':
          return deny(400, 'more than one Authorization header', {
            challenge: 'Bearer error="invalid_request"',
          });
        default:
          return deny(401, 'the bearer token is not valid', {
            challenge: 'Bearer error="invalid_token"',
          });
      }
    },
  };
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

/** No longer than a host name can be. */
function shortened(value: string): string {
  return value.slice(0, 253);
}
