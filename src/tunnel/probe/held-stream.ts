import type { MarkerResponse } from './probe-marker.ts';

/**
 * An event stream of which this process sends the beginning and keeps the end back until the beginning has arrived, which
 * shows whether the tunnel delivers a stream as it is written.
 */
export class HeldStream {
  readonly #holdMs: number;
  #hasArrived = false;
  #isBuffered = false;
  #end = (): void => {};

  /** @param holdMs how long the beginning may take to arrive, in milliseconds. */
  constructor(holdMs: number) {
    this.#holdMs = holdMs;
  }

  /** Whether the beginning did not arrive in time. False when the request was lost, which shows nothing. */
  get isBuffered(): boolean {
    return this.#isBuffered;
  }

  /** The far end has received the first bytes. */
  arrived(): void {
    this.#hasArrived = true;
    this.#end();
  }

  readonly respond: MarkerResponse = (request, response) => {
    let isClosed = false;
    request.resume();
    response.on('error', () => {});
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    // Without a callback, whose type differs between the two kinds of responses.
    const output: { write(chunk: string): boolean } = response;
    output.write(': probe\n\ndata: {}\n\n');
    this.#end = () => {
      clearTimeout(timer);
      response.end('data: {}\n\n');
    };
    const giveUp = (): void => {
      this.#isBuffered = !this.#hasArrived && !isClosed;
      this.#end();
    };
    // Read what has come in meanwhile first: the machine may have been asleep.
    const timer = setTimeout(() => setImmediate(giveUp), this.#holdMs);
    response.once('close', () => {
      isClosed = true;
      clearTimeout(timer);
    });
  };
}
