import { gather, piecesOf, type Bytes } from '../../platform/bytes.ts';
import { errorResponse, rpcCode, type RequestId } from '../../mcp/json-rpc.ts';
import type { ActiveResponse } from './active-responses.ts';
import { BackPressure } from './back-pressure.ts';
import { EventStream } from './event-stream.ts';
import { answerEmpty, answerJson } from './json-response.ts';
import type { HttpResponse } from '../message.ts';
import type { MessageStream } from './message-stream.ts';
import { StreamCall, type CallStream } from './stream-call.ts';

/** Largest JSON array of responses, in bytes: as large as one message may be. */
const maxArrayBytes: number = 64 * 1024 * 1024;

export interface BatchResponseOptions {
  readonly response: HttpResponse;
  /** Undefined for a client that does not accept an event stream: it gets one array with all responses. */
  readonly stream: MessageStream | undefined;
  /** Number of requests in the batch, at least one. */
  readonly requests: number;
  /** As in `PostResponseOptions`. */
  readonly onDone: (response: ActiveResponse) => void;
}

/**
 * The response to a batch: an event stream with the response to each of its requests, which ends with the last one, or
 * one array of all responses (MCP 2025-03-26, Streamable HTTP, "Sending Messages to the Server").
 */
export class BatchResponse implements ActiveResponse {
  place = -1;
  readonly #onDone: (response: ActiveResponse) => void;
  readonly #connection: EventStream | undefined;
  readonly #stream: CallStream & Pick<MessageStream, 'finish'>;
  #unanswered: number;

  constructor({ response, stream, requests, onDone }: BatchResponseOptions) {
    this.#onDone = onDone;
    this.#unanswered = requests;
    const backPressure = new BackPressure(response);
    if (stream === undefined) {
      this.#stream = new ResponseArray(response, backPressure);
    } else {
      this.#stream = stream;
      this.#connection = new EventStream(response, { backPressure });
      stream.connect(this.#connection);
    }
    backPressure.whenClosed(() => onDone(this));
  }

  /** The call for one request of the batch, or for one whose id must not be answered (null). */
  callFor(id: RequestId | null, reported?: ActiveResponse['reported']): StreamCall {
    const isResponseOnly = this.#connection === undefined;
    return new StreamCall({ stream: this.#stream, isResponseOnly, id, onOver: this.#onAnswered, reported });
  }

  keepAlive(checksStalls?: boolean): void {
    this.#connection?.keepAlive(checksStalls);
  }

  readonly #onAnswered = ({ reported }: ActiveResponse): void => {
    reported?.make();
    if (--this.#unanswered > 0) return;
    this.#stream.finish();
    this.#onDone(this);
  };
}

/** Collects the responses to a batch in one JSON array (JSON-RPC 2.0 §6). */
class ResponseArray implements CallStream, Pick<MessageStream, 'finish'> {
  readonly #response: HttpResponse;
  readonly #backPressure: BackPressure;
  readonly #parts: Buffer[] = [];
  #size = 0;
  readonly send = (): boolean => true;
  readonly whenWritable = (callback: () => void): void => callback();

  constructor(response: HttpResponse, backPressure: BackPressure) {
    this.#response = response;
    this.#backPressure = backPressure;
  }

  isConnected(): boolean {
    return !this.#backPressure.isClosed;
  }

  whenGone(callback: () => void): void {
    this.#backPressure.whenClosed(callback);
  }

  write(response: Bytes, id: RequestId | null = null): boolean {
    if (!this.isConnected()) return true;
    const fits = this.#size + response.length <= maxArrayBytes;
    const message = fits ? response : errorResponse({ id, ...tooLarge });
    this.#parts.push(Buffer.from(this.#parts.length === 0 ? '[' : ','), ...piecesOf(message));
    this.#size += message.length + 1;
    return true;
  }

  finish(): boolean {
    if (!this.isConnected()) return true;
    // Cancelled calls have no response, and a batch must not be an empty array.
    if (this.#parts.length === 0) {
      answerEmpty(this.#response, 202);
    } else {
      this.#parts.push(Buffer.from(']'));
      answerJson(this.#response, 200, gather(this.#parts, this.#size + 1));
    }
    return true;
  }
}

const tooLarge = {
  code: rpcCode.internalError,
  message: `the answers to the batch are larger than ${maxArrayBytes} bytes together`,
  data: { reason: 'message_too_large' },
};
