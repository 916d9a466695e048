import type { RpcMessage } from '../../mcp/json-rpc.ts';

/** Why an upstream is gone, in words and in data. */
export interface UpstreamEnd {
  /** One sentence without a full stop, for example `the server exited with code 1`. */
  readonly reason: string;
  /** `upstream_not_started` when it never ran, so that a caller can tell a typing error from a crash. */
  readonly code: 'upstream_not_started' | 'upstream_exited';
  readonly exitCode?: number;
  readonly signal?: string;
  /** The last lines that it wrote to its standard error, or an empty string. */
  readonly stderr: string;
}

export interface UpstreamEvents {
  onMessage(message: RpcMessage): void;
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
  /**
   * Sends one message, a JSON text without line breaks. Returns false when the upstream is gone or has left so much
   * unread that the message was not taken.
   */
  send(message: Buffer): boolean;
  /** Stops reading from the upstream until `resume`: back-pressure for a client that does not read. */
  pause(): void;
  resume(): void;
  /** Ends it; resolves when nothing of it is left. Safe to call twice. */
  close(): Promise<void>;
}
