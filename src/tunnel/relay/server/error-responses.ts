import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { endConnection, formatResponse } from '../../../platform/http1/server.ts';
import { protocolVersion, versionsHeader } from '../protocol/protocol.ts';

/**
 * Responses of the relay itself are JSON-RPC errors, since its clients are MCP clients. The codes are in the range that
 * JSON-RPC 2.0 leaves to servers, apart from those that MCP uses.
 */
export const relayErrorCodes = {
  unknownName: -32050,
  offline: -32051,
  agentLost: -32052,
  busy: -32053,
  badRequest: -32054,
} as const;
export type RelayErrorCode = (typeof relayErrorCodes)[keyof typeof relayErrorCodes];

export interface Answer {
  readonly status: number;
  readonly code: RelayErrorCode;
  readonly message: string;
  readonly retryAfterS?: number;
}

/** The body of a response, UTF-8. */
export function answerBody(answer: Pick<Answer, 'code' | 'message'>): Buffer {
  return Buffer.from(
    JSON.stringify({ jsonrpc: '2.0', error: { code: answer.code, message: answer.message }, id: null }),
  );
}

/** Sends a response unless one has begun; node:http omits the body for HEAD. */
export function sendAnswer(response: ServerResponse, answer: Answer): void {
  sendJson(response, answer.status, answerBody(answer), answerHeaders(answer));
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: Buffer,
  headers: ReadonlyMap<string, string> = new Map(),
): void {
  for (const [name, value] of headers) response.setHeader(name, value);
  response.setHeader('content-type', 'application/json');
  response.setHeader('content-length', body.length);
  response.setHeader('cache-control', 'no-store');
  response.statusCode = status;
  response.end(body);
}

/** A response as bytes, for a connection that ends with it. */
export function rawAnswer(answer: Answer): Buffer {
  return formatResponse(answer.status, answerBody(answer), answerHeaders(answer));
}

/** Sends a response on a socket for which node:http has no response object, and ends it. */
export function sendRawAnswer(socket: Duplex, answer: Answer): void {
  endConnection(socket, rawAnswer(answer));
}

/** versionsHeader shows an agent that it has reached a relay, and which version. */
function answerHeaders(answer: Answer): Map<string, string> {
  const headers = new Map([[versionsHeader, protocolVersion]]);
  if (answer.retryAfterS !== undefined) headers.set('retry-after', String(answer.retryAfterS));
  return headers;
}
