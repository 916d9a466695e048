import type { RequestId } from '../../../mcp/json-rpc.ts';
import type { Posting } from './posting.ts';

export interface PostingLineOptions<P extends Posting> {
  /** Whether anything may go now. */
  readonly isOpen: () => boolean;
  /** Whether one more request may be under way. */
  readonly hasRoomForRequest: () => boolean;
  readonly post: (posting: P) => void;
}

/** Messages that wait until they may be sent, and go in the order in which they came. */
export interface PostingLine<P extends Posting> {
  add(posting: P): void;
  /** Sends what may go by now. */
  goOn(): void;
  /** Takes out the request of this id. Returns false when none waits. */
  withdraw(id: RequestId): boolean;
  waiting(): readonly P[];
  clear(): void;
}

/**
 * Requests wait for room without holding up the rest: an answer to an ask may be what makes the room. Nor does `ping`
 * wait, by which a client learns whether the server is still there.
 */
export function createPostingLine<P extends Posting>(options: PostingLineOptions<P>): PostingLine<P> {
  const { isOpen, hasRoomForRequest, post } = options;
  let line: P[] = [];
  /** Requests that were first in the line when there was no room. */
  let crowded: P[] = [];

  return {
    add: (posting) => void line.push(posting),
    goOn() {
      while (isOpen() && hasRoomForRequest()) {
        const next = crowded.shift();
        if (next === undefined) break;
        post(next);
      }
      while (isOpen()) {
        const next = line.shift();
        if (next === undefined) break;
        const needsRoom = next.message.kind === 'request' && next.message.method !== 'ping';
        if (needsRoom && !hasRoomForRequest()) crowded.push(next);
        else post(next);
      }
    },
    withdraw(id) {
      for (const places of [crowded, line]) {
        const index = places.findIndex(({ message }) => message.kind === 'request' && message.id === id);
        const [withdrawn] = index === -1 ? [] : places.splice(index, 1);
        if (withdrawn === undefined) continue;
        withdrawn.release();
        return true;
      }
      return false;
    },
    waiting: () => [...crowded, ...line],
    clear() {
      line = [];
      crowded = [];
    },
  };
}
