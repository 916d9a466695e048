import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Capabilities } from './capabilities.ts';
import type { TunnelRequest } from './relay/agent/tunnel-request.ts';
import type { TunnelResponse } from './relay/agent/tunnel-response.ts';

/** The one request handler of the process, for the local listener and for every tunnel. */
export type RequestHandler = (
  request: IncomingMessage | TunnelRequest,
  response: ServerResponse | TunnelResponse,
) => void;

/** A listener on 127.0.0.1 whose port only one tunnel knows. */
export interface TunnelListener {
  readonly port: number;
  /** Closes every connection; resolves when the port is free. */
  close(): Promise<void>;
}

/** Where a tunnel leads. A provider uses one of the three: our own tunnel needs no socket. */
export interface TunnelTarget {
  readonly handler: RequestHandler;
  /** Port of the local listener on 127.0.0.1. */
  readonly localPort: number;
  /** Opens a listener for this tunnel alone, so that every request there has come through it. */
  listen(): Promise<TunnelListener>;
}

export interface TunnelStatus {
  readonly state: 'up' | 'down' | 'reconnecting';
  /** Base URLs, as in `Tunnel.publicUrls`, at the time of this status. */
  readonly publicUrls: readonly string[];
  /** Why, for people, for example `the relay closed the connection`. */
  readonly reason?: string;
}

export interface Tunnel {
  /** Base URLs without a trailing slash (`https://k3v9.relay.example`); the first is the one to show. Never empty. */
  readonly publicUrls: readonly string[];
  /** When the provider will end it, in milliseconds since 1970; undefined when it has no such limit. */
  readonly expiresAt?: number | undefined;
  /** Replaces the connection of a tunnel that is up but does not work. Omitted where the tunnel notices that itself. */
  redial?(reason: string): void;
  /** Closes the tunnel; resolves when nothing of it is left. Safe to call twice. */
  close(): Promise<void>;
}

export interface TunnelOptions {
  /** Aborts an `open` in progress; later use `Tunnel.close`. */
  readonly signal: AbortSignal;
  /** Called on every change after `open` has resolved; the last state is valid until the next call. */
  readonly onStatus: (status: TunnelStatus) => void;
  /** A message for the user that is not an error. */
  readonly onWarning: (message: string) => void;
}

/** A kind of tunnel. A new one is one file in providers/ plus its test. */
export interface TunnelProvider {
  /** As in `--tunnel <name>` and in the `ready` event. */
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Several processes serve the URL: requests with ids that begin with this and a dot come to this one. */
  readonly replica?: string | undefined;
  /** What the user must know before trusting the tunnel; undefined when no third party carries the traffic. */
  readonly notice?: string;
  /**
   * Why it cannot be used on this machine, in a few words (`cloudflared is not installed`), as far as that is known without
   * connecting to it. Undefined when it can be tried.
   */
  unusable?(signal: AbortSignal): Promise<string | undefined>;
  /** Resolves once requests can come through. Throws an ExposeError with a `tunnel_*` or `address_*` code. */
  open(target: TunnelTarget, options: TunnelOptions): Promise<Tunnel>;
}
