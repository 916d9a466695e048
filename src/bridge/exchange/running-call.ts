import type { RequestId, RpcNotification } from '../../mcp/json-rpc.ts';
import type { CallFailure } from '../session/pending-request.ts';
import type { ClientCall } from './client-call.ts';
import type { ServerRequest } from './input-request.ts';

/** What a server has been given to do for a client: a call, or the task that a call has become. */
export interface RunningCall {
  /** Whether its client can be asked something. */
  readonly isInteractive: boolean;
  /** The client's request that is to be answered; undefined where none waits. */
  readonly call: ClientCall | undefined;
  /** Those of the client that waits, or has waited last. */
  readonly capabilities: unknown;
  /** Whether its client has something to answer. */
  readonly isAsking: boolean;
  /** Whether the server is at work on it. */
  readonly isRunning: boolean;
  /** Whether the server has not seen it yet: it waits for the list of tools, or for approval. */
  readonly isHeld: boolean;
  /** Its request at the server. */
  readonly upstreamId: RequestId | undefined;
  /** The task as which the server runs it. */
  readonly taskId: string | undefined;
  /** Puts a server request to the client. */
  ask(request: ServerRequest): void;
  /** A server request was refused, since the client has not declared these capabilities. */
  refused(missing: Readonly<Record<string, unknown>>): void;
  /** The server has withdrawn a server request. Returns whether it was one of this call. */
  withdraw(id: RequestId): boolean;
  /** The server was started again, and does not remember what it has asked. */
  forgetServerRequests(): void;
  progressed(notification: RpcNotification): void;
  /** `notifications/elicitation/complete` of the server. */
  elicitationCompleted(id: unknown): void;
  /** The server is gone. @param failure for the client, if it waits. */
  lose(failure: CallFailure): void;
}
