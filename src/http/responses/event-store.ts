import { gather, type Bytes, type ByteText } from '../../platform/bytes.ts';

/** What may be kept of one session's events, in bytes: a minute of a chatty server, not its whole day. */
const defaultMaxSessionBytes = 8 * 1024 * 1024;

/** What may be kept of the events of all sessions, in bytes. */
const defaultMaxBytes = 64 * 1024 * 1024;

/** What an event costs beside its message, in bytes: its record, and its places in the indexes. */
const overheadBytes = 512;

/** A message is copied when it is a smaller part than this of the memory it was read into, so that the rest can go. */
const leastPart = 1 / 4;

/** Told when an event of its has made room for others. */
export interface EventOwner {
  onDropped(number: number): void;
}

export interface KeptEvent {
  readonly message: Bytes | ByteText;
  /** Takes it out of the store. Its owner is not told. Harmless when it is out already. */
  forget(): void;
}

/** The events of one session, those of all its streams. */
export interface SessionBuffer {
  /** Keeps an event. What is too large for the store, or comes after `clear`, is dropped at once: undefined. */
  keep(message: Bytes | ByteText, owner: EventOwner, number: number): KeptEvent | undefined;
  /** Forgets everything, for ever. No owner is told. */
  clear(): void;
}

export interface EventStore {
  /** Room for the events of another session. */
  openBuffer(): SessionBuffer;
}

export interface EventStoreOptions {
  /** Default 64 MiB. */
  readonly maxBytes?: number | undefined;
  /** Default 8 MiB. */
  readonly maxSessionBytes?: number | undefined;
}

/** A place in a list. */
interface Place {
  readonly event: StoredEvent;
  before: Place | undefined;
  after: Place | undefined;
}

/** Events in the order in which they came. */
interface EventList {
  readonly bytes: number;
  oldest(): StoredEvent | undefined;
  add(event: StoredEvent): Place;
  remove(place: Place): void;
}

/** A class, since there may be a hundred thousand of them: they share their methods. */
class StoredEvent implements KeptEvent {
  readonly message: Bytes | ByteText;
  readonly size: number;
  readonly owner: EventOwner;
  readonly number: number;
  readonly #lists: readonly [all: EventList, session: EventList];
  readonly #places: readonly [Place, Place];
  #isStored = true;

  constructor(
    message: Bytes | ByteText,
    owner: EventOwner,
    number: number,
    lists: readonly [all: EventList, session: EventList],
  ) {
    this.message = unpinned(message);
    this.size = message.length + overheadBytes;
    this.owner = owner;
    this.number = number;
    this.#lists = lists;
    const [all, session] = lists;
    this.#places = [all.add(this), session.add(this)];
  }

  forget(): void {
    if (!this.#isStored) return;
    this.#isStored = false;
    const [all, session] = this.#lists;
    const [inAll, inSession] = this.#places;
    all.remove(inAll);
    session.remove(inSession);
  }
}

/**
 * Keeps what was sent on event streams for clients that lose their connection (MCP 2025-11-25, Streamable HTTP,
 * "Resumability and Redelivery"). When there is too much, the oldest makes room: the oldest of the session that has too
 * much, or of all sessions. An event costs the same, however many there are; the bytes of a long one are shared with the
 * message.
 */
export function createEventStore(options: EventStoreOptions = {}): EventStore {
  const { maxBytes = defaultMaxBytes, maxSessionBytes = defaultMaxSessionBytes } = options;
  const all = createEventList();

  return {
    openBuffer() {
      const session = createEventList();
      const lists = [all, session] as const;
      let cleared = false;
      return {
        keep(message, owner, number) {
          const size = message.length + overheadBytes;
          if (cleared || size > maxSessionBytes || size > maxBytes) {
            owner.onDropped(number);
            return undefined;
          }
          const event = new StoredEvent(message, owner, number, lists);
          makeRoom(session, maxSessionBytes);
          makeRoom(all, maxBytes);
          return event;
        },
        clear() {
          cleared = true;
          for (let event = session.oldest(); event !== undefined; event = session.oldest()) event.forget();
        },
      };
    },
  };
}

function makeRoom(list: EventList, max: number): void {
  while (list.bytes > max) {
    const oldest = list.oldest();
    if (oldest === undefined) return;
    oldest.forget();
    oldest.owner.onDropped(oldest.number);
  }
}

/** What does not keep much more than itself in memory. */
function unpinned(message: Bytes | ByteText): Bytes | ByteText {
  if (typeof message === 'string') return message;
  if (Buffer.isBuffer(message)) return unpinnedPiece(message);
  return gather(message.pieces.map(unpinnedPiece), message.length);
}

function unpinnedPiece(piece: Buffer): Buffer {
  return piece.length < piece.buffer.byteLength * leastPart ? Buffer.from(piece) : piece;
}

function createEventList(): EventList {
  let first: Place | undefined;
  let last: Place | undefined;
  let bytes = 0;
  return {
    get bytes() {
      return bytes;
    },
    oldest: () => first?.event,
    add(event) {
      bytes += event.size;
      const place: Place = { event, before: last, after: undefined };
      if (last === undefined) first = place;
      else last.after = place;
      last = place;
      return place;
    },
    remove(place) {
      const { event, before, after } = place;
      bytes -= event.size;
      if (before === undefined) first = after;
      else before.after = after;
      if (after === undefined) last = before;
      else after.before = before;
      // Whoever still holds this one must not hold all that came after it.
      place.before = undefined;
      place.after = undefined;
    },
  };
}
