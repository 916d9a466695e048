import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

/** What requests of node:http and of node:http2's compatibility layer have in common, as far as it is used here. */
export interface HttpRequest extends Readable {
  readonly httpVersionMajor: number;
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  readonly complete: boolean;
  /** The client has gone, or the stream was reset, before it was answered. */
  readonly aborted?: boolean;
  readonly socket: Socket;
  /** HTTP/2 only. */
  readonly stream?: { close(code: number): void };
}

/** The same of responses. HTTP/2's are no streams: they have neither `closed` nor `destroyed`. */
export interface HttpResponse {
  readonly headersSent: boolean;
  /** Bytes that have not been handed to the system yet. */
  readonly writableLength: number;
  /** Adds to the headers that `writeHead` sends. */
  setHeader(name: string, value: string): unknown;
  writeHead(status: number, headers: OutgoingHttpHeaders): unknown;
  write(chunk: Buffer | string): boolean;
  write(chunk: string, encoding: 'latin1'): boolean;
  /** Until `uncork`, what is written waits, to go out together. */
  cork(): unknown;
  uncork(): unknown;
  end(): unknown;
  end(chunk: Buffer | string): unknown;
  end(chunk: string, encoding: 'latin1'): unknown;
  /** HTTP/2 only. */
  readonly stream?: { close(code: number): void };
  /** HTTP/1.1 only. */
  destroy?(): unknown;
  /** `close` comes once, after the end of the response or of the connection, whichever is first. */
  on(event: 'close' | 'drain' | 'error', listener: () => void): unknown;
  once(event: 'close' | 'drain', listener: () => void): unknown;
}

/** Every value of a header that must not come twice, in order; node:http shows only the first. */
export function valuesOf({ rawHeaders }: HttpRequest, name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const candidate = rawHeaders[at];
    if (candidate?.length === name.length && candidate.toLowerCase() === name) values.push(rawHeaders[at + 1] ?? '');
  }
  return values;
}

/** A header that has a single value, or undefined. */
export function valueOf({ headers }: HttpRequest, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** CANCEL (RFC 9113 §7): the rest is not wanted. node:http2 would wait for what has not been sent with any softer code. */
const cancelCode = 8;

/** Ends an exchange in the middle: cuts the connection, or with HTTP/2 the stream. */
export function cutOff(half: Pick<HttpRequest | HttpResponse, 'stream' | 'destroy'>): void {
  if (half.stream === undefined) half.destroy?.();
  else half.stream.close(cancelCode);
}
