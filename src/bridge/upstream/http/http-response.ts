import type { IncomingMessage } from 'node:http';

import { PieceCollector } from '../../../platform/bytes.ts';
import type { Clock } from '../../../platform/clock.ts';
import { exceedsDepth } from '../../../mcp/json/scan.ts';
import {
  maxJsonDepth,
  memberOf,
  parseMessage,
  rpcCode,
  type RequestId,
  type RpcResponse,
} from '../../../mcp/json-rpc.ts';
import { spanOf } from '../../../mcp/json/locate-members.ts';

/**
 * Error messages for an unknown session, sent with HTTP 400 by servers made from the official SDK's examples. They are
 * sent before the message is processed.
 */
const lostSessionWords = /no valid session|session not found|invalid session|server not initialized/i;

/** Permanent 5xx statuses (RFC 9110 §15.6): not implemented, HTTP version not supported. */
const lastingFaults: ReadonlySet<number> = new Set([501, 505]);

/** Temporary 4xx statuses; 409 is for a stream whose end the server has not noticed yet. */
const passingRefusals: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/** How long a response that nobody waits for may continue, in milliseconds. */
export const lingerMs = 5000;

/** Bytes that are read of a body that should be empty; beyond them a new connection costs less. */
const maxDrainedBytes: number = 64 * 1024;

/** Reads a whole response, or destroys it as soon as it is larger than `maxBytes`. Never rejects. */
export function readResponseBody(
  response: IncomingMessage,
  maxBytes: number,
): Promise<Buffer | 'too large' | 'cut off'> {
  return new Promise((resolve) => {
    const chunks = new PieceCollector();
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (chunks.length <= maxBytes) return;
      chunks.take();
      resolve('too large');
      response.destroy();
    });
    response.once('close', () => resolve(response.complete ? chunks.takeWhole() : 'cut off'));
  });
}

/** Reads and ignores a body, so that its connection can be reused. A body that does not end is cut off. */
export function drainResponse(response: IncomingMessage, clock: Clock): void {
  let size = 0;
  const cancel = clock.after(lingerMs, () => void response.destroy());
  response.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxDrainedBytes) response.destroy();
  });
  response.once('close', cancel);
}

/** Whether a later request may succeed; proxies use their own codes above 511. */
export function isPassing(status: number): boolean {
  return passingRefusals.has(status) || (status >= 500 && !lastingFaults.has(status));
}

/** The JSON-RPC error in a body, whatever its id, as the answer to the request with this id. */
export function errorIn(body: Buffer, id: RequestId): RpcResponse | undefined {
  if (errorOf(jsonOf(body)) === undefined) return undefined;
  const span = spanOf(body, ['error']);
  if (span === undefined) return undefined;
  const head = Buffer.from(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":`);
  const parsed = parseMessage(Buffer.concat([head, body.subarray(span.start, span.end), Buffer.from('}')]));
  return parsed.kind === 'response' && parsed.failed ? parsed : undefined;
}

/**
 * Whether a refusal of the message with this id says that the session is unknown, which is decided before the message is
 * processed (MCP 2025-11-25, Session Management). An error with the id of the request is normally its answer: the server
 * has read the message and may have acted on it. Some servers repeat the id anyway, with the SDKs' code and message.
 */
export function saysSessionLost(status: number, body: Buffer, id: RequestId | undefined): boolean {
  if (status !== 404 && status !== 400) return false;
  const json = jsonOf(body);
  const error = errorOf(json);
  const code = memberOf(error, 'code');
  const hasWords = lostSessionWords.test(String(memberOf(error, 'message')));
  if (error !== undefined && id !== undefined && memberOf(json, 'id') === id) {
    return status === 404 && code === rpcCode.sessionNotFound && hasWords;
  }
  // Some servers answer an unknown method with HTTP 404.
  return status === 404 ? code !== rpcCode.methodNotFound : hasWords;
}

/** Retry-After (RFC 9110 §10.2.3), in milliseconds. */
export function retryAfterOf(response: IncomingMessage, now: number): number | undefined {
  const value = response.headers['retry-after'];
  if (value === undefined) return undefined;
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(waitMs) && waitMs >= 0 ? waitMs : undefined;
}

function errorOf(json: unknown): unknown {
  const error = memberOf(json, 'error');
  return typeof memberOf(error, 'code') === 'number' && typeof memberOf(error, 'message') === 'string'
    ? error
    : undefined;
}

/** Undefined also for JSON nested deeper than a message may be, which recursive code cannot process safely. */
function jsonOf(body: Buffer): unknown {
  if (exceedsDepth(body, maxJsonDepth)) return undefined;
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}
