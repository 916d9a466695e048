import type { Problem } from './problem.ts';
import type { RoundTrip } from './round-trip.ts';

/** A request through the public URL, as seen from both ends of the tunnel. */
export interface Exchange {
  readonly trip: RoundTrip;
  readonly hasArrived: boolean;
  /** Status with which this process responded; undefined when it did not. */
  readonly answered: number | undefined;
  /** The Authorization headers with which the request arrived. */
  readonly authorization: readonly string[];
}

type Response = RoundTrip & { readonly kind: 'response' };

/** Statuses by which the far end of a tunnel reports that the near end is missing: those of gateways, and Cloudflare's own. */
const isGatewayStatus = (status: number): boolean =>
  [502, 503, 504].includes(status) || (status >= 520 && status <= 530);

/** RFC 6585 §4. Sent by an intermediary: the request has not arrived here. */
const tooManyRequests = 429;

/** What a request without the token shows of the URL and of the guard. */
export function problemsWithoutToken({ trip, hasArrived, answered }: Exchange, needsToken: boolean): Problem[] {
  if (trip.kind !== 'response') return [failedTrip(trip)];
  if (!hasArrived) return [foreignResponse(trip)];
  if (isReplaced(trip.status, answered)) return [{ kind: 'tunnel_dead', status: trip.status }];
  if (answered === 403) return [{ kind: 'host_changed' }];
  // The status that was sent here counts, whatever became of it on the way.
  const isGuarded = !needsToken || answered === 401 || answered === 400;
  return isGuarded ? [] : [{ kind: 'guard_missing', status: answered ?? trip.status }];
}

/**
 * What a request with the token shows of the URL and of the server behind it.
 * @param failureIn why the response is not the expected one; undefined when it is.
 */
export function problemsWithToken(
  { trip, hasArrived, answered }: Exchange,
  failureIn: (status: number, body: string) => string | undefined,
): Problem[] {
  if (trip.kind === 'silent' && hasArrived) return [{ kind: 'upstream_dead', reason: trip.reason }];
  if (trip.kind !== 'response') return [failedTrip(trip)];
  const { status, body } = trip;
  if (!hasArrived) return [foreignResponse(trip)];
  if (isReplaced(status, answered)) {
    // The timeout of an intermediary may be shorter than ours.
    if (answered === undefined) return [{ kind: 'upstream_dead', reason: `no answer before a ${status} on the way` }];
    return [{ kind: 'tunnel_dead', status }];
  }
  if (answered === 401 || answered === 400) return [{ kind: 'token_lost' }];
  const reason = failureIn(status, body);
  return reason === undefined ? [] : [{ kind: 'upstream_dead', reason }];
}

/** Whether an intermediary sent an error of its own in place of our response. */
function isReplaced(status: number, answered: number | undefined): boolean {
  return isGatewayStatus(status) && status !== answered;
}

function foreignResponse({ status, headers, body }: Response): Problem {
  if (status === tooManyRequests) return { kind: 'throttled' };
  if (isGatewayStatus(status)) return { kind: 'tunnel_dead', status };
  const isPage = /^text\/html\b/i.test(headers['content-type'] ?? '');
  const isForPeople = isPage && /\b(?:continue|proceed|click|reminder|warning|phishing|abuse)\b/i.test(body);
  return isForPeople ? { kind: 'interstitial', canBeSkipped: false } : { kind: 'wrong_service', status };
}

function failedTrip(trip: Exclude<RoundTrip, Response>): Problem {
  if (trip.kind === 'no_dns') return trip;
  return { kind: trip.kind === 'tls' ? 'tls_error' : 'unreachable', reason: trip.reason };
}
