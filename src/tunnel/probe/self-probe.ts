import type { Capabilities } from '../capabilities.ts';
import type { HostEnvironment } from '../host-environment.ts';
import { problemsWithoutToken, problemsWithToken, type Exchange } from './diagnosis.ts';
import { HeldStream } from './held-stream.ts';
import { markerHeader, type ProbeMarker, type MarkerResponse } from './probe-marker.ts';
import { mayPass, saysNothing, type Problem } from './problem.ts';
import { makeRoundTrip, type RoundTripRequest } from './round-trip.ts';

/** How long one request may take, in milliseconds. */
const defaultTimeoutMs = 10_000;

/** How long the first bytes of a stream may take to arrive, in milliseconds; after that the stream counts as buffered. */
const defaultHoldMs = 3000;

/** The first request of an MCP client. The caller supplies it, since a tunnel knows nothing of MCP. */
export interface Opening {
  /** Relative to the base URL. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Why a client could not continue after this response; undefined when it can. */
  readonly failureIn: (status: number, body: string) => string | undefined;
  /** Headers of the request that ends the session, from those of the response; undefined when there is no session. */
  readonly closing: (headers: Readonly<Record<string, unknown>>) => Readonly<Record<string, string>> | undefined;
}

export interface SelfProbeOptions {
  readonly environment: Pick<HostEnvironment, 'env' | 'overrides'>;
  readonly marker: ProbeMarker;
  readonly capabilities: Capabilities;
  /** The bearer token; undefined when none is needed. */
  readonly token: string | undefined;
  /** The first request of a client; undefined when no server is available. */
  readonly opening: () => Opening | undefined;
  /** Path of the servers' health, for checks that should cost the servers nothing. */
  readonly readinessPath: string;
  /** Default 10 s. */
  readonly timeoutMs?: number;
  /** The same for the first request of a client, for which a server may have to start. Default: `timeoutMs`. */
  readonly openingTimeoutMs?: number;
  /** Default 3 s. */
  readonly holdMs?: number;
}

/** Sends requests through the public URL and reports what is wrong. No method rejects. */
export class SelfProbe {
  readonly #options: SelfProbeOptions;
  readonly #authorization: string | undefined;
  /** Clients are told to send it, so it may be needed here as well. */
  readonly #skipHeaders: Readonly<Record<string, string>>;
  readonly #tokenHeaders: Readonly<Record<string, string>>;

  constructor(options: SelfProbeOptions) {
    const { token, capabilities } = options;
    const { interstitial } = capabilities;
    this.#options = options;
    this.#authorization = token === undefined ? undefined : `Bearer ${token}`;
    this.#skipHeaders = interstitial === undefined ? {} : { [interstitial.header]: interstitial.value };
    this.#tokenHeaders =
      this.#authorization === undefined
        ? this.#skipHeaders
        : { ...this.#skipHeaders, Authorization: this.#authorization };
  }

  /** Without the token: whether the URL leads to this process, and whether the guard is active. */
  async reach(url: string, signal: AbortSignal): Promise<readonly Problem[]> {
    const target = new URL(`${url}/`);
    const needsToken = this.#authorization !== undefined;
    const sent = await this.#send({ method: 'GET', url: target, headers: {}, signal });
    const problems = problemsWithoutToken(sent, needsToken);
    // What responded instead of this process may be an interstitial page that the header skips.
    const { interstitial } = this.#options.capabilities;
    const maySkip = interstitial !== undefined && sent.trip.kind === 'response' && !sent.hasArrived;
    if (!maySkip || problems.some(saysNothing)) return problems;
    const second = await this.#send({ method: 'GET', url: target, headers: this.#skipHeaders, signal });
    const secondProblems = problemsWithoutToken(second, needsToken);
    if (second.hasArrived) return [...secondProblems, { kind: 'interstitial', canBeSkipped: true }];
    return secondProblems.some(mayPass) ? secondProblems : problems;
  }

  /** Without the token: whether event streams arrive as they are written. */
  async streams(url: string, signal: AbortSignal): Promise<readonly Problem[]> {
    const { postStreams, getStreams } = this.#options.capabilities;
    const [posts, gets] = await Promise.all([
      postStreams && this.#isBuffered('POST', url, signal),
      getStreams && this.#isBuffered('GET', url, signal),
    ]);
    return [
      ...(posts ? [{ kind: 'post_buffered' } as const] : []),
      ...(gets ? [{ kind: 'get_buffered' } as const] : []),
    ];
  }

  /** With the token: opens and ends a session, as a client would. */
  async enter(url: string, signal: AbortSignal): Promise<readonly Problem[]> {
    const first = this.#options.opening();
    if (first === undefined) return [];
    const { openingTimeoutMs } = this.#options;
    const target = new URL(`${url}${first.path}`);
    const sent = await this.#send({
      method: 'POST',
      url: target,
      headers: { ...first.headers, ...this.#tokenHeaders },
      body: first.body,
      signal,
      ...(openingTimeoutMs === undefined ? {} : { timeoutMs: openingTimeoutMs }),
    });
    const closing = sent.trip.kind === 'response' && sent.hasArrived ? first.closing(sent.trip.headers) : undefined;
    if (closing !== undefined) {
      await this.#send({ method: 'DELETE', url: target, headers: { ...closing, ...this.#tokenHeaders }, signal });
    }
    return problemsWithToken(sent, first.failureIn);
  }

  /** With the token: asks for the health of the servers, which costs them nothing. */
  async look(url: string, signal: AbortSignal): Promise<readonly Problem[]> {
    const target = new URL(`${url}${this.#options.readinessPath}`);
    const sent = await this.#send({ method: 'GET', url: target, headers: this.#tokenHeaders, signal });
    // The health is public, so a good response does not show that the token arrived.
    const header = this.#authorization;
    if (header !== undefined && sent.hasArrived && sent.authorization.join() !== header) {
      return [{ kind: 'token_lost' }];
    }
    return problemsWithToken(sent, (status) => (status === 200 ? undefined : 'it is down or starting'));
  }

  async #send(
    request: Omit<RoundTripRequest, 'timeoutMs'> & { readonly timeoutMs?: number },
    respond?: MarkerResponse,
  ): Promise<Exchange> {
    const { environment, marker, timeoutMs = defaultTimeoutMs } = this.#options;
    const mark = marker.expect(respond);
    const headers = { ...request.headers, [markerHeader]: mark.nonce };
    const trip = await makeRoundTrip(environment, { timeoutMs, ...request, headers });
    mark.forget();
    return {
      trip,
      hasArrived: mark.hasArrived(),
      answered: mark.answered(),
      authorization: mark.carried('authorization'),
    };
  }

  /** Two attempts: one late stream may be the network's fault, and the result has consequences. */
  async #isBuffered(method: 'GET' | 'POST', url: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#holdStream(method, url, signal)) && (await this.#holdStream(method, url, signal));
  }

  async #holdStream(method: 'GET' | 'POST', url: string, signal: AbortSignal): Promise<boolean> {
    const stream = new HeldStream(this.#options.holdMs ?? defaultHoldMs);
    const isPost = method === 'POST';
    await this.#send(
      {
        method,
        url: new URL(`${url}/`),
        headers: {
          Accept: 'text/event-stream',
          ...this.#skipHeaders,
          ...(isPost ? { 'Content-Type': 'application/json' } : {}),
        },
        ...(isPost ? { body: '{}' } : {}),
        signal,
        onFirstBytes: () => stream.arrived(),
      },
      stream.respond,
    );
    return stream.isBuffered && !signal.aborted;
  }
}
