import type { RequestId, RpcMessage } from '../../mcp/json-rpc.ts';
import type { UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';

/** Messages that wait for one client which does not read, and their bytes, before the server is made to wait. */
const maxWaiting = 1000;
const maxWaitingBytes = 4 * 1024 * 1024;

/** One of the sessions that share a server, as the server's side sees it. */
export interface Member {
  /** What it declared in its `initialize`. */
  capabilities: unknown;
  /** Whether it has got the result of its `initialize`: nothing that is for all comes earlier. */
  ready: boolean;
  /** Gives it a message, now or when it reads again. */
  deliver(message: RpcMessage, origin?: RequestId): void;
  pause(): void;
  resume(): void;
  lose(end: UpstreamEnd): void;
  /** The server has gone: the member gets what waits for it, and then nothing any more. */
  end(end: UpstreamEnd): void;
  /** The member goes itself: what waits for it is dropped. It is told later, as by an upstream that takes time to end. */
  close(end: UpstreamEnd): void;
}

export interface MemberOptions {
  readonly events: UpstreamEvents;
  /** So much waits for it that nothing more should be read from the server; and that this is over. */
  readonly onFull: () => void;
  readonly onDrained: () => void;
}

/**
 * A client that does not read holds up only itself: its messages wait here. Beyond a bound it holds up the server, and
 * so everybody, until it reads again or is given up as a client that has stalled.
 */
export function createMember({ events, onFull, onDrained }: MemberOptions): Member {
  const waiting: { readonly message: RpcMessage; readonly origin: RequestId | undefined }[] = [];
  let waitingBytes = 0;
  let paused = false;
  let full = false;
  let ended = false;

  function flush(mayGo: () => boolean): void {
    while (mayGo()) {
      const next = waiting.shift();
      if (next === undefined) break;
      waitingBytes -= next.message.bytes.length;
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
      waiting.push({ message, origin });
      waitingBytes += message.bytes.length;
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
      waiting.length = 0;
      queueMicrotask(() => events.onClose(end));
    },
  };
}
