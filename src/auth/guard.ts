import type { Caller, CallerSource } from './caller.ts';
import { networkOf } from '../platform/net/addresses.ts';
import type { GuessLimit, RequestLimit } from './caller-limits.ts';
import { clientAddress, type Source } from './client-address.ts';
import { presentedToken, type CredentialHeaders } from './credentials.ts';
import type { HostList, HostMatch } from './hosts.ts';

/** The parts of a request that the guard checks. It never gets a body. */
export interface RequestHead extends CredentialHeaders {
  readonly host: string | undefined;
  /** Of the MCP endpoint that the request is for, below the public URL: `/mcp`, `/<server>/mcp`. */
  readonly endpoint: string;
  readonly origin: string | undefined;
  readonly source: Source;
  /** One of mcp-expose itself, which comes from the address of this machine and exhausts no limit. It needs a token too. */
  readonly isProbe?: boolean;
  /** It may open a session, so the address of its caller is determined in any case. */
  readonly opensSession?: boolean;
}

export interface Denial {
  readonly status: number;
  /** The message of the answer. */
  readonly reason: string;
  /** Value of `WWW-Authenticate`, if the answer needs one. */
  readonly challenge?: string;
  /** After how many seconds to try again. */
  readonly retryAfterSeconds?: number;
  /** The reason for programs, with the rejected value. */
  readonly data?: Readonly<Record<string, string>>;
  /** As `Caller.label`, if the credential is right. */
  readonly caller?: string;
}

/** The caller, and the host name that it used. */
export interface Admitted {
  readonly caller: Caller;
  readonly host: HostMatch;
}

export type Admission = Admitted | Refused;

interface Refused {
  readonly denial: Denial;
}

export interface Guard {
  admit(head: RequestHead): Admission;
  /**
   * The same for requests that need no credential, such as those to an authorization server: only the host counts, and the
   * address unless `fromAnywhere`.
   */
  admitAnyone(head: Pick<RequestHead, 'host' | 'source'> & { readonly fromAnywhere: boolean }): Admission;
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
  /** Whether clients with this address are accepted. Default: all. */
  readonly admitsAddress?: ((address: string | undefined) => boolean) | undefined;
  /** Limits wrong tokens. Default: no limit. */
  readonly guessLimit?: Pick<GuessLimit, 'count'> | undefined;
  /** Limits the requests of each caller. Default: no limit. */
  readonly requestLimit?: Pick<RequestLimit, 'count'> | undefined;
  /** Whether the addresses of callers are determined, which costs time on every call. Default: only when they open sessions. */
  readonly reportsClients?: boolean | undefined;
}

const anonymous: Caller = { id: 'anonymous', label: 'anonymous' };

/**
 * Decides whether a request is accepted: first whether it is for this server (Host and Origin), then whether its client's
 * address is allowed, then whether it has a credential, which may be for some addresses only, and last whether the limit of its
 * caller is exhausted. Challenges follow RFC 6750 §3: no `error` if there is no credential.
 */
export function createGuard(options: GuardOptions): Guard {
  const { hosts, callers, challengeFor = plainChallenge, hopHeader } = options;
  const { admitsAddress, guessLimit, requestLimit, reportsClients = false } = options;
  const addressOf = (source: Source): string | undefined => clientAddress(source, hopHeader);
  const callerFrom = (caller: Caller, { source, opensSession = false }: RequestHead): Caller =>
    reportsClients || opensSession ? { ...caller, address: addressOf(source) } : caller;

  function wrongAddress(source: Source, admits: GuardOptions['admitsAddress']): Refused | undefined {
    if (admits === undefined) return undefined;
    const address = addressOf(source);
    if (admits(address)) return undefined;
    const reason = address === undefined ? 'the address of the client is not known' : `${address} is not allowed`;
    return deny(403, reason, {
      data: { reason: 'address_not_allowed', ...(address === undefined ? {} : { address }) },
    });
  }

  function findCaller(head: RequestHead, callerSource: CallerSource): Caller | Refused {
    const { endpoint, source } = head;
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
    const known = found === 'unusable' ? undefined : callerSource.find(found.token, endpoint);
    if (known !== undefined && 'id' in known) return known;
    // A token that has ended is no guess.
    const retryAfterSeconds = known === undefined ? (guessLimit?.count(addressOf(source)) ?? 0) : 0;
    if (retryAfterSeconds > 0) {
      return deny(429, 'too many wrong tokens', { retryAfterSeconds, data: { reason: 'too_many_wrong_tokens' } });
    }
    return deny(401, known?.reason ?? 'the bearer token is not valid', {
      challenge: challengeFor(endpoint, 'invalid_token'),
      ...(known === undefined ? {} : { data: { reason: known.code } }),
    });
  }

  return {
    admitAnyone({ host, source, fromAnywhere }) {
      const match = hosts.matchHost(host);
      if (match === undefined) return wrongHost(host);
      const refused = fromAnywhere ? undefined : wrongAddress(source, admitsAddress);
      // Their limits are for each network.
      return refused ?? { caller: { ...anonymous, address: addressOf(source) }, host: match };
    },
    admit(head) {
      const { host, origin, source, isProbe = false } = head;
      const match = hosts.matchHost(host);
      if (match === undefined) return wrongHost(host);
      if (!hosts.admitsOrigin(origin, host)) {
        return deny(403, `origin ${quoted(origin)} is not allowed`, named('origin', origin));
      }
      const refused = isProbe ? undefined : wrongAddress(source, admitsAddress);
      if (refused !== undefined) return refused;
      const caller = callers === undefined ? anonymous : findCaller(head, callers);
      if ('denial' in caller) return caller;
      const isElsewhere = wrongAddress(source, caller.admitsAddress);
      if (isElsewhere !== undefined) return isElsewhere;
      if (requestLimit !== undefined && !isProbe) {
        // Without tokens, each network is a caller.
        const key = caller === anonymous ? networkOf(addressOf(source) ?? '') : caller.id;
        const retryAfterSeconds = requestLimit.count(key);
        if (retryAfterSeconds > 0) {
          return deny(429, 'too many requests', {
            retryAfterSeconds,
            data: { reason: 'too_many_requests' },
            ...(caller === anonymous ? {} : { caller: caller.label }),
          });
        }
      }
      return { caller: callerFrom(caller, head), host: match };
    },
  };
}

function wrongHost(host: string | undefined): Refused {
  return deny(403, `host ${quoted(host)} is not served here`, named('host', host));
}

function plainChallenge(_endpoint: string, error?: 'invalid_token'): string {
  return error === undefined ? 'Bearer' : `Bearer error="${error}"`;
}

function deny(status: number, reason: string, more: Omit<Denial, 'status' | 'reason'>): Refused {
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
