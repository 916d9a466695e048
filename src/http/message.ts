import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

/** What is used here of requests, both of node:http and of our own tunnel. */
export interface HttpRequest extends Readable {
  readonly httpVersionMajor: number;
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** Alternating names and values, as received. */
  readonly rawHeaders: readonly string[];
  readonly complete: boolean;
  readonly socket: Pick<Socket, 'remoteAddress'>;
}

/** What is used here of responses. Those of the tunnel are not streams: they have neither `closed` nor `destroyed`. */
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
  /** Aborts the response: destroys the connection, or the stream of the tunnel. */
  destroy(): unknown;
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
