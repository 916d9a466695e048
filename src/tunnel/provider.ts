import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

import type { Capabilities } from './capabilities.ts';

/** The one request handler of the process: the local listener and every tunnel hand their requests to it. */
export type RequestHandler = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
) => void;

/** A listener on 127.0.0.1 that nothing but one tunnel is told of. */
export interface TunnelListener {
  readonly port: number;
  /** Ends every connection; resolves when the port is free. */
  close(): Promise<void>;
}

/** What a tunnel leads to. A provider uses the one of the three that it can: our own tunnel needs no socket. */
export interface TunnelTarget {
  readonly handler: RequestHandler;
  /** Port of the local listener on 127.0.0.1. */
  readonly localPort: number;
  /** Opens a listener for this tunnel alone, so that what comes there has come through it. */
  listen(): Promise<TunnelListener>;
}

export interface TunnelStatus {
  readonly state: 'up' | 'down' | 'reconnecting';
  /** Base URLs, as in `Tunnel.publicUrls`, at the time of this status. */
  readonly publicUrls: readonly string[];
  /** Why, in words for a person, for example `the relay closed the connection`. */
  readonly reason?: string;
}

/** An open tunnel. */
export interface Tunnel {
  /** Base URLs without a trailing slash (`https://k3v9.relay.example`); the first is the one to show. Never empty. */
  readonly publicUrls: readonly string[];
  /** When the provider will end it, in milliseconds since 1970; undefined when it will not. */
  readonly expiresAt?: number | undefined;
  /** It is up but dead: ends the connection and makes a new one. Where it is left out, the tunnel sees to that itself. */
  redial?(reason: string): void;
  /** Ends the tunnel; resolves when nothing of it is left. Safe to call twice. */
  close(): Promise<void>;
}

export interface TunnelOptions {
  /** Ends an `open` that is under way; later use `Tunnel.close`. */
  readonly signal: AbortSignal;
  /** Called on every change after `open` has resolved; the last state stands until the next call. */
  readonly onStatus: (status: TunnelStatus) => void;
  /** A sentence for the user that is not an error. */
  readonly onWarning: (message: string) => void;
}

/** A way to make the local server reachable from elsewhere. A new one is one file in providers/ plus its test. */
export interface TunnelProvider {
  /** As in `--tunnel <name>` and in the `ready` event. */
  readonly name: string;
  readonly capabilities: Capabilities;
  /** What the user must know before trusting the path, or undefined where nobody but us carries the traffic. */
  readonly notice?: string;
  /**
   * Why it cannot be used on this machine, in a few words (`cloudflared is not installed`), as far as that can be told
   * without connecting to it. Undefined when it may be tried.
   */
  unusable?(signal: AbortSignal): Promise<string | undefined>;
  /** Resolves once requests can come through. Throws an ExposeError with a `tunnel_*` or `address_*` code. */
  open(target: TunnelTarget, options: TunnelOptions): Promise<Tunnel>;
}
