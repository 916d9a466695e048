import type { OutgoingHttpHeaders } from 'node:http';

import type { ByteText } from '../../platform/bytes.ts';
import { encodeComment, eventStreamType } from '../../mcp/sse.ts';
import { watchBackPressure, type BackPressure } from './back-pressure.ts';
import { cutOff, type HttpResponse } from '../message.ts';
import { commentBeats } from './keep-alive-timer.ts';

/** Proxies must neither hold an event stream back (nginx's word for it) nor compress it. */
const eventStreamHeaders = {
  'content-type': eventStreamType,
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** Looks at a client that takes nothing, ten seconds apart, before it is taken for gone: asleep, or on another network. */
const maxStalls = 6;

/** As much is put together before it is sent, in bytes: the client's slowness shows only in what has been sent. */
const maxUnsentBytes = 16 * 1024;

/** A response that is an event stream (WHATWG HTML §9.2): one connection, be the stream resumed on another one or not. */
export interface EventStream {
  /** False once it has been ended or its client has gone. */
  isOpen(): boolean;
  /** Writes an event or a comment, encoded; in text each character is a byte. Returns false when the client is slow, as `MessageSink.send` does. */
  write(chunk: Buffer | ByteText): boolean;
  isWritable(): boolean;
  /** Calls back once, when the client has taken enough or has gone. */
  whenWritable(callback: () => void): void;
  /** Calls back when the connection has gone, whether it had been ended or not. */
  whenClosed(callback: () => void): void;
  end(last?: Buffer | ByteText): void;
  /**
   * Called at each beat of the pulse: sends a comment when nothing was sent for some beats.
   * @param checksStalls also cuts a client off that has taken nothing for six such calls. Default true.
   */
  keepAlive(checksStalls?: boolean): void;
}

export interface EventStreamOptions {
  readonly headers?: OutgoingHttpHeaders | undefined;
  /** Where the response is watched already. */
  readonly backPressure?: BackPressure;
}

/** Begins an event stream: the head of the response is written, and goes out with the first event or comment. */
export function createEventStream(response: HttpResponse, options: EventStreamOptions = {}): EventStream {
  const { headers, backPressure = watchBackPressure(response) } = options;
  let open = true;
  let silentBeats = 0;
  let stalls = 0;
  /** What is written in one turn goes out in one piece: a server may say a thousand things at once. */
  let unsent: (Buffer | ByteText)[] = [];
  let unsentBytes = 0;

  function flush(): void {
    const chunks = unsent;
    unsent = [];
    unsentBytes = 0;
    if (!open || chunks.length === 0) return;
    const content = joined(chunks);
    if (typeof content === 'string') response.write(content, 'latin1');
    else response.write(content);
  }

  function isWritable(): boolean {
    if (unsentBytes >= maxUnsentBytes) flush();
    return backPressure.isWritable();
  }

  response.once('close', () => (open = false));
  response.writeHead(200, { ...eventStreamHeaders, ...headers });

  return {
    isOpen: () => open,
    write(chunk) {
      silentBeats = 0;
      if (!open) return backPressure.isWritable();
      if (unsent.push(chunk) === 1) queueMicrotask(flush);
      unsentBytes += chunk.length;
      return isWritable();
    },
    isWritable,
    whenWritable: (callback) => backPressure.whenWritable(callback),
    whenClosed: (callback) => void response.once('close', callback),
    end(last) {
      if (!open) return;
      flush();
      open = false;
      if (last === undefined) response.end();
      else if (typeof last === 'string') response.end(last, 'latin1');
      else response.end(last);
    },
    keepAlive(checksStalls = true) {
      if (!open) return;
      if (checksStalls) stalls = backPressure.hasStalled() ? stalls + 1 : 0;
      if (stalls >= maxStalls) cutOff(response);
      else if (++silentBeats >= commentBeats) {
        silentBeats = 0;
        flush();
        response.write(encodeComment('keep-alive'));
      }
    },
  };
}

function joined(chunks: readonly (Buffer | ByteText)[]): Buffer | ByteText {
  if (chunks.every((chunk) => typeof chunk === 'string')) return chunks.join('');
  return Buffer.concat(chunks.map((chunk) => (typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk)));
}
