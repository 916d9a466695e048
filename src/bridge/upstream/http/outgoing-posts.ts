import type { Clock } from '../../../platform/clock.ts';
import type { RequestId, RpcMessage } from '../../../mcp/json-rpc.ts';
import { WriteWindow } from '../stdio/write-window.ts';
import type { PendingResponse } from './pending-response.ts';
import type { UpstreamExchange } from './upstream-client.ts';

/** A message to the server, as the body of a POST. */
export interface OutgoingPost {
  readonly message: RpcMessage;
  /** Its position among all messages of this connection. */
  readonly order: number;
  /** Removes it from the write window. */
  readonly release: () => void;
  tries: number;
  /** The server has certainly not acted on it. */
  untaken: boolean;
  exchange?: UpstreamExchange;
  cancelRetry?: () => void;
  /** Reads the answer to a request (Streamable HTTP). */
  answer?: PendingResponse;
}

export interface OutgoingPostsOptions {
  readonly clock: Clock;
  readonly isOpen: () => boolean;
  readonly hasRoomForRequest: () => boolean;
  readonly post: (outgoing: OutgoingPost) => void;
}

/**
 * The messages of one connection to the server: queued, in the order in which they came, or under way, which means
 * without a response that counts. Requests wait for room without blocking other messages, because an answer to a server
 * request may be what makes the room. `ping` does not wait for room, since it tests whether the server is alive.
 */
export class OutgoingPosts {
  readonly #options: OutgoingPostsOptions;
  /** What the server has not read. */
  readonly window: WriteWindow = new WriteWindow();
  #count = 0;
  #queue: OutgoingPost[] = [];
  /** Requests that were first in the queue when there was no room. */
  #crowded: OutgoingPost[] = [];
  readonly #underWay = new Set<OutgoingPost>();

  constructor(options: OutgoingPostsOptions) {
    this.#options = options;
  }

  /** Adds a message to the write window. Undefined: the server has left too much unread. */
  accept(message: RpcMessage): OutgoingPost | undefined {
    const release = this.window.add(message.bytes.length);
    if (release === false) return undefined;
    return { message, order: this.#count++, release, tries: 0, untaken: false };
  }

  enqueue(outgoing: OutgoingPost): void {
    this.#queue.push(outgoing);
  }

  /** Sends what may be sent now. */
  drain(): void {
    const { isOpen, hasRoomForRequest, post } = this.#options;
    while (isOpen() && hasRoomForRequest()) {
      const next = this.#crowded.shift();
      if (next === undefined) break;
      post(next);
    }
    while (isOpen()) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      const needsRoom = next.message.kind === 'request' && next.message.method !== 'ping';
      if (needsRoom && !hasRoomForRequest()) this.#crowded.push(next);
      else post(next);
    }
  }

  started(outgoing: OutgoingPost, exchange: UpstreamExchange): void {
    outgoing.exchange = exchange;
    outgoing.tries++;
    this.#underWay.add(outgoing);
  }

  isUnderWay(outgoing: OutgoingPost): boolean {
    return this.#underWay.has(outgoing);
  }

  /** The server has read it, or never will. */
  settle(outgoing: OutgoingPost): void {
    this.#underWay.delete(outgoing);
    outgoing.release();
  }

  /** Sends a message again that the server did not get. */
  retry(outgoing: OutgoingPost, delayMs: number): void {
    outgoing.untaken = true;
    outgoing.cancelRetry = this.#options.clock.after(delayMs, () => {
      outgoing.untaken = false;
      this.#options.post(outgoing);
    });
  }

  /** What waits for its retry stays under way, and untaken. */
  cancelRetries(): void {
    for (const { cancelRetry } of this.#underWay) cancelRetry?.();
  }

  /** Takes out the request with this id if it is queued or waits for a retry: the server has not got it. */
  withdraw(id: RequestId): OutgoingPost | undefined {
    const isMeant = ({ message }: OutgoingPost): boolean => message.kind === 'request' && message.id === id;
    for (const queue of [this.#crowded, this.#queue]) {
      const index = queue.findIndex(isMeant);
      const [withdrawn] = index === -1 ? [] : queue.splice(index, 1);
      withdrawn?.release();
      if (withdrawn !== undefined) return withdrawn;
    }
    for (const outgoing of this.#underWay) {
      if (!outgoing.untaken || outgoing.cancelRetry === undefined || !isMeant(outgoing)) continue;
      outgoing.cancelRetry();
      this.settle(outgoing);
      return outgoing;
    }
    return undefined;
  }

  /** Whether the server has certainly acted on nothing of what is under way. */
  isAllUntaken(): boolean {
    return [...this.#underWay].every(({ untaken }) => untaken);
  }

  /** What may be sent again on another connection, in order: all that is queued, and of what is under way the untaken. */
  untaken(): OutgoingPost[] {
    for (const outgoing of this.#underWay) outgoing.untaken ||= outgoing.exchange?.isUnsent() === true;
    return [...[...this.#underWay].filter(({ untaken }) => untaken), ...this.#crowded, ...this.#queue].toSorted(
      (one, other) => one.order - other.order,
    );
  }

  /** Forgets all messages; nothing is sent or accepted from now on. */
  end(): void {
    this.cancelRetries();
    this.#underWay.clear();
    this.#queue = [];
    this.#crowded = [];
    this.window.end();
  }
}
