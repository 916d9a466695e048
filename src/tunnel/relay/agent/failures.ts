import { ExposeError, messageOf } from '../../../errors.ts';
import { isBaseUrl } from '../protocol/parse-message.ts';
import { isLoopbackHost } from '../../../platform/net/addresses.ts';
import { ProxyError } from '../../../platform/net/http-proxy.ts';
import { closeCodes, protocolVersion, versionsHeader, type Reject } from '../protocol/protocol.ts';
import { toSingleLine } from '../../../platform/text/sanitize.ts';
import { errorCode, isCertificateError, networkErrorWords } from '../../../platform/net/network-errors.ts';
import { fieldsOf, parseFields } from '../../../platform/json-fields.ts';
import type { ConnectFailure } from '../../reconnect.ts';
import type { Refusal } from './dial.ts';

const sameVersion = 'use the same version of mcp-expose on both ends';
const startHint = 'check the address and the port; start a relay with: mcp-expose relay';

/** An error of the network or of TLS. `relayUrl` is for the message. */
export function networkFailure(relayUrl: string, thrown: unknown): ConnectFailure {
  const code = errorCode(thrown);
  if (thrown instanceof ProxyError) {
    return failure('tunnel_unreachable', `could not connect to the relay ${relayUrl}: ${thrown.message}`, thrown, [
      'check the proxy that HTTPS_PROXY names, or exempt the relay from it with NO_PROXY',
    ]);
  }
  // It may quote the other end, for example the names in its certificate.
  const reason = networkErrorWords(thrown) ?? toSingleLine(messageOf(thrown));
  if (code.startsWith('HPE_')) {
    return failure('tunnel_not_a_relay', `${relayUrl} does not speak HTTP, it is not an mcp-expose relay`, thrown, [
      startHint,
    ]);
  }
  const message = `could not connect to the relay ${relayUrl}: ${reason}`;
  if (isCertificateError(code)) {
    return failure('tunnel_unreachable', message, thrown, [
      'for a certificate of your own authority, set NODE_EXTRA_CA_CERTS to its PEM file',
    ]);
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) {
    return failure('tunnel_unreachable', `could not connect to the relay ${relayUrl}: it does not speak TLS`, thrown, [
      'if it runs without TLS, use http:// instead of https://',
    ]);
  }
  return failure('tunnel_unreachable', message, thrown, [
    'check that the relay is running and that the address and the port are right',
    // Nothing on this machine is behind a proxy.
    ...(isLoopbackHost(new URL(relayUrl).hostname) ? [] : ['behind a company proxy, set HTTPS_PROXY']),
  ]);
}

export function timeoutFailure(relayUrl: string, timeoutMs: number): ConnectFailure {
  const seconds = Math.ceil(timeoutMs / 1000);
  return failure('tunnel_unreachable', `the relay ${relayUrl} did not answer within ${seconds} s`, undefined, [
    'check the address and the port, and whether a firewall is in the way',
  ]);
}

/** An HTTP response instead of a WebSocket upgrade. */
export function refusalFailure(relayUrl: string, refusal: Refusal): ConnectFailure {
  const versions = refusal.headers[versionsHeader];
  if (typeof versions === 'string') {
    const spoken = versions.replaceAll(/[^\w.,/ -]/g, '').slice(0, 200);
    if (!spoken.split(/[ ,]+/).includes(protocolVersion)) return versionFailure(relayUrl, spoken);
    if (refusal.status === 404 || refusal.status === 501) return misplacedFailure(relayUrl, refusal);
    const retryAfterMs = Number(refusal.headers['retry-after'] ?? Number.NaN) * 1000;
    const message = errorMessageIn(refusal.body) ?? `HTTP ${refusal.status}`;
    const rejected = failure('tunnel_rejected', `the relay ${relayUrl} refused this agent: ${message}`, undefined, [
      Number.isFinite(retryAfterMs) ? 'try again later' : sameVersion,
    ]);
    return Number.isFinite(retryAfterMs) ? { ...rejected, retryAfterMs } : rejected;
  }
  const message = `${relayUrl} answered the tunnel request with HTTP ${refusal.status}, it is not an mcp-expose relay`;
  const location = refusal.headers.location?.replaceAll(/[^!-~]/g, '').slice(0, 200);
  const isRedirect = refusal.status >= 300 && refusal.status < 400 && location !== undefined;
  return failure('tunnel_not_a_relay', message, undefined, [
    isRedirect ? `it redirects to ${location}: give that address to --relay` : startHint,
    ...(refusal.status >= 500 ? ['a proxy in front of the relay may be up while the relay is down'] : []),
  ]);
}

