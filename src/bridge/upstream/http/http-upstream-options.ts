import type { Clock } from '../../../platform/clock.ts';

/** What the upstreams over HTTP have in common. */
export interface HttpUpstreamOptions {
  readonly url: string;
  /** Whether `http:` will do on the way to another machine. */
  readonly allowPlainHttp?: boolean;
  /** Sent with every request; nothing that a caller sent to us goes to the server. */
  readonly headers: ReadonlyMap<string, string>;
  /** Where the variables that name a proxy are read. Default: none. */
  readonly env?: NodeJS.ProcessEnv;
  /** Certificates (PEM) of the authorities to trust instead of the well-known ones. */
  readonly ca?: string | Buffer;
  /** How long a connection may take, with TLS, in milliseconds. */
  readonly connectTimeoutMs?: number;
  /**
   * How long the server may take to begin its answer to `initialize` and to what wants no answer, in milliseconds, and
   * to name its endpoint (HTTP+SSE). A call has no limit: it may take hours, and its caller can cancel it.
   */
  readonly responseTimeoutMs?: number;
  /** Longest message that the server may send, in bytes. */
  readonly maxMessageBytes: number;
  readonly onWarning: (message: string) => void;
  readonly clock?: Clock;
}

/** What a person waits for before looking at the address again, in milliseconds. */
export const defaultConnectTimeoutMs = 10_000;

/** Servers that are started by their first request can take this long, in milliseconds. */
export const defaultResponseTimeoutMs = 60_000;

/** As much of an error page is read, in bytes. */
export const maxErrorBodyBytes: number = 64 * 1024;
