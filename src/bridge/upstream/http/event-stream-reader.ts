import { createParser, type EventSourceMessage } from 'eventsource-parser';

import { edgeBytes, type OverlongLine } from '../../../process/line-splitter.ts';

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

const blankLine = '\n\n';

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
  /** The last line break was a carriage return; a line feed that follows belongs to it. */
  let endedWithReturn = false;

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
    // A blank line may be cut in the middle.
    const carry = tail.slice(1 - blankLine.length);
    const found = (carry + text).indexOf(blankLine);
    if (found === -1) {
      skipping = { ...skipping, size: skipping.size + size, tail: (tail + text).slice(-edgeBytes) };
      return;
    }
    const end = found + blankLine.length - carry.length;
    const last = (tail + text.slice(0, Math.max(0, found - carry.length))).slice(-edgeBytes);
    finishSkipping({ ...skipping, tail: last });
    parser.reset();
    head = '';
    if (end < text.length) feed(text.slice(end), size);
  }

  function finishSkipping(event: { size: number; head: string; tail: string }): void {
    skipping = undefined;
    const data = /^data: ?([^\n]*)/m.exec(event.head)?.[1] ?? '';
    onOverlong({ size: event.size, head: Buffer.from(data), tail: Buffer.from(event.tail.trimEnd()) });
  }

  /** Every kind of line break becomes the one that the parser reads fastest, and without waiting for more. */
  function withLineFeeds(text: string): string {
    const whole = endedWithReturn && text.startsWith('\n') ? text.slice(1) : text;
    endedWithReturn = text.endsWith('\r');
    return whole.includes('\r') ? whole.replaceAll(/\r\n?/g, '\n') : whole;
  }

  function take(text: string, size: number): void {
    if (text === '') return;
    if (skipping === undefined) feed(text, size);
    else skip(text, size);
  }

  return {
    push(chunk) {
      const text = decoder.decode(chunk, { stream: true });
      if (text !== '') take(withLineFeeds(text), chunk.length);
    },
    end() {
      if (skipping !== undefined) finishSkipping(skipping);
    },
  };
}

function firstOf(text: string): string {
  return text.slice(0, 2 * edgeBytes);
}

/** What has come of the event after the last complete one. */
function afterLastEvent(text: string): string {
  const at = text.lastIndexOf(blankLine);
  return at === -1 ? text : text.slice(at + blankLine.length);
}
