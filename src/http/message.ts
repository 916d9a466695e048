import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

/** What is used here of requests, both of node:http and of node:http2's compatibility API. */
export interface HttpRequest extends Readable {
  readonly httpVersionMajor: number;
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** Alternating names and values, as received. */
  readonly rawHeaders: readonly string[];
  readonly complete: boolean;
  /** The client disconnected or reset the stream before the response. */
  readonly aborted?: boolean;
  readonly socket: Socket;
  /** HTTP/2 only. */
  readonly stream?: { close(code: number): void };
}

/** What is used here of responses. With HTTP/2, they are not streams: they have neither `closed` nor `destroyed`. */
export interface HttpResponse {
  readonly headersSent: boolean;
  /** Bytes that have not been passed to the system yet. */
  readonly writableLength: number;
  /** Adds to the headers that `writeHead` sends. */
  setHeader(name: string, value: string): unknown;
  writeHead(status: number, headers: OutgoingHttpHeaders): unknown;
  write(chunk: Buffer | string): boolean;
  write(chunk: string, encoding: 'latin1'): boolean;
  /** Collects what is written until `uncork`, to send it together. */
  cork(): unknown;
  uncork(): unknown;
  end(): unknown;
  end(chunk: Buffer | string): unknown;
  end(chunk: string, encoding: 'latin1'): unknown;
  /** HTTP/2 only. */
  readonly stream?: { close(code: number): void };
  /** HTTP/1.1 only. */
  destroy?(): unknown;
  /** `close` is emitted once, after the end of the response or of the connection, whichever is first. */
  on(event: 'close' | 'drain' | 'error', listener: () => void): unknown;
  once(event: 'close' | 'drain', listener: () => void): unknown;
}

/** Every value of a header, in order. For headers that must not be repeated, node:http shows only the first. */
export function valuesOf({ rawHeaders }: HttpRequest, name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const candidate = rawHeaders[at];
    if (candidate?.length === name.length && candidate.toLowerCase() === name) values.push(rawHeaders[at + 1] ?? '');
  }
  return values;
}

/** The value of a header that has a single value, or undefined. */
export function valueOf({ headers }: HttpRequest, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** CANCEL (RFC 9113 §7). With NO_ERROR, node:http2 would first wait for unsent data. */
const cancelCode = 8;

/** Aborts an exchange: destroys the connection, or with HTTP/2 the stream. */
export function cutOff(half: Pick<HttpRequest | HttpResponse, 'stream' | 'destroy'>): void {
  if (half.stream === undefined) half.destroy?.();
  else half.stream.close(cancelCode);
}
