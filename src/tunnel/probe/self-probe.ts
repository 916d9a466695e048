import type { Capabilities } from '../capabilities.ts';
import type { HostEnvironment } from '../host-environment.ts';
import { markerHeader, type ProbeMarker, type MarkerResponse } from './probe-marker.ts';
import { mayPass, saysNothing, type Problem } from './problem.ts';
import { makeRoundTrip, type RoundTrip, type RoundTripRequest } from './round-trip.ts';

/** How long one request may take, in milliseconds. */
const defaultTimeoutMs = 10_000;

/** How long a stream is kept open for its first bytes to arrive, in milliseconds; what takes longer is held back. */
const defaultHoldMs = 3000;

/** Statuses with which the far end of a tunnel says that there is no near end: those of gateways, and Cloudflare's own. */
const isGatewayStatus = (status: number): boolean =>
  [502, 503, 504].includes(status) || (status >= 520 && status <= 530);

/** RFC 6585 §4. Of somebody on the way: our own end has not seen the request. */
const tooManyRequests = 429;

/** What a client does first, in the words of the protocol, which a tunnel does not know. */
export interface Opening {
  /** Behind the base URL. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Why the answer to it is none that a client could go on with; undefined when it is. */
  readonly failureIn: (status: number, body: string) => string | undefined;
  /** The headers that end what it has opened, from those of its answer; undefined when nothing was. */
  readonly closing: (headers: Readonly<Record<string, unknown>>) => Readonly<Record<string, string>> | undefined;
}

export interface SelfProbeOptions {
  readonly environment: Pick<HostEnvironment, 'env' | 'overrides'>;
  readonly marker: ProbeMarker;
  readonly capabilities: Capabilities;
  /** The bearer token, or undefined where everybody is let in. */
  readonly token: string | undefined;
  /** What a client does first; undefined where no server can be used. */
  readonly opening: () => Opening | undefined;
  /** Path of the health of the servers, for looks that should cost them nothing. */
  readonly readinessPath: string;
  /** Default 10 s. */
  readonly timeoutMs?: number;
  /** The same of the first request of a client, for which a server may have to start. Default: `timeoutMs`. */
  readonly openingTimeoutMs?: number;
  /** Default 3 s. */
  readonly holdMs?: number;
}

/** Each sends requests of ours through the public URL and tells what is wrong. None rejects. */
export interface SelfProbe {
  /** Without the token: whether the URL leads here, and whether the guard is there. */
  reach(url: string, signal: AbortSignal): Promise<readonly Problem[]>;
  /** Without the token, too: whether event streams come through as they are written. */
  streams(url: string, signal: AbortSignal): Promise<readonly Problem[]>;
  /** With the token: begins and ends a session, as a client would. */
  enter(url: string, signal: AbortSignal): Promise<readonly Problem[]>;
  /** With the token: asks how the servers are, which costs them nothing. */
  look(url: string, signal: AbortSignal): Promise<readonly Problem[]>;
}

interface Sent {
  readonly trip: RoundTrip;
  readonly hasArrived: boolean;
  /** Status of what was answered at our end. */
  readonly answered: number | undefined;
  /** What has come in of the token. */
  readonly authorization: readonly string[];
}

