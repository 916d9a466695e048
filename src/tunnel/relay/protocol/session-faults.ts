import type { Http2Session } from 'node:http2';
import type { Pipe } from './pipe.ts';

/**
 * Breaks the pipe when node:http2 gives up its session. The `error` event comes too late: by then it has ended the pipe as if
 * all were well.
 */
export function reportFaults(session: Http2Session, pipe: Pipe): void {
  const destroy = session.destroy.bind(session);
  session.destroy = (error?: Error, code?: number): void => {
    // Its own calls may pass null.
    if (error instanceof Error) pipe.breakOff(`HTTP/2: ${error.message}`.slice(0, 100));
    destroy(error, code);
  };
}
