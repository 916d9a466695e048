import type { RpcMessage } from '../../../mcp/json-rpc.ts';
import type { UpstreamExchange } from './upstream-client.ts';
import type { PendingResponse } from './pending-response.ts';

/** A message on its way to the server, as the body of a POST. */
export interface OutgoingPost {
  readonly message: RpcMessage;
  /** Its place among all that was sent. */
  readonly order: number;
  /** Takes it off the count of what the server has not read. */
  readonly release: () => void;
  /** The server has certainly not acted on it. */
  untaken: boolean;
  exchange?: UpstreamExchange;
  /** Of what is to be done with it later. */
  cancelTimer?: () => void;
}

/** A message on its way into a session of the Streamable HTTP transport. */
export interface SessionPost extends OutgoingPost {
  /** It is the request that opens the session. */
  readonly isOpening: boolean;
  tries: number;
  /** Of a request. */
  answer?: PendingResponse;
}

/** What may be sent again to another connection, in order: of what is under way the untaken, of what waits all. */
export function untakenOf(underWay: Iterable<OutgoingPost>, waiting: Iterable<OutgoingPost>): RpcMessage[] {
  return [...[...underWay].filter(({ untaken }) => untaken), ...waiting]
    .toSorted((one, other) => one.order - other.order)
    .map(({ message }) => message);
}

/** How a message is called where its loss is told. */
export function nameOf(message: RpcMessage): string {
  return message.kind === 'response' ? 'an answer of the client' : message.method;
}
