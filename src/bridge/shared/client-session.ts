import { memberOf, type RequestId, type RpcMessage } from '../../mcp/json-rpc.ts';
import { jsonOfId } from '../../mcp/request-id.ts';
import { subscriptionIdOf } from '../translate/subscriptions.ts';
import type { UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';

/** Messages that wait for one client which does not read, and their bytes. */
const maxWaiting = 1000;
const maxWaitingBytes = 4 * 1024 * 1024;

export interface ClientSessionOptions {
  readonly events: UpstreamEvents;
  /** So many notifications wait for it that further ones are dropped. Called once. */
  readonly onDropped: () => void;
  /** So much waits for it that nothing more should be read from the server; and that this is over. */
  readonly onFull: () => void;
  readonly onDrained: () => void;
}

interface Waiting {
  readonly message: RpcMessage;
  readonly origin: RequestId | undefined;
  /** What it says, of a message that says no more when it comes twice. */
  readonly news: string | undefined;
}

/**
 * One of the sessions that share a server, as the server's side sees it. A client that does not read holds up only itself: its
 * messages wait here. Beyond a bound its notifications are dropped, but for those which say that something has changed, each of
 * which waits once; answers and server requests are not, but hold up the server, and so everybody, until the client reads
 * again or is given up as one that has stalled.
 */
export class ClientSession {
  /** What it declared in its `initialize`. */
  capabilities: unknown;
  /** Whether it has got the result of its `initialize`: nothing that is for all comes earlier. */
  ready = false;
  readonly #options: ClientSessionOptions;
  #waiting: Waiting[] = [];
  /** Of what waits, what need not come again. */
  readonly #news = new Set<string>();
  /** Number of those that wait and may be dropped for others. */
  #losable = 0;
  #waitingBytes = 0;
  #warned = false;
  #paused = false;
  #full = false;
  #ended = false;

  constructor(options: ClientSessionOptions) {
    this.#options = options;
  }

  /** Whether so much waits for it that nothing more should be read from the server. */
  get isFull(): boolean {
    return this.#full;
  }

  /** Gives it a message, now or when it reads again. */
  deliver(message: RpcMessage, origin?: RequestId): void {
    if (this.#ended) return;
    if (!this.#paused && this.#waiting.length === 0) {
      this.#options.events.onMessage(message, origin);
      return;
    }
    this.#enter(message, origin);
    if (this.#full || (this.#waiting.length <= maxWaiting && this.#waitingBytes <= maxWaitingBytes)) return;
    this.#full = true;
    this.#options.onFull();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#flush(() => !this.#paused && !this.#ended);
  }

  lose(end: UpstreamEnd): void {
    this.#flush(() => !this.#ended);
    if (!this.#ended) this.#options.events.onLost?.(end);
  }

  /** The server has gone: the session gets what waits for it, and then nothing any more. */
  end(end: UpstreamEnd): void {
    this.#flush(() => !this.#ended);
    if (this.#ended) return;
    this.#ended = true;
    this.#options.events.onClose(end);
  }

  /** The session goes itself: what waits for it is dropped. It is told later, as by an upstream that takes time to end. */
  close(end: UpstreamEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting = [];
    queueMicrotask(() => this.#options.events.onClose(end));
  }

  #enter(message: RpcMessage, origin: RequestId | undefined): void {
    const entry = { message, origin, news: newsIn(message) };
    if (entry.news !== undefined && this.#news.has(entry.news)) return;
    if (this.#isOverWith(message) && this.#losable > 0) this.#dropLosable();
    if (this.#isOverWith(message) && entry.news === undefined && !mustArrive(message)) {
      this.#warn();
      return;
    }
    this.#waiting.push(entry);
    if (entry.news !== undefined) this.#news.add(entry.news);
    if (isLosable(message)) this.#losable++;
    this.#waitingBytes += message.bytes.length;
  }

  #leave({ message, news }: Waiting): void {
    this.#waitingBytes -= message.bytes.length;
    if (news !== undefined) this.#news.delete(news);
    if (isLosable(message)) this.#losable--;
  }

  #isOverWith(message: RpcMessage): boolean {
    return this.#waiting.length >= maxWaiting || this.#waitingBytes + message.bytes.length > maxWaitingBytes;
  }

  #dropLosable(): void {
    const dropped = this.#waiting.filter(({ message }) => isLosable(message));
    this.#waiting = this.#waiting.filter(({ message }) => !isLosable(message));
    for (const entry of dropped) this.#leave(entry);
    this.#warn();
  }

  #warn(): void {
    if (!this.#warned) this.#options.onDropped();
    this.#warned = true;
  }

  #flush(mayGo: () => boolean): void {
    while (mayGo()) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#leave(next);
      this.#options.events.onMessage(next.message, next.origin);
    }
    if (this.#waiting.length > 0 || !this.#full) return;
    this.#full = false;
    this.#options.onDrained();
  }
}

/** What a client can do without when it reads again. */
function isLosable(message: RpcMessage): boolean {
  return (
    message.kind === 'notification' &&
    (message.method === 'notifications/message' || message.method === 'notifications/progress')
  );
}

/** A server request and its withdrawal belong together; a subscription begins with its acknowledgement. */
function mustArrive(message: RpcMessage): boolean {
  return (
    message.kind !== 'notification' ||
    message.method === 'notifications/cancelled' ||
    message.method === 'notifications/subscriptions/acknowledged'
  );
}

/** That something has changed is said once; whoever looks then sees all changes before that. */
function newsIn(message: RpcMessage): string | undefined {
  if (message.kind !== 'notification') return undefined;
  const { method, json } = message;
  const isList = method.endsWith('/list_changed');
  if (!isList && method !== 'notifications/resources/updated') return undefined;
  // Each subscription of a modern client is told (MCP 2026-07-28, "Subscriptions").
  const subscription = subscriptionIdOf(message);
  const kind = subscription === undefined ? method : `${method} ${jsonOfId(subscription)}`;
  if (isList) return kind;
  const uri = memberOf(json['params'], 'uri');
  return typeof uri === 'string' ? `${kind} ${uri}` : undefined;
}
