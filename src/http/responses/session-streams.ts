import type { SessionBuffer } from './event-store.ts';
import { createMessageStream, type MessageStream } from './message-stream.ts';

/** Finished streams of which nothing is left but an error for the answer that was dropped; the oldest are forgotten. */
const maxBareStreams = 100;

/** What a client that names the last event it got can be given. */
export type Resumption =
  | { readonly kind: 'reply stream' | 'listening stream'; readonly stream: MessageStream; readonly after: number }
  /** It listened, and nothing of that is left: it can listen anew. */
  | { readonly kind: 'listening' }
  /** It has everything, or what it lacks is no longer kept. */
  | { readonly kind: 'nothing' }
  /** No event of this session has this id. */
  | { readonly kind: 'unknown' };

/** The event streams of one session. */
export interface SessionStreams {
  /** A stream for the answer to a POST. */
  openReply(): MessageStream;
  /** A stream for what belongs to no request (GET). */
  openListening(): MessageStream;
  resume(lastEventId: string): Resumption;
  /** The session is over: nothing is kept any more. */
  close(): void;
}

export interface SessionStreamsOptions {
  readonly buffer: SessionBuffer;
  /** As in `StreamIdentity`. */
  readonly retryMs: number | undefined;
  readonly graceMs: number;
}

/** `<stream>-<event>`, both counted within the session; `g` marks a stream that was opened by GET. */
const eventIdSyntax = /^((g?)(\d{1,15}))-(\d{1,15})$/;

/** Event ids mean something within their session alone, so that nobody can ask for another one's events. */
export function createSessionStreams({ buffer, retryMs, graceMs }: SessionStreamsOptions): SessionStreams {
  const streams = new Map<string, MessageStream>();
  const bare = new Set<string>();
  let opened = 0;

  function open(kind: '' | 'g'): MessageStream {
    const name = `${kind}${++opened}`;
    const onChange = (): void => {
      const isInUse = kind === 'g' ? stream.isConnected() : !stream.isFinished();
      if (!isInUse && !stream.isKept()) retire(name, stream);
    };
    const stream = createMessageStream({ name, buffer, retryMs, graceMs, onChange });
    streams.set(name, stream);
    return stream;
  }

  function retire(name: string, stream: MessageStream): void {
    if (!stream.hasMore(0)) {
      streams.delete(name);
      return;
    }
    bare.add(name);
    for (const oldest of bare) {
      if (bare.size <= maxBareStreams) return;
      bare.delete(oldest);
      streams.delete(oldest);
    }
  }

  return {
    openReply: () => open(''),
    openListening: () => open('g'),
    resume(lastEventId) {
      const [, name = '', kind, stream, event] = eventIdSyntax.exec(lastEventId) ?? [];
      if (stream === undefined || Number(stream) < 1 || Number(stream) > opened) return { kind: 'unknown' };
      const found = streams.get(name);
      if (found === undefined) return { kind: kind === 'g' ? 'listening' : 'nothing' };
      const after = Number(event);
      if (!found.knows(after)) return { kind: 'unknown' };
      if (found.isFinished() && !found.hasMore(after)) return { kind: 'nothing' };
      return { kind: kind === 'g' ? 'listening stream' : 'reply stream', stream: found, after };
    },
    close() {
      buffer.clear();
      streams.clear();
      bare.clear();
    },
  };
}
