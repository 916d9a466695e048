import { EventEmitter } from 'node:events';
import type { OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http';
import { encodeHead } from '../protocol/heads.ts';
import { resetCodes, type MuxStream } from '../protocol/mux-stream.ts';

/**
 * The response to a TunnelRequest, as far as a handler sees it: like a ServerResponse of node:http. Emits `drain` when there is
 * room again after `write` has returned false, and `close` once: when all of it was passed on, or when its client or the tunnel
 * is gone.
 */
export class TunnelResponse extends EventEmitter {
  statusCode = 200;
  headersSent = false;
  readonly #stream: MuxStream;
  readonly #respond: (head: Buffer) => void;
  readonly #headers = new Map<string, OutgoingHttpHeader>();
  #isClosed = false;

  /** @param respond sends the head. */
  constructor(stream: MuxStream, respond: (head: Buffer) => void) {
    super();
    this.#stream = stream;
    this.#respond = respond;
  }

  /** Bytes that have not been sent. */
  get writableLength(): number {
    return this.#stream.pendingBytes;
  }

  setHeader(name: string, value: OutgoingHttpHeader): void {
    this.#headers.set(name.toLowerCase(), value);
  }

  /** Resets the stream if the head is too large. */
  writeHead(status: number, headers: OutgoingHttpHeaders = {}): void {
    if (this.headersSent) return;
    this.headersSent = true;
    this.statusCode = status;
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) this.setHeader(name, value);
    const raw: string[] = [];
    for (const [name, value] of this.#headers) {
      for (const each of Array.isArray(value) ? value : [value]) raw.push(name, String(each));
    }
    const head = encodeHead({ status, headers: raw });
    if (head === undefined) this.destroy();
    else this.#respond(head);
  }

  /** Returns false when the writer should wait for `drain`. */
  write(chunk: Buffer | string, encoding?: BufferEncoding): boolean {
    this.writeHead(this.statusCode);
    return this.#stream.write(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk);
  }

  /** All that is written in one turn is sent together, so there is nothing to collect. */
  cork(): void {}

  uncork(): void {}

  end(chunk?: Buffer | string, encoding?: BufferEncoding): void {
    if (chunk === undefined) this.writeHead(this.statusCode);
    else this.write(chunk, encoding);
    this.#stream.end();
  }

  /** Aborts the response, unless it is complete. */
  destroy(): void {
    this.#stream.reset(resetCodes.failed);
    this.close();
  }

  /** For the stream: it is over. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.emit('close');
  }
}
