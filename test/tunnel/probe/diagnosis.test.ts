import { describe, expect, test } from 'vitest';
import { problemsWithoutToken, problemsWithToken, type Exchange } from '../../../src/tunnel/probe/diagnosis.ts';
import type { RoundTrip } from '../../../src/tunnel/probe/round-trip.ts';

const response = (status: number, headers = {}, body = ''): RoundTrip => ({ kind: 'response', status, headers, body });

/** A request that has reached this process, which responded with this status. */
const arrived = (answered: number | undefined, trip = response(answered ?? 0)): Exchange => ({
  trip,
  hasArrived: true,
  answered,
  authorization: [],
});
const lost = (trip: RoundTrip): Exchange => ({ trip, hasArrived: false, answered: undefined, authorization: [] });
const page = { 'content-type': 'text/html; charset=utf-8' };

describe('without the token', () => {
  test.each([
    ['the guard refuses', arrived(401), []],
    ['the guard refuses the form of it', arrived(400), []],
    ['there is no guard', arrived(404), [{ kind: 'guard_missing', status: 404 }]],
    ['the host is refused', arrived(403), [{ kind: 'host_changed' }]],
    ['a gateway lost our response', arrived(401, response(502)), [{ kind: 'tunnel_dead', status: 502 }]],
    ['our own 503', arrived(503), [{ kind: 'guard_missing', status: 503 }]],
    ['no near end', lost(response(530)), [{ kind: 'tunnel_dead', status: 530 }]],
    ['too many requests', lost(response(429)), [{ kind: 'throttled' }]],
    ['another service', lost(response(404)), [{ kind: 'wrong_service', status: 404 }]],
    [
      'a page for people',
      lost(response(200, page, 'Click to continue')),
      [{ kind: 'interstitial', canBeSkipped: false }],
    ],
    ['another page', lost(response(200, page, 'It works')), [{ kind: 'wrong_service', status: 200 }]],
    ['no name', lost({ kind: 'no_dns' }), [{ kind: 'no_dns' }]],
    ['no trust', lost({ kind: 'tls', reason: 'CERT' }), [{ kind: 'tls_error', reason: 'CERT' }]],
    ['silence', lost({ kind: 'silent', reason: '10 s' }), [{ kind: 'unreachable', reason: '10 s' }]],
  ])('%s', (_what, exchange, problems) => {
    expect(problemsWithoutToken(exchange, true)).toEqual(problems);
  });

  test('where none is needed, any response of ours is right', () => {
    expect(problemsWithoutToken(arrived(200), false)).toEqual([]);
  });
});

const failureIn = (status: number): string | undefined => (status === 200 ? undefined : 'it is down');

describe('with the token', () => {
  test.each([
    ['all is well', arrived(200), []],
    ['the server fails', arrived(500), [{ kind: 'upstream_dead', reason: 'it is down' }]],
    ['the token is removed', arrived(401), [{ kind: 'token_lost' }]],
    ['the token is damaged', arrived(400), [{ kind: 'token_lost' }]],
    [
      'the server is silent',
      arrived(undefined, { kind: 'silent', reason: '10 s' }),
      [{ kind: 'upstream_dead', reason: '10 s' }],
    ],
    [
      'a gateway gives up first',
      arrived(undefined, response(504)),
      [{ kind: 'upstream_dead', reason: 'no answer before a 504 on the way' }],
    ],
    ['a gateway lost our response', arrived(200, response(502)), [{ kind: 'tunnel_dead', status: 502 }]],
    ['another service', lost(response(200)), [{ kind: 'wrong_service', status: 200 }]],
    [
      'no network',
      lost({ kind: 'unreachable', reason: 'ENETUNREACH' }),
      [{ kind: 'unreachable', reason: 'ENETUNREACH' }],
    ],
  ])('%s', (_what, exchange, problems) => {
    expect(problemsWithToken(exchange, failureIn)).toEqual(problems);
  });
});
