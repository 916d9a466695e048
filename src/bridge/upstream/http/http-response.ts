import type { IncomingMessage } from 'node:http';

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

/** JSON-RPC code of an unknown method, which some servers answer with HTTP 404. */
const methodNotFound = rpcCode.methodNotFound;

/**
 * What servers that were made from the official SDK's examples say, with HTTP 400, of a session that they do not know.
 * All of it comes before anything of the message is done.
 */
const lostSessionWords = /no valid session|session not found|invalid session|server not initialized/i;

/** Of the server's faults, those that it will not get over (RFC 9110 §15.6): what it cannot do, and HTTP itself. */
const lastingFaults: ReadonlySet<number> = new Set([501, 505]);

/** Of the client's faults, those that are none when it asks later; 409 is for a stream whose end was not noticed yet. */
const passingRefusals: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/** Whether the answer may be another one the next time; proxies have codes of their own above 511. */
export function isPassing(status: number): boolean {
  return passingRefusals.has(status) || (status >= 500 && !lastingFaults.has(status));
}

/** The server's own JSON-RPC error, as the answer to our request. */
export function errorIn(body: Buffer, id: RequestId): RpcResponse | undefined {
  if (errorOf(body) === undefined) return undefined;
  const span = spanOf(body, ['error']);
  if (span === undefined) return undefined;
  const head = Buffer.from(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":`);
  const parsed = parseMessage(Buffer.concat([head, body.subarray(span.start, span.end), Buffer.from('}')]));
  return parsed.kind === 'response' && parsed.failed ? parsed : undefined;
}

/**
 * Whether a refusal of the message with this id says that the session is unknown; such an answer comes before anything
 * is done (MCP 2025-11-25, Session Management). An error with the id of the request is its answer: whoever writes that
 * has read the message, and may have acted on it. Some servers give the id back even so, with the SDKs' code and words.
 */
export function saysSessionLost(status: number, body: Buffer, id: RequestId | undefined): boolean {
  if (status !== 404 && status !== 400) return false;
  const json = jsonOf(body);
  const error = errorOf(body);
  const code = memberOf(error, 'code');
  const hasWords = lostSessionWords.test(String(memberOf(error, 'message')));
  if (error !== undefined && id !== undefined && memberOf(json, 'id') === id) {
    return status === 404 && code === rpcCode.sessionNotFound && hasWords;
  }
  return status === 404 ? code !== methodNotFound : hasWords;
}

/** Retry-After (RFC 9110 §10.2.3), in milliseconds. */
export function retryAfterOf(response: IncomingMessage, now: number): number | undefined {
  const value = response.headers['retry-after'];
  if (value === undefined) return undefined;
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(waitMs) && waitMs >= 0 ? waitMs : undefined;
}

function errorOf(body: Buffer): unknown {
  const error = memberOf(jsonOf(body), 'error');
  return typeof memberOf(error, 'code') === 'number' && typeof memberOf(error, 'message') === 'string'
    ? error
    : undefined;
}

/** Undefined also for what is nested deeper than a message may be: nothing walks through that safely. */
function jsonOf(body: Buffer): unknown {
  if (exceedsDepth(body, maxJsonDepth)) return undefined;
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}