/** The host is a relay, but the URL is that of something shared there. */
function misplacedFailure(relayUrl: string, refusal: Refusal): ConnectFailure {
  const named = /https?:\/\/\S+$/.exec(errorMessageIn(refusal.body) ?? '')?.[0];
  // An older relay does not give its URL, and few relays have a path.
  const use = named !== undefined && isBaseUrl(named) ? named : new URL(relayUrl).origin;
  const message = `${relayUrl} is the URL of something that is shared at a relay, not of the relay; a relay URL has no path`;
  return failure('tunnel_not_a_relay', message, undefined, [`use --relay ${use}`]);
}

/** A WebSocket server with another subprotocol. */
export function otherProtocolFailure(relayUrl: string, protocol: string | undefined): ConnectFailure {
  if (protocol?.startsWith('mcp-expose.') === true) {
    return versionFailure(relayUrl, protocol.replaceAll(/[^\w.-]/g, '').slice(0, 64));
  }
  const message = `${relayUrl} is a WebSocket server, but not an mcp-expose relay`;
  return failure('tunnel_not_a_relay', message, undefined, [startHint]);
}

/** A peer that broke the handshake; `reason` as in `it sent a malformed welcome`. */
export function handshakeFailure(relayUrl: string, reason: string): ConnectFailure {
  const message = `the relay ${relayUrl} did not complete the handshake: ${reason}`;
  return failure('tunnel_not_a_relay', message, undefined, ['check that the address is that of an mcp-expose relay']);
}

/** A close frame during the handshake. */
export function handshakeCloseFailure(relayUrl: string, code: number, reason: string): ConnectFailure {
  if (code === closeCodes.handshakeTimeout) {
    const message = `the relay ${relayUrl} got no proof of this agent's key in time`;
    return failure('tunnel_unreachable', message, undefined, ['try again; the network may be slow']);
  }
  const closed = `it closed the connection during the handshake with ${code} ${toSingleLine(reason)}`;
  return handshakeFailure(relayUrl, closed.trim());
}

/** A welcome with invalid public URLs. */
export function urlsFailure(relayUrl: string, url: string): ConnectFailure {
  const message = `the relay ${relayUrl} gave this agent a public URL that cannot be used: ${JSON.stringify(toSingleLine(url))}`;
  return failure('tunnel_rejected', message, undefined, [
    'if this is your relay, check its --public-url and --domain; a public URL is http(s), a host and a plain path',
  ]);
}

/** The relay's refusal; `name` is the requested one. */
export function rejectFailure(relayUrl: string, reject: Reject, name?: string): ConnectFailure {
  const code = reject.code === 'version' ? 'tunnel_version' : 'tunnel_rejected';
  const error = new ExposeError(code, `the relay ${relayUrl} refused this agent: ${reject.message} (${reject.code})`, {
    hints: rejectHints(reject, name),
  });
  // After a restart of the relay another key may hold this agent's name for a while. The first attempt fails in any case.
  const base = { error, isFatal: !reject.retryable && reject.code !== 'name_taken' };
  return reject.retryAfterMs === undefined ? base : { ...base, retryAfterMs: reject.retryAfterMs };
}

function rejectHints(reject: Reject, name: string | undefined): readonly string[] {
  switch (reject.code) {
    case 'name_taken':
    case 'name_reserved':
      return ['choose another --name, or omit it to get a name of your own'];
    case 'auth':
      return ['if this is your relay, start it with --public-url set to the address that agents use for it'];
    case 'quota':
      return [name === undefined ? 'try again later' : 'omit --name to get a name of your own, or try again later'];
    case 'version':
      return [sameVersion];
    default:
      return reject.retryable ? ['try again later'] : [];
  }
}

/** Why a connection that was up has ended, from its close frame. */
export function closeReason(code: number, reason: string): string {
  const detail = toSingleLine(reason);
  switch (code) {
    case closeCodes.normal:
    case closeCodes.goingAway:
      return 'the relay closed the connection';
    case closeCodes.takenOver:
      return 'another mcp-expose with the same key took this name over; with --replica, both can serve it';
    case closeCodes.silent:
      return 'the relay closed the connection: it had heard nothing from this agent for too long';
    default:
      if (code < 4000) return 'the connection to the relay was lost';
      return `the relay closed the connection: ${detail === '' ? `it gave no reason but ${code}` : detail}`;
  }
}

function versionFailure(relayUrl: string, spoken: string): ConnectFailure {
  const message = `the relay ${relayUrl} speaks ${spoken}, this mcp-expose speaks ${protocolVersion}`;
  return { ...failure('tunnel_version', message, undefined, [sameVersion]), isFatal: true };
}

function failure(code: ExposeError['code'], message: string, cause: unknown, hints: readonly string[]): ConnectFailure {
  return { error: new ExposeError(code, message, cause === undefined ? { hints } : { hints, cause }), isFatal: false };
}

function errorMessageIn(body: string): string | undefined {
  const { message } = fieldsOf(parseFields(body)['error']);
  return typeof message === 'string' ? toSingleLine(message) : undefined;
}
