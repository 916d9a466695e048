import type { Call } from '../bridge/call.ts';
import { errorResponse, type RequestId } from '../mcp/json-rpc.ts';
import type { Listed } from './live-list.ts';
import type { HttpResponse } from './message.ts';
import { createEventStream } from './reply.ts';

export interface BatchReply extends Listed {
  /** The way for what belongs to one request of the batch, or to one whose id must not be answered (null). */
  callFor(id: RequestId | null): Call;
  keepAlive(): void;
}

export interface BatchReplyOptions {
  readonly response: HttpResponse;
  /** Number of requests in the batch, at least one. */
  readonly requests: number;
  /** All of them are answered, or the client has gone. */
  readonly onDone: () => void;
}

/**
 * The answer to a batch: an event stream with the response to each of its requests, which ends with the last of them
 * (MCP 2025-03-26, Streamable HTTP, "Sending Messages to the Server").
 */
export function createBatchReply({ response, requests, onDone }: BatchReplyOptions): BatchReply {
  const stream = createEventStream(response);
  let unanswered = requests;
  let done = false;
  function finishBatch(): void {
    if (done) return;
    done = true;
    stream.end();
    onDone();
  }
  response.once('close', finishBatch);

  return {
    callFor(id) {
      let over = false;
      function conclude(message?: Buffer): boolean {
        if (over) return true;
        over = true;
        const writable = message === undefined || stream.write(message);
        if (--unanswered === 0) finishBatch();
        return writable;
      }
      return {
        isOpen: () => !over && stream.isOpen(),
        send: stream.send,
        whenWritable: stream.whenWritable,
        whenGone(callback) {
          response.once('close', () => {
            if (!over) callback();
          });
        },
        finish: (message) => conclude(message.bytes),
        fail: (failure) => void conclude(errorResponse({ id, ...failure })),
        end: () => void conclude(),
      };
    },
    keepAlive: stream.keepAlive,
    place: -1,
  };
}
