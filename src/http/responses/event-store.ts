import { gather, type Bytes, type ByteText } from '../../platform/bytes.ts';

/** How much of one session's events is stored, in bytes: a minute of a busy server, not a whole day. */
const defaultMaxSessionBytes = 8 * 1024 * 1024;

/** How much of the events of all sessions is stored, in bytes. */
const defaultMaxBytes = 64 * 1024 * 1024;

/** What an event costs in addition to its message, in bytes: its record and its list entries. */
const overheadBytes = 512;

/** A message that is a smaller part than this of its memory block is copied, so that the block can be freed. */
const leastPart = 1 / 4;

export interface EventOwner {
  /** Called when an event has been dropped to make room. */
  onDropped(number: number): void;
}

export interface EventStoreOptions {
  /** Default 64 MiB. */
  readonly maxBytes?: number | undefined;
  /** Default 8 MiB. */
  readonly maxSessionBytes?: number | undefined;
}

/**
 * Stores events for clients that lose their connection (MCP 2025-11-25, Streamable HTTP, "Resumability and
 * Redelivery"). The oldest event is dropped when its session, or all sessions together, exceed their limit. Storing an
 * event takes constant time; a long event shares its bytes with the message.
 */
export class EventStore {
  readonly #all: EventList;
  readonly #maxSessionBytes: number;

  constructor({ maxBytes = defaultMaxBytes, maxSessionBytes = defaultMaxSessionBytes }: EventStoreOptions = {}) {
    this.#all = new EventList(maxBytes);
    this.#maxSessionBytes = maxSessionBytes;
  }

  /** Opens a buffer for the events of another session. */
  openBuffer(): SessionBuffer {
    return new SessionBuffer(this.#all, new EventList(this.#maxSessionBytes));
  }
}

/** The events of one session, on all its streams. */
export class SessionBuffer {
  readonly #all: EventList;
  readonly #own: EventList;
  #isCleared = false;

  constructor(all: EventList, own: EventList) {
    this.#all = all;
    this.#own = own;
  }

  /** Stores an event. One that is too large, or comes after `clear`, is dropped at once: the result is undefined. */
  keep(message: Bytes | ByteText, owner: EventOwner, number: number): KeptEvent | undefined {
    const size = message.length + overheadBytes;
    if (this.#isCleared || size > this.#own.maxBytes || size > this.#all.maxBytes) {
      owner.onDropped(number);
      return undefined;
    }
    const event = new KeptEvent(message, owner, number, this.#all, this.#own);
    this.#own.makeRoom();
    this.#all.makeRoom();
    return event;
  }

  /** Removes everything and stores nothing more. Owners are not notified. */
  clear(): void {
    this.#isCleared = true;
    for (let { oldest } = this.#own; oldest !== undefined; { oldest } = this.#own) oldest.forget();
  }
}

export class KeptEvent {
  readonly message: Bytes | ByteText;
  readonly size: number;
  readonly owner: EventOwner;
  readonly number: number;
  readonly #entries: readonly [Entry, Entry];
  #isStored = true;

  constructor(message: Bytes | ByteText, owner: EventOwner, number: number, all: EventList, own: EventList) {
    this.message = unpinned(message);
    this.size = message.length + overheadBytes;
    this.owner = owner;
    this.number = number;
    this.#entries = [all.add(this), own.add(this)];
  }

  /** Removes it from the store, if it is still there. The owner is not notified. */
  forget(): void {
    if (!this.#isStored) return;
    this.#isStored = false;
    for (const entry of this.#entries) entry.list.remove(entry);
  }
}

/** Events, oldest first, in a doubly linked ring. */
class EventList {
  readonly maxBytes: number;
  readonly #ends = new Entry(this);
  #bytes = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get oldest(): KeptEvent | undefined {
    return this.#ends.after.event;
  }

  add(event: KeptEvent): Entry {
    const entry = new Entry(this, event);
    entry.after = this.#ends;
    entry.before = this.#ends.before;
    entry.before.after = entry;
    this.#ends.before = entry;
    this.#bytes += event.size;
    return entry;
  }

  remove(entry: Entry): void {
    entry.before.after = entry.after;
    entry.after.before = entry.before;
    // A reference to a removed entry must not keep all later entries in memory.
    entry.before = entry;
    entry.after = entry;
    this.#bytes -= entry.event?.size ?? 0;
  }

  makeRoom(): void {
    for (let { oldest } = this; oldest !== undefined && this.#bytes > this.maxBytes; { oldest } = this) {
      oldest.forget();
      oldest.owner.onDropped(oldest.number);
    }
  }
}

class Entry {
  readonly list: EventList;
  /** Undefined for the ends of the ring. */
  readonly event: KeptEvent | undefined;
  before: Entry = this;
  after: Entry = this;

  constructor(list: EventList, event?: KeptEvent) {
    this.list = list;
    this.event = event;
  }
}

/** The message in memory that holds little else. */
function unpinned(message: Bytes | ByteText): Bytes | ByteText {
  if (typeof message === 'string') return message;
  if (Buffer.isBuffer(message)) return unpinnedPiece(message);
  return gather(message.pieces.map(unpinnedPiece), message.length);
}

function unpinnedPiece(piece: Buffer): Buffer {
  return piece.length < piece.buffer.byteLength * leastPart ? Buffer.from(piece) : piece;
}
