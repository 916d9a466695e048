import type { HttpResponse } from '../message.ts';

/** What may wait in a response for a client that does not read, in bytes, before its upstream is made to wait. */
const maxWaitingBytes = 64 * 1024;

export interface BackPressure {
  /** Whether the client has taken enough for more to be sent, or has gone. */
  isWritable(): boolean;
  /** Calls back once, when it is so again; at once when the client has gone already. */
  whenWritable(callback: () => void): void;
  /** Calls back when the response is over: complete, or its client has gone. */
  whenClosed(callback: () => void): void;
  /** Whether something waits and the client has taken none of it since the last time this was asked. */
  hasStalled(): boolean;
}

/** Follows how fast a client takes what is written into its response. */
export function watchBackPressure(response: HttpResponse): BackPressure {
  return new WatchedResponse(response);
}

/** A class, since each call has one: as closures it would take a kilobyte. */
class WatchedResponse implements BackPressure {
  readonly #response: HttpResponse;
  #isClosed = false;
  #isListening = false;
  #lastLength = 0;
  #waiting: (() => void)[] | undefined;
  #onClosed: (() => void)[] | undefined;

  constructor(response: HttpResponse) {
    this.#response = response;
    // It comes once; `once` would only cost more.
    response.on('close', () => {
      this.#isClosed = true;
      this.#release();
      for (const callback of this.#onClosed ?? []) callback();
    });
  }

  isWritable(): boolean {
    return this.#isClosed || this.#response.writableLength < maxWaitingBytes;
  }

  whenWritable(callback: () => void): void {
    if (this.#isClosed) {
      callback();
      return;
    }
    // Few responses are ever full: only those listen.
    if (!this.#isListening) this.#response.on('drain', () => this.#release());
    this.#isListening = true;
    (this.#waiting ??= []).push(callback);
  }

  whenClosed(callback: () => void): void {
    (this.#onClosed ??= []).push(callback);
  }

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
