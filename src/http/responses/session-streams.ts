import type { Session } from '../../bridge/session/session.ts';
import { primingRevision } from '../../mcp/revisions.ts';
import { EventStore } from './event-store.ts';
import { MessageStream, type StreamIdentity } from './message-stream.ts';

/** How long clients are told to wait before they resume a stream, in milliseconds. */
const defaultRetryMs = 1000;

/** How long a disconnected client is expected to return, in milliseconds: enough for a few attempts. */
const defaultGraceMs = 5000;

/** Finished streams whose events are dropped but that can still send an error; the oldest are forgotten. */
const maxBareStreams = 100;

/** What a client gets that sends a Last-Event-ID. */
export type Resumption =
  | { readonly kind: 'reply stream' | 'listening stream'; readonly stream: MessageStream; readonly after: number }
  /** Nothing is left of the GET stream: the client can open a new one. */
  | { readonly kind: 'listening' }
  /** The client has everything, or the rest is no longer stored. */
  | { readonly kind: 'nothing' }
  /** No event of this session has this id. */
  | { readonly kind: 'unknown' };

type SessionStreamsOptions = Pick<StreamIdentity, 'buffer' | 'retryMs' | 'graceMs'>;

/** `<stream>-<event>`, both counted within the session; `g` marks a stream that was opened by GET. */
const eventIdSyntax = /^((g?)(\d{1,15}))-(\d{1,15})$/;

/** The event streams of one session. Event ids are valid only there: no client can ask for another session's events. */
export class SessionStreams {
  readonly #options: SessionStreamsOptions;
  readonly #streams = new Map<string, MessageStream>();
  readonly #bare = new Set<string>();
  #opened = 0;

  constructor(options: SessionStreamsOptions) {
    this.#options = options;
  }

  /** Opens a stream for the response to a POST. */
  openReply(): MessageStream {
    return this.#open('');
  }

  /** Opens a stream for messages that belong to no request (GET). */
  openListening(): MessageStream {
    return this.#open('g');
  }

  resume(lastEventId: string): Resumption {
    const [, name = '', kind, stream, event] = eventIdSyntax.exec(lastEventId) ?? [];
    if (stream === undefined || Number(stream) < 1 || Number(stream) > this.#opened) return { kind: 'unknown' };
    const found = this.#streams.get(name);
    if (found === undefined) return { kind: kind === 'g' ? 'listening' : 'nothing' };
    const after = Number(event);
    if (!found.knows(after)) return { kind: 'unknown' };
    if (found.isFinished() && !found.hasMore(after)) return { kind: 'nothing' };
    return { kind: kind === 'g' ? 'listening stream' : 'reply stream', stream: found, after };
  }

  /** Forgets everything: the session is over. */
  close(): void {
    this.#options.buffer.clear();
    this.#streams.clear();
    this.#bare.clear();
  }

  #open(kind: '' | 'g'): MessageStream {
    const name = `${kind}${++this.#opened}`;
    const onChange = (): void => {
      const isInUse = kind === 'g' ? stream.isConnected() : !stream.isFinished();
      if (!isInUse && !stream.isKept()) this.#retire(name, stream);
    };
    const stream = new MessageStream({ name, ...this.#options, onChange });
    this.#streams.set(name, stream);
    return stream;
  }

  #retire(name: string, stream: MessageStream): void {
    if (!stream.hasMore(0)) {
      this.#streams.delete(name);
      return;
    }
    this.#bare.add(name);
    for (const oldest of this.#bare) {
      if (this.#bare.size <= maxBareStreams) return;
      this.#bare.delete(oldest);
      this.#streams.delete(oldest);
    }
  }
}

export interface ResumptionOptions {
  /** Where sent events are stored; endpoints can share one. Default: a store of its own. */
  readonly eventStore?: EventStore | undefined;
  /** Default 1000. */
  readonly retryMs?: number | undefined;
  /** Default 5000. */
  readonly graceMs?: number | undefined;
}

/** Returns a function that finds the event streams of a session, and creates them when they are first needed. */
export function createStreamIndex(options: ResumptionOptions): (session: Session) => SessionStreams {
  const { eventStore = new EventStore(), retryMs = defaultRetryMs, graceMs = defaultGraceMs } = options;
  const index = new WeakMap<Session, SessionStreams>();
  return (session) => {
    const known = index.get(session);
    if (known !== undefined) return known;
    const canPrime = session.revision !== undefined && session.revision >= primingRevision;
    const buffer = eventStore.openBuffer();
    const opened = new SessionStreams({ buffer, retryMs: canPrime ? retryMs : undefined, graceMs });
    index.set(session, opened);
    session.whenOver(() => opened.close());
    return opened;
  };
}
