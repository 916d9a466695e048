import { gather, type Bytes } from '../bytes.ts';

/** What may be kept of one session's events, in bytes: a minute of a chatty server, not its whole day. */
const defaultMaxSessionBytes = 8 * 1024 * 1024;

/** What may be kept of the events of all sessions, in bytes. */
const defaultMaxBytes = 64 * 1024 * 1024;

/** What an event costs beside its message, in bytes: its record, and its places in the books. */
const overheadBytes = 512;

/** A message is copied when it is a smaller part than this of the memory it was read into, so that the rest can go. */
const leastPart = 1 / 4;

/** Told when an event of its has made room for others. */
export interface EventOwner {
  onDropped(number: number): void;
}

export interface KeptEvent {
  readonly message: Bytes;
  /** Takes it out of the store. Its owner is not told. Harmless when it is out already. */
  forget(): void;
}

/** The events of one session, those of all its streams. */
export interface Shelf {
  /** Keeps an event. What is too large for the store, or comes after `clear`, is dropped at once: undefined. */
  keep(message: Bytes, owner: EventOwner, number: number): KeptEvent | undefined;
  /** Forgets everything, for ever. No owner is told. */
  clear(): void;
}

export interface EventStore {
  /** Room for the events of another session. */
  openShelf(): Shelf;
}

export interface EventStoreOptions {
  /** Default 64 MiB. */
  readonly maxBytes?: number | undefined;
  /** Default 8 MiB. */
  readonly maxSessionBytes?: number | undefined;
}

interface StoredEvent extends KeptEvent {
  readonly size: number;
  readonly owner: EventOwner;
  readonly number: number;
  /** The session's. */
  readonly books: Books;
  readonly inAll: Neighbours;
  readonly inSession: Neighbours;
  isStored: boolean;
}

interface Neighbours {
  before: StoredEvent | undefined;
  after: StoredEvent | undefined;
}

/** Events in the order in which they came. */
interface Books {
  readonly bytes: number;
  oldest(): StoredEvent | undefined;
  add(event: StoredEvent): void;
  remove(event: StoredEvent): void;
}

/**
 * Keeps what was sent on event streams for clients that lose their connection (MCP 2025-11-25, Streamable HTTP,
 * "Resumability and Redelivery"). When there is too much, the oldest makes room: the oldest of the session that has too
 * much, or of all sessions. An event costs the same, however many there are; its bytes are shared with the message.
 */
export function createEventStore(options: EventStoreOptions = {}): EventStore {
  const { maxBytes = defaultMaxBytes, maxSessionBytes = defaultMaxSessionBytes } = options;
  const all = createBooks('inAll');

  function forget(event: StoredEvent): void {
    if (!event.isStored) return;
    event.isStored = false;
    all.remove(event);
    event.books.remove(event);
  }

  function makeRoom(books: Books, max: number): void {
    while (books.bytes > max) {
      const oldest = books.oldest();
      if (oldest === undefined) return;
      forget(oldest);
      oldest.owner.onDropped(oldest.number);
    }
  }

  return {
    openShelf() {
      const books = createBooks('inSession');
      let cleared = false;
      return {
        keep(message, owner, number) {
          const size = message.length + overheadBytes;
          if (cleared || size > maxSessionBytes || size > maxBytes) {
            owner.onDropped(number);
            return undefined;
          }
          const event: StoredEvent = {
            message: unpinned(message),
            forget: () => forget(event),
            size,
            owner,
            number,
            books,
            inAll: { before: undefined, after: undefined },
            inSession: { before: undefined, after: undefined },
            isStored: true,
          };
          all.add(event);
          books.add(event);
          makeRoom(books, maxSessionBytes);
          makeRoom(all, maxBytes);
          return event;
        },
        clear() {
          cleared = true;
          for (let event = books.oldest(); event !== undefined; event = books.oldest()) forget(event);
        },
      };
    },
  };
}

/** A copy of what would otherwise keep much more than itself in memory. */
function unpinned(message: Bytes): Bytes {
  if (!Buffer.isBuffer(message)) return gather(message.pieces.map(unpinnedPiece), message.length);
  return unpinnedPiece(message);
}

function unpinnedPiece(piece: Buffer): Buffer {
  return piece.length < piece.buffer.byteLength * leastPart ? Buffer.from(piece) : piece;
}

function createBooks(place: 'inAll' | 'inSession'): Books {
  let first: StoredEvent | undefined;
  let last: StoredEvent | undefined;
  let bytes = 0;
  return {
    get bytes() {
      return bytes;
    },
    oldest: () => first,
    add(event) {
      bytes += event.size;
      event[place].before = last;
      if (last === undefined) first = event;
      else last[place].after = event;
      last = event;
    },
    remove(event) {
      bytes -= event.size;
      const { before, after } = event[place];
      if (before === undefined) first = after;
      else before[place].after = after;
      if (after === undefined) last = before;
      else after[place].before = before;
      // Whoever still holds this one must not hold all that came after it.
      event[place].before = undefined;
      event[place].after = undefined;
    },
  };
}