export function createSelfProbe(options: SelfProbeOptions): SelfProbe {
  const { environment, marker, capabilities, token, opening, readinessPath } = options;
  const { timeoutMs = defaultTimeoutMs, openingTimeoutMs = timeoutMs, holdMs = defaultHoldMs } = options;
  const { interstitial } = capabilities;
  const authorization = token === undefined ? undefined : `Bearer ${token}`;
  /** A client is told to send it, so it may be needed here as well. */
  const skipHeaders: Readonly<Record<string, string>> =
    interstitial === undefined ? {} : { [interstitial.header]: interstitial.value };
  const passHeaders: Readonly<Record<string, string>> =
    authorization === undefined ? skipHeaders : { ...skipHeaders, Authorization: authorization };

  async function send(
    request: Omit<RoundTripRequest, 'timeoutMs'> & { readonly timeoutMs?: number },
    answer?: MarkerResponse,
  ): Promise<Sent> {
    const mark = marker.expect(answer);
    const trip = await makeRoundTrip(environment, {
      timeoutMs,
      ...request,
      headers: { ...request.headers, [markerHeader]: mark.nonce },
    });
    mark.forget();
    return {
      trip,
      hasArrived: mark.hasArrived(),
      answered: mark.answered(),
      authorization: mark.carried('authorization'),
    };
  }

  async function reach(url: string, signal: AbortSignal): Promise<Problem[]> {
    const target = new URL(`${url}/`);
    const sent = await send({ method: 'GET', url: target, headers: {}, signal });
    const problems = judgeReach(sent);
    // Whoever answers in our place may be one who lets clients pass.
    const mayBePassed = interstitial !== undefined && sent.trip.kind === 'response' && !sent.hasArrived;
    if (!mayBePassed || problems.some(saysNothing)) return problems;
    const passed = await send({ method: 'GET', url: target, headers: skipHeaders, signal });
    const passedProblems = judgeReach(passed);
    if (passed.hasArrived) return [...passedProblems, { kind: 'interstitial', canBeSkipped: true }];
    return passedProblems.some(mayPass) ? passedProblems : problems;
  }

  /** What a request without the token tells of the way and the guard. */
  function judgeReach({ trip, hasArrived, answered }: Sent): Problem[] {
    if (trip.kind !== 'response') return [brokenOff(trip)];
    if (!hasArrived) return [strangerOf(trip)];
    if (isBroken(trip.status, answered)) return [{ kind: 'tunnel_dead', status: trip.status }];
    if (answered === 403) return [{ kind: 'host_changed' }];
    // What counts is what was answered here, whatever has become of it on the way.
    const isGuarded = token === undefined || answered === 401 || answered === 400;
    return isGuarded ? [] : [{ kind: 'guard_missing', status: answered ?? trip.status }];
  }

  async function enter(url: string, signal: AbortSignal): Promise<Problem[]> {
    const first = opening();
    if (first === undefined) return [];
    const target = new URL(`${url}${first.path}`);
    const headers = { ...first.headers, ...passHeaders };
    const { body } = first;
    const sent = await send({ method: 'POST', url: target, headers, body, signal, timeoutMs: openingTimeoutMs });
    const closing = sent.trip.kind === 'response' && sent.hasArrived ? first.closing(sent.trip.headers) : undefined;
    if (closing !== undefined) {
      await send({ method: 'DELETE', url: target, headers: { ...closing, ...passHeaders }, signal });
    }
    return judge(sent, first.failureIn);
  }

  async function look(url: string, signal: AbortSignal): Promise<Problem[]> {
    const target = new URL(`${url}${readinessPath}`);
    const sent = await send({ method: 'GET', url: target, headers: passHeaders, signal });
    // Their health is told to everybody: that it was says nothing of the token.
    const isLost = authorization !== undefined && sent.hasArrived && sent.authorization.join() !== authorization;
    if (isLost) return [{ kind: 'token_lost' }];
    return judge(sent, (status) => (status === 200 ? undefined : 'it is down or starting'));
  }

  /** Whether a stream is held back until it ends. A request that gets lost says nothing about that. */
  async function isHeldBack(method: 'GET' | 'POST', url: string, signal: AbortSignal): Promise<boolean> {
    let hasCome = false;
    let wasHeld = false;
    let isOver = false;
    let end: (() => void) | undefined;
    const headers = { Accept: 'text/event-stream', ...skipHeaders };
    await send(
      {
        method,
        url: new URL(`${url}/`),
        headers: method === 'POST' ? { ...headers, 'Content-Type': 'application/json' } : headers,
        ...(method === 'POST' ? { body: '{}' } : {}),
        signal,
        onFirstBytes() {
          hasCome = true;
          end?.();
        },
      },
      (request, response) => {
        request.resume();
        response.on('error', () => {});
        response.writeHead(200, {
          'content-type': 'text/event-stream',
          'cache-control': 'no-cache, no-transform',
          'x-accel-buffering': 'no',
        });
        // Without a callback, which the two kinds of responses type differently.
        const output: { write(chunk: string): boolean } = response;
        output.write(': probe\n\ndata: {}\n\n');
        end = () => {
          clearTimeout(held);
          response.end('data: {}\n\n');
        };
        // After what has come meanwhile is read, in case the machine slept.
        const held = setTimeout(() => setImmediate(giveUp), holdMs);
        const giveUp = (): void => {
          wasHeld = !hasCome && !isOver;
          end?.();
        };
        response.once('close', () => {
          isOver = true;
          clearTimeout(held);
        });
      },
    );
    return wasHeld && !signal.aborted;
  }

  async function streams(url: string, signal: AbortSignal): Promise<Problem[]> {
    // Twice: one that is late may be the network's fault, and much follows from it.
    const isHeld = async (method: 'GET' | 'POST'): Promise<boolean> =>
      (await isHeldBack(method, url, signal)) && (await isHeldBack(method, url, signal));
    const [posts, gets] = await Promise.all([
      capabilities.postStreams && isHeld('POST'),
      capabilities.getStreams && isHeld('GET'),
    ]);
    return [
      ...(posts ? [{ kind: 'post_buffered' } as const] : []),
      ...(gets ? [{ kind: 'get_buffered' } as const] : []),
    ];
  }

  return { reach, streams, enter, look };
}

type Answer = RoundTrip & { readonly kind: 'response' };

function judge({ trip, hasArrived, answered }: Sent, failureIn: Opening['failureIn']): Problem[] {
  if (trip.kind === 'silent' && hasArrived) return [{ kind: 'upstream_dead', reason: trip.reason }];
  if (trip.kind !== 'response') return [brokenOff(trip)];
  const { status, body } = trip;
  if (!hasArrived) return [strangerOf(trip)];
  if (isBroken(status, answered)) {
    // Who stands between may have lost patience with the server before we have.
    if (answered === undefined) return [{ kind: 'upstream_dead', reason: `no answer before a ${status} on the way` }];
    return [{ kind: 'tunnel_dead', status }];
  }
  if (answered === 401 || answered === 400) return [{ kind: 'token_lost' }];
  const reason = failureIn(status, body);
  return reason === undefined ? [] : [{ kind: 'upstream_dead', reason }];
}

/** Whether the answer that has come is that of somebody on the way, in the place of ours. */
function isBroken(status: number, answered: number | undefined): boolean {
  return isGatewayStatus(status) && status !== answered;
}

function strangerOf({ status, headers, body }: Answer): Problem {
  if (status === tooManyRequests) return { kind: 'throttled' };
  if (isGatewayStatus(status)) return { kind: 'tunnel_dead', status };
  const isPage = /^text\/html\b/i.test(headers['content-type'] ?? '');
  const isForPeople = isPage && /\b(?:continue|proceed|click|reminder|warning|phishing|abuse)\b/i.test(body);
  return isForPeople ? { kind: 'interstitial', canBeSkipped: false } : { kind: 'wrong_service', status };
}

function brokenOff(trip: Exclude<RoundTrip, Answer>): Problem {
  if (trip.kind === 'no_dns') return trip;
  return { kind: trip.kind === 'tls' ? 'tls_error' : 'unreachable', reason: trip.reason };
}
