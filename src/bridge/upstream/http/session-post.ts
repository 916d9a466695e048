import type { PendingResponse } from './pending-response.ts';
import type { OutgoingPost } from './outgoing-post.ts';

/** A message on its way into a session of the Streamable HTTP transport. */
export interface SessionPost extends OutgoingPost {
  /** It is the request that opens the session. */
  readonly isOpening: boolean;
  tries: number;
  /** Of a request. */
  answer?: PendingResponse;
}
