import { maxReplayBytes, replayMessageCost } from './limits.ts';

/** Freed places in the array before it is shortened. */
const maxFreedPlaces = 1_024;

/** What has been sent and not been acknowledged, in order and by reference, so that it can be sent again on another socket. */
export class ReplayBuffer {
  #messages: Buffer[] = [];
  /** Index of the first message that is kept. */
  #first = 0;
  /** Index of the next message to send on the current socket. */
  #next = 0;
  /** Offset of the first kept byte, and of the first one that was not sent on the current socket. */
  #start = 0;
  #sentTo = 0;
  /** Offset behind the last byte. */
  #end = 0;
  #cost = 0;

  /** Whether one more message of this length may be kept; at least one always may. */
  hasRoomFor(length: number): boolean {
    return this.#cost === 0 || this.#cost + length + replayMessageCost <= maxReplayBytes;
  }

  /** A new message, which is being sent. Only while nothing is to be sent again. */
  add(message: Buffer): void {
    this.#messages.push(message);
    this.#cost += message.length + replayMessageCost;
    this.#end += message.length;
    this.sent();
  }

  /** The next message to send again, or undefined; `sent` moves on to the one after it. */
  get next(): Buffer | undefined {
    return this.#messages[this.#next];
  }

  sent(): void {
    this.#sentTo += this.next?.length ?? 0;
    this.#next += 1;
  }

  /** Whether all bytes from this offset on are here. */
  has(offset: number): boolean {
    return offset >= this.#start && offset <= this.#end;
  }

  /** Frees what the peer has received. Returns false when it cannot have received that much. */
  acknowledge(received: number): boolean {
    if (received > this.#sentTo) return false;
    for (;;) {
      const message = this.#messages[this.#first];
      if (message === undefined || this.#start + message.length > received) break;
      this.#messages[this.#first] = empty;
      this.#first += 1;
      this.#start += message.length;
      this.#cost -= message.length + replayMessageCost;
    }
    if (this.#first > maxFreedPlaces && 2 * this.#first > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#first);
      this.#next -= this.#first;
      this.#first = 0;
    }
    return true;
  }

  /** Continues at this offset, on another socket. @throws RangeError when the bytes are not here. */
  rewind(offset: number): void {
    if (!this.has(offset)) throw new RangeError(`bytes from ${offset} on are not kept`);
    this.#sentTo = this.#end;
    this.acknowledge(offset);
    this.#next = this.#first;
    this.#sentTo = offset;
    const message = this.#messages[this.#first];
    if (message === undefined || offset === this.#start) return;
    // The peer has a part of this message.
    const rest = message.subarray(offset - this.#start);
    this.#messages[this.#first] = rest;
    this.#cost -= message.length - rest.length;
    this.#start = offset;
  }
}

const empty: Buffer = Buffer.alloc(0);
