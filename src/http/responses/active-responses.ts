import type { Caller } from '../../auth/caller.ts';
import type { RpcRequest } from '../../mcp/json-rpc.ts';
import type { EventStream } from './event-stream.ts';
import type { KeepAliveTimer } from './keep-alive-timer.ts';

/** Describes a finished request. */
export interface RequestReport {
  readonly method: string;
  readonly durationMs: number;
  /** As `Caller.address`. */
  readonly client: string | undefined;
}

export interface ActiveResponsesOptions {
  readonly keepAliveTimer: KeepAliveTimer;
  /** Called after each request. Omit it when nobody reads the reports: it costs on every call. */
  readonly onRequest?: ((report: RequestReport) => void) | undefined;
}

/** A response that is not complete. */
export interface ActiveResponse {
  /** Its index in the list of active responses; -1 outside it. */
  place: number;
  /** The request that is reported when the response ends. */
  reported?: { readonly method: string; readonly client: string | undefined; readonly startedAt: number } | undefined;
  /** As `EventStream.keepAlive`. */
  keepAlive(checksStalls?: boolean): void;
}

/** What an endpoint is sending: every response begins and ends here, and every report of a request is made here. */
export class ActiveResponses {
  readonly #onRequest: ((report: RequestReport) => void) | undefined;
  readonly #stopKeepAlive: () => void;
  /**
   * In no order. An array rather than a Set: V8 keeps the content of a table that a Set has outgrown until a full
   * collection, which would hold a socket and a body for each call.
   */
  readonly #responses: ActiveResponse[] = [];
  /** Streams that answer no request. They stay open while the endpoint drains. */
  readonly #listening = new Set<EventStream>();
  /** Whether new requests have to be refused. */
  isDraining = false;
  #onDrained: (() => void) | undefined;

  constructor({ keepAliveTimer, onRequest }: ActiveResponsesOptions) {
    this.#onRequest = onRequest;
    this.#stopKeepAlive = keepAliveTimer.onBeat((checksStalls) => {
      for (const response of this.#responses) response.keepAlive(checksStalls);
      for (const stream of this.#listening) stream.keepAlive(checksStalls);
    });
  }

  /** Adds a response. @param request the request that is reported when the response ends; omit it for no report. */
  begin(response: ActiveResponse, request?: Pick<RpcRequest, 'method'>, client?: Caller['address']): void {
    response.place = this.#responses.push(response) - 1;
    if (request === undefined || this.#onRequest === undefined) return;
    response.reported = { method: request.method, client, startedAt: performance.now() };
  }

  /** Removes a response, unless it has ended already. An arrow function, since it is passed as a callback. */
  readonly end = (response: ActiveResponse): void => {
    const { place, reported } = response;
    if (place < 0) return;
    response.place = -1;
    if (reported !== undefined) {
      const { method, client, startedAt } = reported;
      this.#onRequest?.({ method, durationMs: performance.now() - startedAt, client });
    }
    const last = this.#responses.pop();
    if (last !== undefined && last !== response) {
      this.#responses[place] = last;
      last.place = place;
    }
    if (this.#responses.length === 0) this.#onDrained?.();
  };

  /** Adds a stream that answers no request, until it closes. */
  listen(stream: EventStream): void {
    this.#listening.add(stream);
    stream.whenClosed(() => this.#listening.delete(stream));
  }

  /** From now on new requests are refused. Resolves when no response is active. */
  drain(): Promise<void> {
    this.isDraining = true;
    return this.#responses.length === 0 ? Promise.resolve() : new Promise((resolve) => (this.#onDrained = resolve));
  }

  /** Ends the streams that answer no request. The other responses end with their sessions. */
  close(): void {
    this.#stopKeepAlive();
    for (const stream of this.#listening) stream.end();
  }
}
