import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import type { RequestHead } from '../protocol/heads.ts';
import { resetCodes, type MuxStream } from '../protocol/mux-stream.ts';

/** Headers of a request that are not lists: as in node:http, the first value counts. */
const singleValue: ReadonlySet<string> = new Set([
  'authorization',
  'content-length',
  'content-type',
  'host',
  'user-agent',
]);

/** A request that came through the tunnel, as far as a handler sees it: like an IncomingMessage of node:http. */
export class TunnelRequest extends Readable {
  /** The end of a response does not close the connection: as in HTTP/2, and not as in HTTP/1.1. */
  readonly httpVersionMajor = 2;
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingHttpHeaders;
  /** The relay's address says nothing about the client. */
  readonly socket: { readonly remoteAddress: undefined } = noSocket;
  /** Whether all of it has come. */
  complete: boolean;
  readonly #stream: MuxStream;
  /** Received bytes that nobody has read. */
  #unreadBytes = 0;

  constructor(stream: MuxStream, { method, path, headers }: RequestHead) {
    super();
    this.#stream = stream;
    // Without a body, its end came with the head.
    this.complete = stream.isReceived;
    this.method = method;
    this.url = path;
    this.rawHeaders = headers;
    this.headers = joinHeaders(headers);
  }

  /** For the stream: bytes of the body. */
  receive(bytes: Buffer): void {
    if (this.destroyed) return;
    this.#unreadBytes += bytes.length;
    if (this.push(bytes)) this.#release();
  }

  /** For the stream: the end of the body. */
  finish(): void {
    this.complete = true;
    if (!this.destroyed) this.push(null);
  }

  override _read(): void {
    this.#release();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (!this.complete) this.#stream.reset(resetCodes.cancelled);
    callback(error);
  }

  #release(): void {
    this.#stream.consumed(this.#unreadBytes);
    this.#unreadBytes = 0;
  }
}

const noSocket = { remoteAddress: undefined };

/** Repeated headers become lists (RFC 9110, section 5.3). */
function joinHeaders(rawHeaders: readonly string[]): IncomingHttpHeaders {
  const headers = new Map<string, string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    const value = rawHeaders[at + 1] ?? '';
    const present = headers.get(name);
    if (present === undefined) headers.set(name, value);
    else if (!singleValue.has(name)) headers.set(name, `${present}${name === 'cookie' ? '; ' : ', '}${value}`);
  }
  // fromEntries defines own properties, so even a header named __proto__ stays a header.
  return Object.fromEntries(headers);
}
