import { memberOf, type RequestId, type RpcMessage } from '../../mcp/json-rpc.ts';
import type { UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';

/** Messages that wait for one client which does not read, and their bytes. */
const maxWaiting = 1000;
const maxWaitingBytes = 4 * 1024 * 1024;

/** One of the sessions that share a server, as the server's side sees it. */
export interface ClientSession {
  /** What it declared in its `initialize`. */
  capabilities: unknown;
  /** Whether it has got the result of its `initialize`: nothing that is for all comes earlier. */
  ready: boolean;
  /** Gives it a message, now or when it reads again. */
  deliver(message: RpcMessage, origin?: RequestId): void;
  pause(): void;
  resume(): void;
  lose(end: UpstreamEnd): void;
  /** The server has gone: the session gets what waits for it, and then nothing any more. */
  end(end: UpstreamEnd): void;
  /** The session goes itself: what waits for it is dropped. It is told later, as by an upstream that takes time to end. */
  close(end: UpstreamEnd): void;
}

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
 * A client that does not read holds up only itself: its messages wait here. Beyond a bound its notifications are
 * dropped, but for those which say that something has changed, each of which waits once; answers and server requests are not, but
 * hold up the server, and so everybody, until the client reads again or is given up as one that has stalled.
 */
export function createClientSession({ events, onDropped, onFull, onDrained }: ClientSessionOptions): ClientSession {
  let waiting: Waiting[] = [];
  /** Of what waits, what need not come again. */
  const news = new Set<string>();
  /** Number of those that wait and may be dropped for others. */
  let losable = 0;
  let waitingBytes = 0;
  let warned = false;
  let paused = false;
  let full = false;
  let ended = false;

  function enter(message: RpcMessage, origin: RequestId | undefined): void {
    const entry = { message, origin, news: newsIn(message) };
    if (entry.news !== undefined && news.has(entry.news)) return;
    if (isOverWith(message) && losable > 0) dropLosable();
    if (isOverWith(message) && entry.news === undefined && !mustArrive(message)) {
      warn();
      return;
    }
    waiting.push(entry);
    if (entry.news !== undefined) news.add(entry.news);
    if (isLosable(message)) losable++;
    waitingBytes += message.bytes.length;
  }

  function leave({ message, news: said }: Waiting): void {
    waitingBytes -= message.bytes.length;
    if (said !== undefined) news.delete(said);
    if (isLosable(message)) losable--;
  }

  function isOverWith(message: RpcMessage): boolean {
    return waiting.length >= maxWaiting || waitingBytes + message.bytes.length > maxWaitingBytes;
  }

  function dropLosable(): void {
    const dropped = waiting.filter(({ message }) => isLosable(message));
    waiting = waiting.filter(({ message }) => !isLosable(message));
    for (const entry of dropped) leave(entry);
    warn();
  }

  function warn(): void {
    if (!warned) onDropped();
    warned = true;
  }

  function flush(mayGo: () => boolean): void {
    while (mayGo()) {
      const next = waiting.shift();
      if (next === undefined) break;
      leave(next);
      events.onMessage(next.message, next.origin);
    }
    if (waiting.length > 0 || !full) return;
    full = false;
    onDrained();
  }

  return {
    capabilities: undefined,
    ready: false,
    deliver(message, origin) {
      if (ended) return;
      if (!paused && waiting.length === 0) {
        events.onMessage(message, origin);
        return;
      }
      enter(message, origin);
      if (full || (waiting.length <= maxWaiting && waitingBytes <= maxWaitingBytes)) return;
      full = true;
      onFull();
    },
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      flush(() => !paused && !ended);
    },
    lose(end) {
      flush(() => !ended);
      if (!ended) events.onLost?.(end);
    },
    end(end) {
      flush(() => !ended);
      if (ended) return;
      ended = true;
      events.onClose(end);
    },
    close(end) {
      if (ended) return;
      ended = true;
      waiting = [];
      queueMicrotask(() => events.onClose(end));
    },
  };
}

/** What a client can do without when it reads again. */
function isLosable(message: RpcMessage): boolean {
  return (
    message.kind === 'notification' &&
    (message.method === 'notifications/message' || message.method === 'notifications/progress')
  );
}

/** A server request and its withdrawal belong together. */
function mustArrive(message: RpcMessage): boolean {
  return message.kind !== 'notification' || message.method === 'notifications/cancelled';
}

/** That something has changed is said once; whoever looks then sees all changes before that. */
function newsIn(message: RpcMessage): string | undefined {
  if (message.kind !== 'notification') return undefined;
  const { method, json } = message;
  if (method.endsWith('/list_changed')) return method;
  const uri = memberOf(json['params'], 'uri');
  return method === 'notifications/resources/updated' && typeof uri === 'string' ? `${method} ${uri}` : undefined;
}
