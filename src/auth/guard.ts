import { createBearerCheck } from './bearer.ts';
import type { HostList } from './hosts.ts';

/** Who is calling, as far as the credential tells. */
export interface Caller {
  /** The same for two requests exactly when they came with the same credential. */
  readonly id: string;
}

/** What the guard looks at. It never sees a body. */
export interface RequestHead {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** Every Authorization header, in order. */
  readonly authorization: readonly string[];
}

export interface Denial {
  readonly status: 400 | 401 | 403;
  /** What to answer, for a person to read. */
  readonly reason: string;
  /** Value of `WWW-Authenticate`, where one is due. */
  readonly challenge?: string;
}

export type Admission = { readonly caller: Caller } | { readonly denial: Denial };

export interface Guard {
  admit(head: RequestHead): Admission;
}

export interface GuardOptions {
  readonly hosts: HostList;
  /** The bearer token that is accepted, or undefined where everybody is let in. */
  readonly token: string | undefined;
}

/**
 * Decides whether a request may come in: first whether it was meant for this server (Host and Origin), then whether it
 * brings the credential. Challenges follow RFC 6750 §3: no `error` where no credential came.
 */
export function createGuard({ hosts, token }: GuardOptions): Guard {
  const bearer = token === undefined ? undefined : createBearerCheck(token);
  const bearerHolder: Admission = { caller: { id: 'bearer' } };
  const anybody: Admission = { caller: { id: 'anonymous' } };
  return {
    admit({ host, origin, authorization }) {
      if (!hosts.admitsHost(host)) return deny(403, `host ${quoted(host)} is not served here`);
      if (!hosts.admitsOrigin(origin)) return deny(403, `origin ${quoted(origin)} is not allowed`);
      if (bearer === undefined) return anybody;
      const verdict = bearer.check(authorization);
      switch (verdict) {
        case 'accepted':
          return bearerHolder;
        case 'absent':
          return deny(401, 'this server needs a bearer token: send "Authorization: Bearer <token>"', 'Bearer');
        case 'malformed':
          return deny(400, 'more than one Authorization header', 'Bearer error="invalid_request"');
        default:
          return deny(401, 'the bearer token is not valid', 'Bearer error="invalid_token"');
      }
    },
  };
}

function deny(status: Denial['status'], reason: string, challenge?: string): Admission {
  return { denial: challenge === undefined ? { status, reason } : { status, reason, challenge } };
}

/** A header's value for an error message: quoted, escaped, and no longer than a host name can be. */
function quoted(value: string | undefined): string {
  return value === undefined ? '(none)' : JSON.stringify(value.slice(0, 253));
}
