import { envelopeKeys } from './envelope-keys.ts';
import { rpcCode } from './json-rpc.ts';
import { locateMembers, pathTree } from './json/locate-members.ts';
import { inOnePiece } from '../platform/bytes.ts';
import { listenFilterProblem } from './listen-filter.ts';
import { listenMethod, removedMethods } from './modern-methods.ts';
import { envelopeProblem } from './request-envelope.ts';
import { modernRevisions } from './revisions.ts';
import { memberOf, type RpcNotification, type RpcRequest } from './rpc-message.ts';
import {
  headerProblem,
  methodProblem,
  nameMemberOf,
  revisionProblem,
  type MessageHeaders,
} from './standard-headers.ts';

/** Why a message is not served: the HTTP status, and the JSON-RPC error. */
export interface Rejection {
  readonly kind: 'reject';
  readonly status: number;
  readonly code: number;
  readonly reason: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** Longest revision, method or name of a client in an error, in characters. */
const maxShown = 64;

/** Longest name that is compared with a header, in bytes: no header is as long. */
const maxNameBytes = 64 * 1024;

/** What decides how a modern message is served: others must not read it differently. */
const decisive = pathTree({
  id: ['id'],
  method: ['method'],
  name: ['params', 'name'],
  uri: ['params', 'uri'],
  taskId: ['params', 'taskId'],
  ...Object.fromEntries(envelopeKeys.map((key) => [key, ['params', '_meta', key]])),
});

/**
 * Checks a modern request in the order of MCP 2026-07-28: that its envelope is complete, that the revision is one, and is served,
 * that the headers say what the body says, that the method exists, and that a subscription says to what.
 * @param revision the one that its envelope claims, of whatever type it is.
 * @returns undefined if it can be served.
 */
export function checkRequest(request: RpcRequest, revision: unknown, headers: MessageHeaders): Rejection | undefined {
  const { method } = request;
  const { name, duplicateKey } = decisiveMembers(request);
  if (duplicateKey !== undefined) return ambiguous(duplicateKey);
  const malformed = envelopeProblem(request);
  if (malformed !== undefined || typeof revision !== 'string') return malformedEnvelope(malformed ?? 'no revision');
  const otherRevision = revisionProblem(headers, revision);
  if (otherRevision !== undefined) return mismatch(otherRevision);
  if (!modernRevisions.includes(revision)) return unsupported(revision, modernRevisions);
  const problem = headerProblem(headers, { revision, method, name: typeof name === 'string' ? name : undefined });
  if (problem !== undefined) return mismatch(problem);
  if (removedMethods.has(method)) return removed(method);
  const badFilter = method === listenMethod ? listenFilterProblem(request) : undefined;
  return badFilter === undefined ? undefined : malformedFilter(badFilter);
}

/** The value that `Mcp-Name` repeats, and the name of a member that others would read differently. */
function decisiveMembers({ method, envelope, bytes, json }: RpcRequest): { name: unknown; duplicateKey?: string } {
  const member = nameMemberOf(method) ?? '';
  // All parsers read it the same.
  if (envelope !== undefined) return { name: memberOf(json['params'], member) };
  const { spans, duplicateKey } = locateMembers(bytes, decisive);
  if (duplicateKey !== undefined) return { name: undefined, duplicateKey };
  const { start, end } = spans.get(member) ?? { start: 0, end: 0 };
  const isRead = end > 0 && end - start <= maxNameBytes;
  return { name: isRead ? JSON.parse(inOnePiece(bytes).toString('utf8', start, end)) : undefined };
}

/**
 * The same for a notification, which has no envelope: what a header says must be right, but it need not be there.
 * @param revision the one in the body, or else in the header.
 */
export function checkNotification(
  { method, envelope, bytes }: RpcNotification,
  revision: unknown,
  headers: MessageHeaders,
): Rejection | undefined {
  const duplicateKey = envelope === undefined ? locateMembers(bytes, decisive).duplicateKey : undefined;
  if (duplicateKey !== undefined) return ambiguous(duplicateKey);
  if (typeof revision !== 'string') return malformedEnvelope('the revision in params._meta is not a string');
  const problem = revisionProblem(headers, revision) ?? methodProblem(headers, method);
  if (problem !== undefined) return mismatch(problem);
  return modernRevisions.includes(revision) ? undefined : unsupported(revision, modernRevisions);
}

/** @param supported what the client may use instead. */
export function unsupported(requested: string, supported: readonly string[]): Rejection {
  const shown = requested.slice(0, maxShown);
  const reason = `protocol revision ${JSON.stringify(shown)} is not supported here`;
  return { ...badRequest(rpcCode.unsupportedProtocolVersion, reason), data: { supported, requested: shown } };
}

export function malformedEnvelope(reason: string): Rejection {
  return { ...badRequest(rpcCode.invalidParams, reason), data: { reason: 'malformed_envelope' } };
}

function malformedFilter(reason: string): Rejection {
  return { ...badRequest(rpcCode.invalidParams, reason), data: { reason: 'malformed_filter' } };
}

export function mismatch(reason: string): Rejection {
  return badRequest(rpcCode.headerMismatch, reason);
}

export function badRequest(code: number, reason: string): Rejection {
  return { kind: 'reject', status: 400, code, reason };
}

function removed(method: string): Rejection {
  const reason = `revision 2026-07-28 has no method ${JSON.stringify(method.slice(0, maxShown))}`;
  return { kind: 'reject', status: 404, code: rpcCode.methodNotFound, reason };
}

/** What is compared here may not be what the server reads. */
function ambiguous(name: string): Rejection {
  const reason = `the member ${JSON.stringify(name)} occurs twice or with different capitalization`;
  return { ...badRequest(rpcCode.invalidRequest, reason), data: { reason: 'ambiguous_request' } };
}
