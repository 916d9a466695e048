import type { Call } from '../bridge/call.ts';
import type { RequestId } from '../mcp/json-rpc.ts';
import { createEventStream } from './event-stream.ts';
import type { Live } from './live-list.ts';
import type { HttpResponse } from './message.ts';
import type { MessageStream } from './message-stream.ts';
import { createStreamCall } from './stream-call.ts';

export interface BatchReply extends Live {
  /** The way for what belongs to one request of the batch, or to one whose id must not be answered (null). */
  callFor(id: RequestId | null): Call;
}

export interface BatchReplyOptions {
  readonly response: HttpResponse;
  readonly stream: MessageStream;
  /** Number of requests in the batch, at least one. */
  readonly requests: number;
  /** The response is done with: all requests are answered, or the client has gone. */
  readonly onDone: () => void;
}

/**
 * The answer to a batch: an event stream with the response to each of its requests, which ends with the last of them
 * (MCP 2025-03-26, Streamable HTTP, "Sending Messages to the Server").
 */
export function createBatchReply({ response, stream, requests, onDone }: BatchReplyOptions): BatchReply {
  const connection = createEventStream(response);
  stream.connect(connection);
  let unanswered = requests;
  let done = false;
  function finish(): void {
    if (done) return;
    done = true;
    onDone();
  }
  connection.whenClosed(finish);

  return {
    callFor: (id) =>
      createStreamCall({
        stream,
        id,
        onOver() {
          if (--unanswered > 0) return;
          stream.finish();
          finish();
        },
      }),
    keepAlive: connection.keepAlive,
    place: -1,
  };
}
