import type { Bytes } from '../../platform/bytes.ts';
import type { CallFailure, PendingRequest, UpstreamMessage } from '../../bridge/session/pending-request.ts';
import { errorResponse, type RequestId, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import type { ActiveResponse } from './active-responses.ts';
import type { MessageStream } from './message-stream.ts';

/** The part of a stream that its calls use. */
export type CallStream = Pick<MessageStream, 'isConnected' | 'send' | 'whenWritable' | 'whenGone' | 'write'> &
  Partial<Pick<MessageStream, 'absence' | 'recall'>>;

export interface StreamCallOptions {
  readonly stream: CallStream;
  /** As `PendingRequest.isResponseOnly`. */
  readonly isResponseOnly?: boolean;
  /** The id of the response; null for a request whose id must not be answered. */
  readonly id: RequestId | null;
  /** Called once, when the call has its response or no longer needs one. */
  readonly onOver?: ((call: ActiveResponse) => void) | undefined;
  readonly reported?: ActiveResponse['reported'];
}

/** A call whose response is sent on a stream that it shares with other calls. */
export class StreamCall implements PendingRequest, ActiveResponse {
  place = -1;
  reported: ActiveResponse['reported'];
  readonly isResponseOnly: boolean | undefined;
  readonly #options: StreamCallOptions;
  #isOver = false;

  constructor(options: StreamCallOptions) {
    this.#options = options;
    this.isResponseOnly = options.isResponseOnly;
    this.reported = options.reported;
  }

  isOpen(): boolean {
    return !this.#isOver && this.#options.stream.isConnected();
  }

  absence(): 'short' | 'long' | undefined {
    return this.#isOver ? undefined : this.#options.stream.absence?.();
  }

  send(message: UpstreamMessage): boolean {
    return this.#isOver || this.#options.stream.send(message);
  }

  whenWritable(callback: () => void): void {
    this.#options.stream.whenWritable(callback);
  }

  whenGone(callback: () => void): void {
    this.#options.stream.whenGone(() => {
      if (!this.#isOver) callback();
    });
  }

  recall(serverRequest: RpcRequest): boolean {
    return this.#options.stream.recall?.(serverRequest) ?? true;
  }

  finish(response: RpcResponse): boolean {
    if (this.isOpen()) this.reported?.answered(response);
    return this.#conclude(response.bytes);
  }

  fail(failure: CallFailure): void {
    const bytes = errorResponse({ id: this.#options.id, ...failure });
    if (this.isOpen()) this.reported?.failed(failure, bytes.length);
    this.#conclude(bytes);
  }

  end(): void {
    this.#conclude();
  }

  /** Its stream is kept alive instead. */
  keepAlive(): void {}

  #conclude(message?: Bytes): boolean {
    if (this.#isOver) return true;
    this.#isOver = true;
    const { stream, id, onOver } = this.#options;
    const isWritable = message === undefined || stream.write(message, id ?? undefined);
    onOver?.(this);
    return isWritable;
  }
}
