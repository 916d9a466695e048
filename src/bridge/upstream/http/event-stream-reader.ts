import { isUtf8 } from 'node:buffer';

import { PieceCollector } from '../../../platform/bytes.ts';
import { edgeBytes, type OverlongLine } from '../../../platform/process/line-splitter.ts';

/** One event, as the server sent it. */
export interface ServerSentEvent {
  readonly id?: string | undefined;
  /** Its name, if it has one. */
  readonly event?: string | undefined;
  readonly data: Buffer;
}

export interface EventStreamReaderOptions {
  /** Longest event in bytes; a longer one is dropped. */
  readonly maxBytes: number;
  readonly onEvent: (event: ServerSentEvent) => void;
  /** The server says how long to wait before the next connection, in milliseconds. */
  readonly onRetry: (retryMs: number) => void;
  /** Called when an event becomes too long, and again at its end, which may never come. `head` and `tail` are of its data. */
  readonly onOverlong: (event: OverlongLine, isOver: boolean) => void;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const colon = 0x3a;
const blank = 0x20;
const byteOrderMark: Buffer = Buffer.from('\uFEFF');
const nothing: Buffer = Buffer.alloc(0);
const lineBreak: Buffer = Buffer.from('\n');

/** The longest known field, with its colon and the space after it. */
const longestField = 'retry: '.length;

/**
 * Reads server-sent events (WHATWG HTML §9.2) from bytes in any pieces. Memory per event is bounded by its size, however
 * many lines it has.
 */
export class EventStreamReader {
  readonly #options: EventStreamReaderOptions;
  /** The start of the stream, until it is known whether it is a byte order mark. */
  #start: Buffer | undefined = nothing;
  /** The last chunk ended with a carriage return; a line feed that follows is part of the same line break. */
  #endedWithReturn = false;
  /** The beginning of a line, until its field is known. */
  #begin: Buffer = nothing;
  #field: string | undefined;
  /** The value of a line that is not data. */
  #value = new PieceCollector();
  #data = new PieceCollector();
  #hasData = false;
  #id: string | undefined;
  #event: string | undefined;
  #overlong: { size: number; head: Buffer; tail: Buffer } | undefined;

  constructor(options: EventStreamReaderOptions) {
    this.#options = options;
  }

  push(given: Buffer): void {
    const chunk = this.#start === undefined ? given : this.#withoutMark(this.#start, given);
    if (chunk.length === 0) return;
    let start = this.#endedWithReturn && chunk[0] === lineFeed ? 1 : 0;
    this.#endedWithReturn = false;
    let feed = chunk.indexOf(lineFeed, start);
    let carriage = chunk.indexOf(carriageReturn, start);
    while (feed !== -1 || carriage !== -1) {
      const isFeed = carriage === -1 || (feed !== -1 && feed < carriage);
      const end = isFeed ? feed : carriage;
      this.#take(chunk.subarray(start, end), true);
      start = end + 1;
      if (!isFeed && chunk[start] === lineFeed) start++;
      else if (!isFeed && start === chunk.length) this.#endedWithReturn = true;
      if (feed !== -1 && feed < start) feed = chunk.indexOf(lineFeed, start);
      if (carriage !== -1 && carriage < start) carriage = chunk.indexOf(carriageReturn, start);
    }
    if (start < chunk.length) this.#take(chunk.subarray(start), false);
  }

  #withoutMark(before: Buffer, chunk: Buffer): Buffer {
    const start = Buffer.concat([before, chunk]);
    const length = Math.min(start.length, byteOrderMark.length);
    if (!start.subarray(0, length).equals(byteOrderMark.subarray(0, length))) {
      this.#start = undefined;
      return start;
    }
    this.#start = length < byteOrderMark.length ? start : undefined;
    return start.subarray(length);
  }

  /** @param isEnd the line ends with this part. */
  #take(part: Buffer, isEnd: boolean): void {
    if (this.#field !== undefined) {
      this.#add(this.#field, part);
    } else {
      const begin = this.#begin.length === 0 ? part : Buffer.concat([this.#begin, part]);
      if (begin.length === 0 && isEnd) {
        this.#endEvent();
        return;
      }
      if (begin.length < longestField && !isEnd) {
        this.#begin = begin;
        return;
      }
      this.#beginLine(begin);
    }
    if (isEnd) this.#endLine();
  }

  #beginLine(begin: Buffer): void {
    const end = begin.subarray(0, longestField).indexOf(colon);
    const nameEnd = end === -1 ? begin.length : end;
    const field = nameEnd < longestField ? begin.toString('latin1', 0, nameEnd) : '';
    this.#field = field;
    if (field === 'data') {
      if (this.#hasData) this.#add(field, lineBreak);
      this.#hasData = true;
    }
    const valueStart = begin[nameEnd + 1] === blank ? nameEnd + 2 : nameEnd + 1;
    if (valueStart < begin.length) this.#add(field, begin.subarray(valueStart));
  }

  #add(field: string, part: Buffer): void {
    const overlong = this.#overlong;
    if (overlong !== undefined) {
      overlong.size += part.length;
      if (field === 'data') overlong.tail = lastBytes(overlong.tail, part);
      return;
    }
    if (field === 'data') this.#data.push(part);
    else if (field === 'event' || field === 'id' || field === 'retry') this.#value.push(part);
    const size = this.#data.length + this.#value.length;
    if (size <= this.#options.maxBytes) return;
    const data = this.#data.takeWhole();
    this.#value.take();
    // Copied, so that the rest can be freed.
    const head = Buffer.from(data.subarray(0, edgeBytes));
    this.#overlong = { size, head, tail: Buffer.from(data.subarray(-edgeBytes)) };
    this.#options.onOverlong({ ...this.#overlong }, false);
  }

  #endLine(): void {
    const field = this.#field;
    this.#field = undefined;
    this.#begin = nothing;
    if (field === 'data') return;
    const value = this.#value.takeWhole().toString();
    if (field === 'event') this.#event = value === '' ? undefined : value;
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) this.#options.onRetry(Number(value));
  }

  #endEvent(): void {
    const overlong = this.#overlong;
    const event = { id: this.#id, event: this.#event };
    const hasData = this.#hasData;
    const data = this.#data.takeWhole();
    this.#overlong = undefined;
    this.#hasData = false;
    this.#id = undefined;
    this.#event = undefined;
    if (overlong !== undefined) this.#options.onOverlong(overlong, true);
    else if (hasData) this.#options.onEvent({ ...event, data: isUtf8(data) ? data : Buffer.from(data.toString()) });
  }
}

/** Copied, so that the rest of the part can be freed. */
function lastBytes(before: Buffer, part: Buffer): Buffer {
  return Buffer.concat([before, part.subarray(-edgeBytes)]).subarray(-edgeBytes);
}
