import type { HttpResponse } from '../message.ts';

/** How much may be buffered in a response, in bytes, before the upstream has to wait for the client. */
const maxBufferedBytes = 64 * 1024;

/** Tracks how fast a client reads a response, and when the response closes. A class, since each call has one. */
export class BackPressure {
  readonly #response: HttpResponse;
  /** Whether the response is complete, or its client has disconnected. */
  isClosed = false;
  #isListening = false;
  #lastLength = 0;
  #waiting: (() => void)[] | undefined;
  #onClosed: (() => void)[] | undefined;

  constructor(response: HttpResponse) {
    this.#response = response;
    // The event comes once, so `once` would only cost more.
    response.on('close', () => {
      this.isClosed = true;
      this.#release();
      for (const callback of this.#onClosed ?? []) callback();
    });
  }

  /** Whether more can be sent: the client has read enough, or has disconnected. */
  isWritable(): boolean {
    return this.isClosed || this.#response.writableLength < maxBufferedBytes;
  }

  /** Calls back once, when the response is writable again; immediately if it is closed. */
  whenWritable(callback: () => void): void {
    if (this.isClosed) {
      callback();
      return;
    }
    // Few responses ever fill their buffer: only those listen.
    if (!this.#isListening) this.#response.on('drain', () => this.#release());
    this.#isListening = true;
    (this.#waiting ??= []).push(callback);
  }

  /** Calls back when the response closes. */
  whenClosed(callback: () => void): void {
    (this.#onClosed ??= []).push(callback);
  }

  /** Whether data is waiting and the client has read none of it since the previous call of this method. */
  hasStalled(): boolean {
    const { writableLength } = this.#response;
    const stalled = !this.isWritable() && writableLength >= this.#lastLength && this.#lastLength > 0;
    this.#lastLength = writableLength;
    return stalled;
  }

  #release(): void {
    const released = this.#waiting;
    this.#waiting = undefined;
    for (const callback of released ?? []) callback();
  }
}
