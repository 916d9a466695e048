import { sessionHeader } from '../../mcp/headers.ts';
import { memberOf, parseMessage, type RpcResponse } from '../../mcp/json-rpc.ts';
import { newRequest } from '../../mcp/new-message.ts';
import { preferredRevision } from '../../mcp/revisions.ts';
import { eventStreamType } from '../../mcp/sse.ts';
import { version } from '../../version.ts';

/** The first request of a client over Streamable HTTP, and how to read its answer. */
export interface ClientOpening {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Why a client could not continue after this answer; undefined if it could. */
  readonly failureIn: (status: number, body: string) => string | undefined;
  /** The headers of the DELETE that ends the session; undefined if there is no session. */
  readonly closing: (headers: Readonly<Record<string, unknown>>) => Readonly<Record<string, string>> | undefined;
}

/** @param path of an MCP endpoint. */
export function clientOpening(path: string): ClientOpening {
  const request = newRequest(1, 'initialize', {
    protocolVersion: preferredRevision,
    capabilities: {},
    clientInfo: { name: 'mcp-expose', version },
  });
  return {
    path,
    headers: { 'Content-Type': 'application/json', Accept: `application/json, ${eventStreamType}` },
    body: request.bytes.toString(),
    failureIn(status, body) {
      const response = responseIn(body);
      if (response === undefined) return `it answered initialize with ${status} and no JSON-RPC response`;
      if (typeof memberOf(response.json['result'], 'protocolVersion') === 'string') return undefined;
      const message = memberOf(response.json['error'], 'message');
      return typeof message === 'string' ? message : 'it did not agree on a revision of the protocol';
    },
    closing(headers) {
      const id = headers[sessionHeader];
      return typeof id === 'string' ? { [sessionHeader]: id } : undefined;
    },
  };
}

/** The response in a body that is JSON, or the last one in an event stream. */
function responseIn(body: string): RpcResponse | undefined {
  const texts = body.trimStart().startsWith('{')
    ? [body]
    : body.split('\n').flatMap((line) => /^data: ?(.*)$/.exec(line.trimEnd())?.[1] ?? []);
  for (const text of texts.toReversed()) {
    const message = parseMessage(Buffer.from(text));
    if (message.kind === 'response') return message;
  }
  return undefined;
}
