import type { Capabilities } from '../capabilities.ts';
import type { Machine } from '../machine.ts';
import { ringHeader, type Doorbell, type RingAnswer } from './doorbell.ts';
import type { Problem } from './problem.ts';
import { makeRoundTrip, type RoundTrip, type RoundTripRequest } from './round-trip.ts';

/** How long one request may take, in milliseconds. */
const defaultTimeoutMs = 10_000;

/** How long a stream is kept open for its first bytes to arrive, in milliseconds; what takes longer is held back. */
const defaultHoldMs = 3000;

/** Statuses with which the far end of a tunnel says that there is no near end: those of gateways, and Cloudflare's own. */
const isGatewayStatus = (status: number): boolean =>
  [502, 503, 504].includes(status) || (status >= 520 && status <= 530);

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
  readonly machine: Pick<Machine, 'env' | 'overrides'>;
  readonly doorbell: Doorbell;
  readonly capabilities: Capabilities;
  /** The bearer token, or undefined where everybody is let in. */
  readonly token: string | undefined;
  /** What a client does first; undefined where no server can be used. */
  readonly opening: () => Opening | undefined;
  /** Path of the health of the servers, for looks that should cost them nothing. */
  readonly readinessPath: string;
  /** Default 10 s. */
  readonly timeoutMs?: number;
  /** Default 3 s. */
  readonly holdMs?: number;
}

/** Each sends requests of ours through the public URL and tells what is wrong. None rejects. */
export interface SelfProbe {
  /** Without the token: whether the URL leads here, and whether the guard is there. */
  reach(url: string, signal: AbortSignal): Promise<readonly Problem[]>;
  /** Whether event streams come through as they are written. */
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
}

export function createSelfProbe(options: SelfProbeOptions): SelfProbe {
  const { machine, doorbell, capabilities, token, opening, readinessPath } = options;
  const { timeoutMs = defaultTimeoutMs, holdMs = defaultHoldMs } = options;
  const { interstitial } = capabilities;

  async function send(request: Omit<RoundTripRequest, 'timeoutMs'>, answer?: RingAnswer): Promise<Sent> {
    const ring = doorbell.expect(answer);
    const trip = await makeRoundTrip(machine, {
      ...request,
      timeoutMs,
      headers: { ...request.headers, [ringHeader]: ring.nonce },
    });
    ring.forget();
    return { trip, hasArrived: ring.hasArrived(), answered: ring.answered() };
  }

  async function reach(url: string, signal: AbortSignal): Promise<Problem[]> {
    const { trip, hasArrived, answered } = await send({ method: 'GET', url: new URL(`${url}/`), headers: {}, signal });
    if (trip.kind !== 'response') return [brokenOff(trip)];
    if (!hasArrived) return [await stranger(trip, url, signal)];
    if (isBroken(trip.status, answered)) return [{ kind: 'tunnel_dead', status: trip.status }];
    if (answered === 403) return [{ kind: 'host_changed' }];
    // What counts is what was answered here, whatever has become of it on the way.
    const isGuarded = token === undefined || answered === 401 || answered === 400;
    return isGuarded ? [] : [{ kind: 'guard_missing', status: answered ?? trip.status }];
  }

  /** Who it is that answers in our place. */
  async function stranger(trip: Answer, url: string, signal: AbortSignal): Promise<Problem> {
    if (interstitial !== undefined) {
      const headers = { [interstitial.header]: interstitial.value };
      const { hasArrived } = await send({ method: 'GET', url: new URL(`${url}/`), headers, signal });
      if (hasArrived) return { kind: 'interstitial', canBeSkipped: true };
    }
    return strangerOf(trip);
  }

  function passHeaders(): Record<string, string> {
    return {
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      // A client is told to send it, so it may be needed here as well.
      ...(interstitial === undefined ? {} : { [interstitial.header]: interstitial.value }),
    };
  }

  async function enter(url: string, signal: AbortSignal): Promise<Problem[]> {
    const first = opening();
    if (first === undefined) return [];
    const target = new URL(`${url}${first.path}`);
    const headers = { ...first.headers, ...passHeaders() };
    const sent = await send({ method: 'POST', url: target, headers, body: first.body, signal });
    const closing = sent.trip.kind === 'response' && sent.hasArrived ? first.closing(sent.trip.headers) : undefined;
    if (closing !== undefined) {
      await send({ method: 'DELETE', url: target, headers: { ...closing, ...passHeaders() }, signal });
    }
    return judge(sent, first.failureIn);
  }

  async function look(url: string, signal: AbortSignal): Promise<Problem[]> {
    const headers = passHeaders();
    const [known, health] = await Promise.all([
      // Their health is told to everybody, so that it says nothing of the token.
      send({ method: 'GET', url: new URL(`${url}/`), headers, signal }),
      send({ method: 'GET', url: new URL(`${url}${readinessPath}`), headers, signal }),
    ]);
    const problems = token === undefined ? [] : judge(known, () => undefined);
    if (problems.length > 0) return problems;
    return judge(health, (status) => (status === 200 ? undefined : 'it is down or starting'));
  }

  /** Whether a stream is held back until it ends. A request that gets lost says nothing about that. */
  async function isHeldBack(method: 'GET' | 'POST', url: string, signal: AbortSignal): Promise<boolean> {
    let hasCome = false;
    let wasHeld = false;
    let isOver = false;
    let end: (() => void) | undefined;
    const headers = { Accept: 'text/event-stream', ...passHeaders() };
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
  if (isGatewayStatus(status)) return { kind: 'tunnel_dead', status };
  const isPage = /^text\/html\b/i.test(headers['content-type'] ?? '');
  const isForPeople = isPage && /\b(?:continue|proceed|click|reminder|warning|phishing|abuse)\b/i.test(body);
  return isForPeople ? { kind: 'interstitial', canBeSkipped: false } : { kind: 'wrong_service', status };
}

function brokenOff(trip: Exclude<RoundTrip, Answer>): Problem {
  if (trip.kind === 'no_dns') return trip;
  return { kind: trip.kind === 'tls' ? 'tls_error' : 'unreachable', reason: trip.reason };
}
