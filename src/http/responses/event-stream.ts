import type { OutgoingHttpHeaders } from 'node:http';

import type { ByteText } from '../../platform/bytes.ts';
import { encodeComment, eventStreamType } from '../../mcp/sse.ts';
import { BackPressure } from './back-pressure.ts';
import type { HttpResponse } from '../message.ts';
import { commentBeats } from './keep-alive-timer.ts';

/** Proxies must neither buffer an event stream (X-Accel-Buffering is nginx's header for that) nor compress it. */
const eventStreamHeaders = {
  'content-type': eventStreamType,
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** Checks in a row, ten seconds apart, in which a client may read nothing before it is disconnected. */
const maxStalls = 6;

/** How much is collected before it is sent, in bytes: a slow client is noticed only by what has been sent. */
const maxUnsentBytes = 16 * 1024;

export interface EventStreamOptions {
  readonly headers?: OutgoingHttpHeaders | undefined;
  /** Pass it if the response is tracked already. */
  readonly backPressure?: BackPressure;
}

/** A response that is an event stream (WHATWG HTML §9.2). A resumed stream is another response. */
export class EventStream {
  readonly #response: HttpResponse;
  readonly #backPressure: BackPressure;
  #hasEnded = false;
  #silentBeats = 0;
  #stalls = 0;
  /** Chunks written in one turn are sent together: a server may write a thousand messages at once. */
  #unsent: (Buffer | ByteText)[] = [];
  #unsentBytes = 0;

  /** Writes the head of the response, which is sent with the first event or comment. */
  constructor(response: HttpResponse, { headers, backPressure }: EventStreamOptions = {}) {
    this.#response = response;
    this.#backPressure = backPressure ?? new BackPressure(response);
    response.writeHead(200, { ...eventStreamHeaders, ...headers });
  }

  /** False once it has been ended or its client has disconnected. */
  isOpen(): boolean {
    return !this.#hasEnded && !this.#backPressure.isClosed;
  }

  /**
   * Writes an encoded event or comment; in text, each character is one byte. Returns false when the client is slow, as
   * `MessageSink.send` does.
   */
  write(chunk: Buffer | ByteText): boolean {
    this.#silentBeats = 0;
    if (!this.isOpen()) return this.#backPressure.isWritable();
    if (this.#unsent.push(chunk) === 1) queueMicrotask(this.#flush);
    this.#unsentBytes += chunk.length;
    return this.isWritable();
  }

  isWritable(): boolean {
    if (this.#unsentBytes >= maxUnsentBytes) this.#flush();
    return this.#backPressure.isWritable();
  }

  /** Calls back once, when the client has read enough or has disconnected. */
  whenWritable(callback: () => void): void {
    this.#backPressure.whenWritable(callback);
  }

  /** Calls back when the connection has closed, whether or not the stream had been ended. */
  whenClosed(callback: () => void): void {
    this.#backPressure.whenClosed(callback);
  }

  end(last?: Buffer | ByteText): void {
    if (!this.isOpen()) return;
    this.#flush();
    this.#hasEnded = true;
    if (last === undefined) this.#response.end();
    else if (typeof last === 'string') this.#response.end(last, 'latin1');
    else this.#response.end(last);
  }

  /**
   * Called at each beat of the keep-alive timer: sends a comment if nothing was sent for some beats.
   * @param checksStalls also disconnects a client that has read nothing for six such calls. Default true.
   */
  keepAlive(checksStalls = true): void {
    if (!this.isOpen()) return;
    if (checksStalls) this.#stalls = this.#backPressure.hasStalled() ? this.#stalls + 1 : 0;
    if (this.#stalls >= maxStalls) this.#response.destroy();
    else if (++this.#silentBeats >= commentBeats) {
      this.#silentBeats = 0;
      this.#flush();
      this.#response.write(encodeComment('keep-alive'));
    }
  }

  /** One function per stream, since a method would need a closure for each microtask. */
  readonly #flush = (): void => {
    const chunks = this.#unsent;
    this.#unsent = [];
    this.#unsentBytes = 0;
    if (!this.isOpen() || chunks.length === 0) return;
    const content = joined(chunks);
    if (typeof content === 'string') this.#response.write(content, 'latin1');
    else this.#response.write(content);
  };
}

function joined(chunks: readonly (Buffer | ByteText)[]): Buffer | ByteText {
  if (chunks.every((chunk) => typeof chunk === 'string')) return chunks.join('');
  return Buffer.concat(chunks.map((chunk) => (typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk)));
}
