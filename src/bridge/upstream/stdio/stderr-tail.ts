import { StringDecoder } from 'node:string_decoder';

import { sanitize } from '../../../platform/text/sanitize.ts';

/** How much of a server's standard error is kept for the message about its end. */
const maxTailLines = 20;
/** Longest part of a line that is shown or kept; a server that never ends its line cannot fill our memory. */
const maxLineLength = 2000;

export interface StderrTail {
  push(chunk: Buffer): void;
  /** Shows what is left of an unfinished line. */
  end(): void;
  /** The last lines, joined by line breaks, without control characters. */
  text(): string;
}

/** Follows a server's standard error: hands each line to `onLine` as it is complete and keeps the last ones. */
export function createStderrTail(onLine: (line: string) => void): StderrTail {
  const decoder = new StringDecoder('utf8');
  const lines: string[] = [];
  let rest = '';

  function add(line: string): void {
    const clean = sanitize(line).slice(0, maxLineLength);
    if (clean.trim() === '') return;
    lines.push(clean);
    if (lines.length > maxTailLines) lines.shift();
    onLine(clean);
  }

  return {
    push(chunk) {
      const [first = '', ...more] = decoder.write(chunk).split('\n');
      // Bounded: what is longer than a line may be is dropped here already.
      rest = (rest + first).slice(0, maxLineLength * 2);
      for (const next of more) {
        add(rest);
        rest = next;
      }
    },
    end() {
      add(rest);
      rest = '';
    },
    text: () => lines.join('\n'),
  };
}
