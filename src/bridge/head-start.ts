import type { Upstream, UpstreamEvents } from './upstream/upstream.ts';

export interface HeadStart {
  /** Starts the upstream. */
  begin(): void;
  /** The upstream that was started ahead, the first time, if it still lives; after that new ones. */
  take(): Upstream;
  /** Ends the upstream that was started ahead, if nobody has taken it. */
  close(): Promise<void>;
}

/**
 * Starts one upstream before anybody asks for it, so that the first client does not wait for a process to start.
 * Nothing is sent to it: whoever takes it begins with a server that has heard nothing yet.
 * @param create makes an upstream; what it has to say to the user is of interest only while `isWanted()`.
 */
export function createHeadStart(create: (isWanted: () => boolean) => Upstream): HeadStart {
  let ahead: Upstream | undefined;
  let taker: UpstreamEvents | undefined;

  return {
    begin() {
      const started = create(() => taker !== undefined);
      started.start({
        onMessage: (message) => taker?.onMessage(message),
        onClose(end) {
          if (ahead === started) ahead = undefined;
          taker?.onClose(end);
        },
      });
      // What it says before it is asked waits in its pipe.
      started.pause();
      ahead = started;
    },
    take() {
      const started = ahead;
      ahead = undefined;
      if (started === undefined) return create(() => true);
      return {
        ...started,
        start(events) {
          taker = events;
          started.resume();
        },
      };
    },
    async close() {
      await ahead?.close();
    },
  };
}
