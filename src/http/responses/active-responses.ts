import type { Caller } from '../../auth/caller.ts';
import type { Session } from '../../bridge/session/session.ts';
import type { RpcRequest } from '../../mcp/json-rpc.ts';
import { CallReport, type ReportReaders } from './call-report.ts';
import type { EventStream } from './event-stream.ts';
import type { KeepAliveTimer } from './keep-alive-timer.ts';

export interface ActiveResponsesOptions extends ReportReaders {
  readonly keepAliveTimer: KeepAliveTimer;
}

/** A response that is not complete. */
export interface ActiveResponse {
  /** Its index in the list of active responses; -1 outside it. */
  place: number;
  /** Whether it stays open for notifications until its client or mcp-expose ends it, so that nobody waits for it to end. */
  readonly isSubscription?: boolean | undefined;
  /** What is reported of its request when it ends. */
  reported?: CallReport | undefined;
  /** As `EventStream.keepAlive`. */
  keepAlive(checksStalls?: boolean): void;
}

/** What an endpoint is sending: every response begins and ends here, and every report of a request is made here. */
export class ActiveResponses {
  readonly #readers: ReportReaders | undefined;
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

  constructor({ keepAliveTimer, onBegin, onRequest, onSession, readBody, isSelective }: ActiveResponsesOptions) {
    this.#readers = onRequest === undefined ? undefined : { onBegin, onRequest, onSession, readBody, isSelective };
    this.#stopKeepAlive = keepAliveTimer.onBeat((checksStalls) => {
      for (const response of this.#responses) response.keepAlive(checksStalls);
      for (const stream of this.#listening) stream.keepAlive(checksStalls);
    });
  }

  /** Adds a response. @param request the request that is reported when the response ends; omit it for no report. */
  begin(response: ActiveResponse, request?: RpcRequest, caller?: Caller, session?: Session): void {
    response.place = this.#responses.push(response) - 1;
    if (request === undefined || caller === undefined || this.#readers === undefined) return;
    response.reported = this.report(request, caller, session);
  }

  /** Begins the report of a request; undefined if it is not reported. @param session that the request names. */
  report(request: RpcRequest, caller: Caller, session?: Session): CallReport | undefined {
    if (this.#readers === undefined) return undefined;
    this.#readers.onBegin?.(caller.label);
    // A request without a session opens one, or is an exchange; either may be refused.
    const isLeftOut = this.#readers.isSelective === true && session?.isRestricted === false;
    return isLeftOut ? undefined : new CallReport(this.#readers, request, caller, session);
  }

  /** Removes a response, unless it has ended already. An arrow function, since it is passed as a callback. */
  readonly end = (response: ActiveResponse): void => {
    const { place, reported } = response;
    if (place < 0) return;
    response.place = -1;
    reported?.make();
    const last = this.#responses.pop();
    if (last !== undefined && last !== response) {
      this.#responses[place] = last;
      last.place = place;
    }
    if (this.#onDrained !== undefined && this.#isDrained()) this.#onDrained();
  };

  /** Adds a stream that answers no request, until it closes. */
  listen(stream: EventStream): void {
    this.#listening.add(stream);
    stream.whenClosed(() => this.#listening.delete(stream));
  }

  /** From now on new requests are refused. Resolves when no response is active, except for subscriptions. */
  drain(): Promise<void> {
    this.isDraining = true;
    return this.#isDrained() ? Promise.resolve() : new Promise((resolve) => (this.#onDrained = resolve));
  }

  #isDrained(): boolean {
    return this.#responses.every((response) => response.isSubscription === true);
  }

  /** Ends the streams that answer no request. The other responses end with their sessions. */
  close(): void {
    this.#stopKeepAlive();
    for (const stream of this.#listening) stream.end();
  }
}
