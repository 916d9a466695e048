import type { Bytes } from '../../platform/bytes.ts';
import type { PendingRequest } from '../../bridge/session/pending-request.ts';
import { errorResponse, type RequestId } from '../../mcp/json-rpc.ts';
import type { MessageStream } from './message-stream.ts';

/** What such a call needs of its stream. */
export type CallStream = Pick<
  MessageStream,
  'isConnected' | 'absence' | 'send' | 'whenWritable' | 'whenGone' | 'recall' | 'write'
>;

export interface StreamCallOptions {
  readonly stream: CallStream;
  /** As `PendingRequest.isResponseOnly`. */
  readonly isResponseOnly?: boolean;
  /** The id to answer, or null for a request whose id must not be answered. */
  readonly id: RequestId | null;
  /** It has its answer, or needs none any more. */
  readonly onOver: () => void;
}

/** A call whose answer goes to a stream that it shares with others. */
export function createStreamCall({ stream, isResponseOnly, id, onOver }: StreamCallOptions): PendingRequest {
  let over = false;
  function conclude(message?: Bytes): boolean {
    if (over) return true;
    over = true;
    const writable = message === undefined || stream.write(message, id ?? undefined);
    onOver();
    return writable;
  }
  return {
    isResponseOnly,
    isOpen: () => !over && stream.isConnected(),
    absence: () => (over ? undefined : stream.absence()),
    send: (message) => over || stream.send(message),
    whenWritable: stream.whenWritable,
    whenGone(callback) {
      stream.whenGone(() => {
        if (!over) callback();
      });
    },
    recall: stream.recall,
    finish: (message) => conclude(message.bytes),
    fail: (failure) => void conclude(errorResponse({ id, ...failure })),
    end: () => void conclude(),
  };
}
