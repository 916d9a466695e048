import { createParser, type EventSourceMessage } from 'eventsource-parser';

import { edgeBytes, type OverlongLine } from '../line-splitter.ts';

export interface EventStreamReaderOptions {
  /** Longest event in bytes; a longer one is not kept. */
  readonly maxBytes: number;
  readonly onEvent: (event: EventSourceMessage) => void;
  /** The server says how long to wait before the next connection, in milliseconds. */
  readonly onRetry: (retryMs: number) => void;
  /** An event was too long; `head` begins with its data. Told when it has come to its end. */
  readonly onOverlong: (event: OverlongLine) => void;
}

export interface EventStreamReader {
  push(chunk: Buffer): void;
  /** The stream is over: an event that is not complete is dropped (WHATWG HTML §9.2.6). */
  end(): void;
}

const blankLine = /(?:\r\n|\n|\r(?!\n)){2}/g;

/** Enough of what came before to see a blank line that is cut in the middle. */
const carryLength = 3;

/**
 * Reads server-sent events (WHATWG HTML §9.2) from bytes, however they are cut. The parser gives up on an event that is
 * too long; this goes on behind it, so that one huge message costs no other.
 */
export function createEventStreamReader(options: EventStreamReaderOptions): EventStreamReader {
  const { maxBytes, onEvent, onRetry, onOverlong } = options;
  // Takes the byte order mark off, and puts together characters that are cut between two chunks.
  const decoder = new TextDecoder();
  /** The beginning of the event that is under way, to tell whose answer it is when it turns out to be too long. */
  let head = '';
  let events = 0;
  let overflown = false;
  let skipping: { size: number; head: string; tail: string } | undefined;
  let endsWithReturn = false;

  const parser = createParser({
    // It counts UTF-16 units, of which there are never more than bytes.
    maxBufferSize: maxBytes,
    onEvent(event) {
      events++;
      onEvent(event);
    },
    onRetry,
    onError({ type }) {
      overflown ||= type === 'max-buffer-size-exceeded';
    },
  });

  function feed(text: string, size: number): void {
    const before = events;
    parser.feed(text);
    head = events === before ? firstOf(head + text.slice(0, 2 * edgeBytes)) : firstOf(afterLastEvent(text));
    if (!overflown) return;
    overflown = false;
    skipping = { size: maxBytes + size, head, tail: text.slice(-edgeBytes) };
  }

  function skip(text: string, size: number): void {
    if (skipping === undefined) return;
    const { tail } = skipping;
    const carry = tail.slice(-carryLength);
    blankLine.lastIndex = 0;
    const found = blankLine.exec(carry + text);
    if (found === null) {
      skipping = { ...skipping, size: skipping.size + size, tail: (tail + text).slice(-edgeBytes) };
      return;
    }
    const end = Math.max(0, found.index + found[0].length - carry.length);
    const last = (tail + text.slice(0, Math.max(0, found.index - carry.length))).slice(-edgeBytes);
    finishSkipping({ ...skipping, tail: last });
    parser.reset();
    head = '';
    if (end < text.length) feed(text.slice(end), size);
  }

  function finishSkipping(event: { size: number; head: string; tail: string }): void {
    skipping = undefined;
    const data = /^data: ?([^\r\n]*)/m.exec(event.head)?.[1] ?? '';
    onOverlong({ size: event.size, head: Buffer.from(data), tail: Buffer.from(event.tail.trimEnd()) });
  }

  function take(text: string, size: number): void {
    if (text === '') return;
    endsWithReturn = text.endsWith('\r');
    if (skipping === undefined) feed(text, size);
    else skip(text, size);
  }

  return {
    push: (chunk) => take(decoder.decode(chunk, { stream: true }), chunk.length),
    end() {
      // The parser waits whether a line feed belongs to the last carriage return.
      if (endsWithReturn && skipping === undefined) parser.feed('\n');
      if (skipping !== undefined) finishSkipping(skipping);
    },
  };
}

function firstOf(text: string): string {
  return text.slice(0, 2 * edgeBytes);
}

/** What has come of the event after the last complete one. */
function afterLastEvent(text: string): string {
  let start = 0;
  for (const end of ['\n\n', '\r\n\r\n', '\r\r']) {
    const at = text.lastIndexOf(end);
    if (at !== -1) start = Math.max(start, at + end.length);
  }
  return text.slice(start);
}
