import type { Posting } from './posting.ts';

export interface PostingLineOptions {
  /** Whether anything may go now. */
  readonly isOpen: () => boolean;
  /** Whether one more request may be under way. */
  readonly hasRoomForRequest: () => boolean;
  readonly post: (posting: Posting) => void;
}

/** Messages that wait until they may be sent, and go in the order in which they came. */
export interface PostingLine {
  add(posting: Posting): void;
  /** Sends what may go by now. */
  goOn(): void;
  waiting(): readonly Posting[];
  clear(): void;
}

/** Requests wait for room without holding up the rest: an answer to an ask may be what makes the room. */
export function createPostingLine({ isOpen, hasRoomForRequest, post }: PostingLineOptions): PostingLine {
  let line: Posting[] = [];
  /** Requests that were first in the line when there was no room. */
  let crowded: Posting[] = [];

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
        if (next.message.kind === 'request' && !hasRoomForRequest()) crowded.push(next);
        else post(next);
      }
    },
    waiting: () => [...crowded, ...line],
    clear() {
      line = [];
      crowded = [];
    },
  };
}
