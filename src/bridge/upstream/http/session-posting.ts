import type { PendingAnswer } from './pending-answer.ts';
import type { Posting } from './posting.ts';

/** A message on its way into a session of the Streamable HTTP transport. */
export interface SessionPosting extends Posting {
  /** It is the request that opens the session. */
  readonly isOpening: boolean;
  tries: number;
  /** Of a request. */
  answer?: PendingAnswer;
}
