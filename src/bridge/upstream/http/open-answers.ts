import type { RequestId, RpcMessage, RpcRequest } from '../../../mcp/json-rpc.ts';
import { listenMethod } from '../../../mcp/modern-methods.ts';
import type { OutgoingPost, OutgoingPosts } from './outgoing-posts.ts';
import { PendingResponse, type PendingResponseOptions } from './pending-response.ts';

export interface OpenAnswersOptions {
  readonly context: PendingResponseOptions['context'];
  readonly posts: OutgoingPosts;
  /** Gets the messages that come for a request. */
  readonly onMessage: (request: RequestId, message: RpcMessage) => void;
  /** False once it does not matter any more how a POST ends. */
  readonly isInUse: () => boolean;
}

interface AwaitedAnswer {
  readonly answer: PendingResponse;
  readonly request: RpcRequest;
}

/** The answers to the requests of one connection: those that are awaited, and those whose stream has not ended. */
export class OpenAnswers {
  readonly #options: OpenAnswersOptions;
  /** Of requests without an answer. */
  readonly #awaited = new Map<RequestId, AwaitedAnswer>();
  #subscriptions = 0;
  /** These, and those of the requests whose stream has not ended. */
  readonly #open = new Set<PendingResponse>();

  constructor(options: OpenAnswersOptions) {
    this.#options = options;
  }

  /** Number of requests without an answer, but for subscriptions, which get theirs at their end. */
  get size(): number {
    return this.#awaited.size - this.#subscriptions;
  }

  /** What reads the answer to a request, which is about to be sent. */
  expect(outgoing: OutgoingPost, request: RpcRequest): PendingResponse {
    const { id } = request;
    const { context, posts, onMessage, isInUse } = this.#options;
    const answer = new PendingResponse({
      id,
      context,
      onMessage: (message) => onMessage(id, message),
      onOver: () => {
        this.#open.delete(answer);
        if (this.#awaited.get(id)?.answer === answer) this.#forget(id);
        // Nobody waits for the response to the POST either.
        if (isInUse() && posts.isUnderWay(outgoing)) {
          posts.settle(outgoing);
          outgoing.exchange?.abort();
        }
        posts.drain();
      },
    });
    this.abort(id);
    this.#awaited.set(id, { answer, request });
    if (request.method === listenMethod) this.#subscriptions++;
    this.#open.add(answer);
    return answer;
  }

  /** The request with this id, if it has no answer. */
  find(id: RequestId): RpcRequest | undefined {
    return this.#awaited.get(id)?.request;
  }

  /** The answer to a request has come. Returns what has read it, or undefined if nobody waits for it. */
  answered(id: RequestId): PendingResponse | undefined {
    const answer = this.#awaited.get(id)?.answer;
    this.#forget(id);
    answer?.release();
    return answer;
  }

  /** Nobody waits for the answer any more; its stream gets a moment to end. */
  release(id: RequestId): void {
    this.#awaited.get(id)?.answer.release();
  }

  /** Ends the request at once. */
  abort(id: RequestId): void {
    this.#awaited.get(id)?.answer.abort();
  }

  /** Fails all that are awaited. */
  lose(words: string): void {
    for (const { answer } of this.#awaited.values()) answer.lose(words);
  }

  /** Ends all of them. */
  end(): void {
    for (const answer of this.#open) answer.abort();
  }

  #forget(id: RequestId): void {
    if (this.find(id)?.method === listenMethod) this.#subscriptions--;
    this.#awaited.delete(id);
  }
}
