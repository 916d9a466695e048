import type { RpcNotification, RpcRequest, RpcResponse } from '../../mcp/json-rpc.ts';

/** What an upstream sends of its own accord: a notification, or a server request. */
export type UpstreamMessage = RpcNotification | RpcRequest;

/** A way to the client on which messages can be sent while it is open. */
export interface MessageSink {
  /** False once the client has gone or everything has been said. */
  isOpen(): boolean;
  /** Sends a message. Returns false when the client is slow: nothing more should be sent until `whenWritable` calls. */
  send(message: UpstreamMessage): boolean;
  /** Calls back once, when what was sent has been taken or the client has gone. */
  whenWritable(callback: () => void): void;
  end(): void;
}

/** A stream for what belongs to no request. */
export interface ListeningStream extends MessageSink {
  /** Calls back when its client has gone, or it has been ended. */
  whenGone(callback: () => void): void;
}

/** Why a request got no response from the server; becomes a JSON-RPC error. */
export interface CallFailure {
  readonly code: number;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/**
 * One request of a client that waits for its response. The first of `finish`, `fail` and `end` stands, later ones do
 * nothing; `end` alone is for a call that the client has cancelled (MCP 2025-11-25, cancellation).
 */
export interface PendingRequest extends MessageSink {
  /** The response has come. Returns false as `send` does. */
  finish(response: RpcResponse): boolean;
  /** There will be no response. */
  fail(failure: CallFailure): void;
  /**
   * Whether its client takes the response alone: what else belongs to the call goes another way, or is dropped. Left out
   * where it takes more.
   */
  readonly isResponseOnly?: boolean | undefined;
  /** Calls back whenever the client goes before the call is over and is not expected back. */
  whenGone(callback: () => void): void;
  /**
   * How long the client has been away, where what it is sent meanwhile is kept until it comes back: `short` while it is
   * expected at any moment. Undefined when it is there, or cannot come back.
   */
  absence?(): 'short' | 'long' | undefined;
  /** Takes a server request back from a client that has gone, so that it can go another way; false when the client has got it. */
  recall?(serverRequest: RpcRequest): boolean;
}
