import type { ServerResponse } from 'node:http';
import { relayErrorCodes } from './error-responses.ts';
import type { CallId } from './call-ids.ts';

/** The ends of a blank line, which ends an event (WHATWG HTML, section 9.2.6). */
const eventEnd = /(?:\n\n|\r\r|\r\n\r\n)$/;
/** The longest of them, in bytes. */
const eventEndBytes = 4;

/**
 * An event stream on its way to a client. The relay may add to it between two events: a comment while the agent is not
 * connected, and errors when the agent is lost.
 */
export class EventStream {
  readonly #response: ServerResponse;
  #tail = '\n\n';
  #hasEventIds = false;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  /** Sees what is written to the client. */
  watch(bytes: Buffer): void {
    const lastBytes = bytes.subarray(-eventEndBytes).toString('latin1');
    // An id, even if its line is split between two chunks: at worst that is not noticed.
    const startsLine = /[\n\r]$/.test(this.#tail);
    this.#hasEventIds ||= (startsLine && bytes.subarray(0, 3).equals(idField)) || bytes.includes(idLine);
    this.#tail = `${this.#tail}${lastBytes}`.slice(-eventEndBytes);
  }

  /** Sends a comment, so that no proxy takes the connection for a dead one. */
  keepAlive(): void {
    if (this.#mayWrite() && this.#response.writableLength === 0) this.#response.write(':\n\n');
  }

  /**
   * Ends the stream with an error for each of these calls. Returns false when it cannot: without a call, in the middle of an
   * event, or when the events have ids, so that the client can still get the response with Last-Event-ID.
   */
  fail(ids: readonly CallId[], message: string): boolean {
    if (ids.length === 0 || this.#hasEventIds || !this.#mayWrite()) return false;
    const error = { code: relayErrorCodes.agentLost, message };
    const events = ids.map((id) => `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', id, error })}\n\n`);
    this.#response.end(events.join(''));
    return true;
  }

  #mayWrite(): boolean {
    return eventEnd.test(this.#tail) && !this.#response.writableEnded && !this.#response.destroyed;
  }
}

const idField: Buffer = Buffer.from('id:');
const idLine: Buffer = Buffer.from('\nid:');

/** The event stream in a response whose headers are set, or undefined: something else, or nothing may be added to it. */
export function eventStreamIn(response: ServerResponse): EventStream | undefined {
  const type = String(response.getHeader('content-type') ?? '');
  const isEventStream = /^\s*text\/event-stream\s*(?:;|$)/i.test(type) && response.req.method !== 'HEAD';
  const isFixed = response.hasHeader('content-length') || response.hasHeader('content-encoding');
  return isEventStream && !isFixed ? new EventStream(response) : undefined;
}
