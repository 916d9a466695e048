import type { RequestId } from '../../../mcp/json-rpc.ts';
import type { OutgoingPost } from './outgoing-post.ts';

export interface PostQueueOptions<P extends OutgoingPost> {
  /** Whether anything may go now. */
  readonly isOpen: () => boolean;
  /** Whether one more request may be under way. */
  readonly hasRoomForRequest: () => boolean;
  readonly post: (outgoing: P) => void;
}

/** Messages that wait until they may be sent, and go in the order in which they came. */
export interface PostQueue<P extends OutgoingPost> {
  add(outgoing: P): void;
  /** Sends what may go by now. */
  drain(): void;
  /** Takes out the request of this id. Returns false when none waits. */
  withdraw(id: RequestId): boolean;
  waiting(): readonly P[];
  clear(): void;
}

/**
 * Requests wait for room without holding up the rest: an answer to a server request may be what makes the room. Nor does `ping`
 * wait, by which a client learns whether the server is still there.
 */
export function createPostQueue<P extends OutgoingPost>(options: PostQueueOptions<P>): PostQueue<P> {
  const { isOpen, hasRoomForRequest, post } = options;
  let line: P[] = [];
  /** Requests that were first in the line when there was no room. */
  let crowded: P[] = [];

  return {
    add: (outgoing) => void line.push(outgoing),
    drain() {
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
