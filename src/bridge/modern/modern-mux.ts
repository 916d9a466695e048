import type { Clock } from '../../platform/clock.ts';
import { logLevelKey } from '../../mcp/envelope-keys.ts';
import {
  memberOf,
  metaOf,
  progressTokenOf,
  requestTokenOf,
  rpcCode,
  type RequestId,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { cancelledBy } from '../../mcp/lifecycle.ts';
import { newError, newNotification } from '../../mcp/new-message.ts';
import { jsonOfId, wholeNumberOf, withCancelledId } from '../../mcp/request-id.ts';
import { firstModernRevision } from '../../mcp/revisions.ts';
import { severityOf } from '../../mcp/log-levels.ts';
import {
  placesIn,
  restoreRequest,
  rewriteProgress,
  rewriteRequest,
  rewriteResponse,
  writtenAt,
} from '../shared/messages.ts';
import { subscriptionIdOf, withEndedSubscriptionId, withSubscriptionId } from '../translate/subscriptions.ts';
import type { Upstream, UpstreamEnd } from '../upstream/upstream.ts';
import { CallsInFlight, type ModernCall } from './calls-in-flight.ts';
import { MuxClient, type MuxConnection } from './mux-client.ts';

/** Longest name of a method in a warning, in characters. */
const shownMethodLength = 64;

export interface ModernMuxOptions {
  /** Not yet started. */
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly onWarning: (message: string) => void;
  /** The last client has left. */
  readonly onEmpty?: () => void;
}

/**
 * Lets several clients use one upstream to a modern server: ids, progress tokens and subscription ids that are equal are kept
 * apart. The server keeps nothing of a client, and asks nothing, so there is nothing else to keep apart.
 */
export class ModernMux<Label = string> implements MuxConnection<MuxClient<Label>> {
  readonly #upstream: Upstream;
  readonly #onWarning: (message: string) => void;
  readonly #onEmpty: (() => void) | undefined;
  readonly #calls: CallsInFlight<MuxClient<Label>>;
  readonly #clients = new Set<MuxClient<Label>>();
  /** Those that do not read, for whom no more can wait, and for whom more may come: the server is not read. */
  readonly #full = new Set<MuxClient<Label>>();
  readonly #warned = new Set<string>();
  #dropped = 0;
  #isClosed = false;

  constructor({ upstream, clock, onWarning, onEmpty }: ModernMuxOptions) {
    this.#onEmpty = onEmpty;
    this.#upstream = upstream;
    this.#onWarning = onWarning;
    this.#calls = new CallsInFlight(clock);
    this.#upstream.start({
      onMessage: (message, origin) => this.#receive(message, origin),
      onLost: (end) => this.#lose(end),
      onClose: (end) => {
        this.#isClosed = true;
        const bereft = [...this.#clients];
        this.#clients.clear();
        for (const client of bereft) client.bereave(end);
      },
    });
  }

  /**
   * Gives a client an upstream of its own over the shared one, which its `close` leaves running. Requests carry their envelope
   * already (MCP 2026-07-28, "Request Metadata").
   * @param label what `labelOf` says of its requests. Clients with the same label may see each other's log messages, of which a
   * server does not say which request they belong to.
   */
  attach(label?: Label): Upstream {
    return new MuxClient(this, label);
  }

  join(client: MuxClient<Label>): void {
    if (this.#isClosed) client.dismiss(shutDown);
    else this.#clients.add(client);
  }

  leave(client: MuxClient<Label>): void {
    if (!this.#clients.delete(client)) return;
    for (const { id, method } of this.#calls.release(client)) {
      // The last thing that it has to say.
      if (method === 'tasks/cancel') continue;
      this.#upstream.send(newNotification('notifications/cancelled', { requestId: id, reason: 'the client has gone' }));
    }
    client.dismiss(left);
    this.drained(client);
    if (this.isEmpty) this.#onEmpty?.();
  }

  isWritable(): boolean {
    return this.#upstream.isWritable();
  }

  whenWritable(callback: () => void): void {
    this.#upstream.whenWritable(callback);
  }

  warnUnread(): void {
    this.#warnOnce('reading', 'a client does not read: notifications for it are dropped');
  }

  /** With its last answer, nothing more comes for a client: what waits for it is bounded without holding up others. */
  holdUp(client: MuxClient<Label>): void {
    if (!client.isFull || client.calls.size === 0 || this.#full.has(client)) return;
    this.#full.add(client);
    if (this.#full.size === 1) this.#upstream.pause();
  }

  drained(client: MuxClient<Label>): void {
    if (this.#full.delete(client) && this.#full.size === 0) this.#upstream.resume();
  }

  /** Whether there is no client. */
  get isEmpty(): boolean {
    return this.#clients.size === 0;
  }

  /** What is known of the client of a request in flight, by its id at the upstream. */
  labelOf(id: RequestId): Label | undefined {
    return this.#calls.find(id)?.owner.label;
  }

  /** Notifications so far that were dropped, since it was not known which request they belonged to. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Ends the upstream and all that are attached; resolves when nothing of it is left. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#upstream.close();
  }

  #warnOnce(kind: string, message: string): void {
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    this.#onWarning(message);
  }

  sendFor(client: MuxClient<Label>, message: RpcMessage): boolean {
    if (message.kind === 'request') return this.#request(client, message);
    // A modern server asks nothing, so it waits for no answer.
    if (message.kind === 'response') return true;
    if (message.method !== 'notifications/cancelled') return this.#upstream.send(message);
    const id = cancelledBy(message);
    const cancelled = id === undefined ? undefined : this.#calls.cancel(client, id);
    return cancelled === undefined || this.#upstream.send(withCancelledId(message, cancelled.id));
  }

  #request(client: MuxClient<Label>, request: RpcRequest): boolean {
    const places = placesIn(request);
    if (typeof places === 'string') {
      const error = newError({ id: request.id, code: rpcCode.invalidRequest, message: places });
      queueMicrotask(() => client.deliver(error));
      return true;
    }
    const id = this.#calls.next();
    const [idPlace, tokenPlace] = [places.get('id'), places.get('progressToken')];
    const value = requestTokenOf(request);
    const token =
      value !== undefined && tokenPlace !== undefined ? { value, written: writtenAt(request, tokenPlace) } : undefined;
    this.#calls.open({
      id,
      owner: client,
      party: client.party,
      severity: severityOf(memberOf(metaOf(request), logLevelKey)),
      method: request.method,
      clientId: request.id,
      writtenId: idPlace === undefined ? jsonOfId(request.id) : writtenAt(request, idPlace),
      token,
    });
    this.holdUp(client);
    const changes = token === undefined ? { id } : { id, progressToken: id };
    if (this.#upstream.send(rewriteRequest(request, places, changes))) return true;
    this.#calls.settle(id);
    return false;
  }

  /** @param origin as in `UpstreamEvents`. */
  #receive(message: RpcMessage, origin: RequestId | undefined): void {
    if (message.kind === 'response') this.#receiveResponse(message);
    else if (message.kind === 'request') this.#refuse(message);
    else this.#receiveNotification(message, origin);
  }

  /** One that was cancelled meanwhile is answered all the same: nobody waits for that. */
  #receiveResponse(response: RpcResponse): void {
    const call = this.#calls.settle(response.id);
    if (call === undefined) return;
    const restored = rewriteResponse(response, call.clientId, call.writtenId);
    const isListen = call.method === 'subscriptions/listen';
    call.owner.deliver(isListen ? withEndedSubscriptionId(restored, call.clientId) : restored);
  }

  #refuse({ id, method }: RpcRequest): void {
    const shown = JSON.stringify(method.slice(0, shownMethodLength));
    this.#warnOnce(
      'request',
      `the server sent the request ${shown}, which none of revision ${firstModernRevision} may`,
    );
    this.#upstream.send(newError({ id, code: rpcCode.methodNotFound, message: 'unknown method' }));
  }

  #receiveNotification(message: RpcNotification, origin: RequestId | undefined): void {
    const subscription = subscriptionIdOf(message);
    if (message.method === 'notifications/progress') {
      const call = this.#calls.find(progressTokenOf(message));
      if (call?.token === undefined) return;
      call.owner.deliver(rewriteProgress(message, call.token.value, call.token.written), call.clientId);
    } else if (message.method === 'notifications/cancelled') {
      this.#endSubscription(message);
    } else if (subscription !== undefined) {
      const call = this.#calls.find(wholeNumberOf(subscription));
      if (call !== undefined) call.owner.deliver(withSubscriptionId(message, call.clientId), call.clientId);
    } else {
      this.#deliverNameless(message, origin);
    }
  }

  /** A server ends a subscription so, too. */
  #endSubscription(message: RpcNotification): void {
    const call = this.#calls.settle(cancelledBy(message));
    call?.owner.deliver(withCancelledId(message, call.clientId), call.clientId);
  }

  /** What does not say to which request it belongs: the transport does, or there is only one that it can belong to. */
  #deliverNameless(message: RpcNotification, origin: RequestId | undefined): void {
    const call = origin === undefined ? this.#receiverOf(message) : this.#calls.find(origin);
    if (call !== undefined) {
      call.owner.deliver(message, call.clientId);
      return;
    }
    this.#dropped++;
    const shown = JSON.stringify(message.method.slice(0, shownMethodLength));
    this.#warnOnce('nameless', `dropped ${shown} of the server: no request is known that it belongs to`);
  }

  #receiverOf({ method, json }: RpcNotification): ModernCall<MuxClient<Label>> | undefined {
    if (method !== 'notifications/message') return this.#calls.only();
    return this.#calls.askingForLog(severityOf(memberOf(json['params'], 'level')));
  }

  /** What will be sent again is still in flight for its client; everything else the server has forgotten. */
  #lose(end: UpstreamEnd): void {
    const surviving = new Set<number>();
    const untaken = new Map<MuxClient<Label>, RpcMessage[]>();
    for (const message of end.untaken ?? []) {
      const call = message.kind === 'request' ? this.#calls.find(message.id) : undefined;
      if (message.kind !== 'request' || call === undefined) continue;
      surviving.add(call.id);
      const own = untaken.get(call.owner) ?? [];
      own.push(restoreRequest(message, call.clientId, call.token?.value));
      untaken.set(call.owner, own);
    }
    this.#calls.forget(surviving);
    for (const client of this.#clients) client.lose({ ...end, untaken: untaken.get(client) ?? [] });
  }
}

/** The end of one client alone; the server goes on. */
const left: UpstreamEnd = { reason: 'the client has left the server', code: 'upstream_exited', stderr: '' };

const shutDown: UpstreamEnd = { reason: 'the server has been ended', code: 'upstream_exited', stderr: '' };
