import type { RequestId, RpcMessage } from '../../mcp/json-rpc.ts';

/** Why an upstream is gone, in words and in data. */
export interface UpstreamEnd {
  /** One sentence without a full stop, for example `the server exited with code 1`. */
  readonly reason: string;
  /**
   * `upstream_not_started`: it never ran, so that a caller can tell a typing error from a crash. `upstream_unreachable`:
   * there was no connection to it. `upstream_refused`: it answered, but not as an MCP server. `upstream_session_lost`:
   * it no longer knows the session. `upstream_exited`: it ran, and is gone.
   */
  readonly code:
    | 'upstream_not_started'
    | 'upstream_unreachable'
    | 'upstream_refused'
    | 'upstream_session_lost'
    | 'upstream_exited';
  readonly exitCode?: number;
  readonly signal?: string;
  /** The last lines that it wrote to its standard error, or an empty string. */
  readonly stderr: string;
  /** What to do about it, for whoever runs mcp-expose and not for clients: it may name what is inside of the network. */
  readonly advice?: string | undefined;
  /** What it certainly has not acted on, in order: this much may be sent again to a new connection. */
  readonly untaken?: readonly RpcMessage[];
  /** It was started ahead, and ended before it had said anything to whoever took it: another one may do. */
  readonly isUnused?: true;
  /** The least that the upstream wants us to wait before the next connection, in milliseconds. */
  readonly retryAfterMs?: number;
}

export interface UpstreamEvents {
  /** @param origin the request on whose own stream the message came, where the transport tells (Streamable HTTP). */
  onMessage(message: RpcMessage, origin?: RequestId): void;
  /**
   * The connection broke and is being made anew: what was in flight gets no answer any more, the server has forgotten
   * its own requests, but the upstream goes on. Only from an upstream that can heal.
   */
  onLost?(end: UpstreamEnd): void;
  /** Called exactly once, also after `close`. Nothing else is called afterwards. */
  onClose(end: UpstreamEnd): void;
}

/**
 * One connection to the wrapped MCP server, whatever carries it. It moves messages and knows nothing of what they mean.
 * A new server transport is one file that implements this.
 */
export interface Upstream {
  /** Begins; messages may be sent at once. Whatever goes wrong is told through `events.onClose`. Called once. */
  start(events: UpstreamEvents): void;
  /** Sends one message. Returns false when the upstream is gone or has left so much unread that it was not taken. */
  send(message: RpcMessage): boolean;
  /**
   * How to withdraw a request that waits, so that the server never sees it; undefined if it does not wait. Only from an
   * upstream in which requests wait for something else than the server.
   */
  withdrawalOf?(id: RequestId): (() => void) | undefined;
  /** False while so much is unread that whoever can should wait for `whenWritable` before it reads more from a client. */
  isWritable(): boolean;
  /** Calls back once, when what was sent has been read or the upstream is gone. */
  whenWritable(callback: () => void): void;
  /** Stops reading from the upstream until `resume`: back-pressure for a client that does not read. */
  pause(): void;
  resume(): void;
  /** Ends it; resolves when nothing of it is left. Safe to call twice. */
  close(): Promise<void>;
}
