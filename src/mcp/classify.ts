import {
  badRequest,
  checkNotification,
  checkRequest,
  malformedEnvelope,
  mismatch,
  unsupported,
} from './check-exchange.ts';
import type { Rejection } from './check-exchange.ts';
import { rpcCode, type RpcMessage, type RpcRequest } from './json-rpc.ts';
import { claimedRevision, envelopeProblem } from './request-envelope.ts';
import { eraOf, legacyRevisions } from './revisions.ts';
import type { MessageHeaders } from './standard-headers.ts';

/** How to serve a POSTed message. The era of a request is decided only here. */
export type Classification =
  | { readonly kind: 'opening' } /** `initialize`: opens a legacy session. */
  | { readonly kind: 'session' } /** Belongs to a legacy session that is already open. */
  | { readonly kind: 'exchange' } /** Of the modern era, and complete in itself. */
  | Rejection;

const opening = { kind: 'opening' } as const;
const session = { kind: 'session' } as const;
const exchange = { kind: 'exchange' } as const;

/**
 * Classifies one message where both eras are served, by its body first and by its headers second: a modern request states its
 * revision in both, a legacy one at most in the header (MCP 2026-07-28, "Backward Compatibility").
 * @param agreed the revision that client and server agreed on in `initialize`, if the request names a session.
 */
export function classify(message: RpcMessage, headers: MessageHeaders, agreed: string | undefined): Classification {
  const { revision } = headers;
  const isHeaderModern = revision !== undefined && revision !== agreed && eraOf(revision) === 'modern';
  if (message.kind === 'response') {
    const reason = 'a client of MCP 2026-07-28 sends no responses: what it is asked for belongs into inputResponses';
    return isHeaderModern ? badRequest(rpcCode.invalidRequest, reason) : session;
  }
  const claimed = claimedRevision(message);
  if (message.kind === 'request' && message.method === 'initialize' && !hasModernEnvelope(message, claimed)) {
    const reason = 'initialize belongs to revisions before the one that the MCP-Protocol-Version header names';
    return isHeaderModern ? mismatch(reason) : opening;
  }
  // A legacy request may have any member in its `_meta`, including this one.
  if (typeof claimed === 'string' && eraOf(claimed) === 'legacy' && headers.session !== undefined) return session;
  if (claimed === undefined && !isHeaderModern) return session;
  if (message.kind === 'notification') return checkNotification(message, claimed ?? revision, headers) ?? exchange;
  return claimed === undefined
    ? malformedEnvelope(envelopeProblem(message) ?? 'params._meta names no revision')
    : (checkRequest(message, claimed, headers) ?? exchange);
}

function hasModernEnvelope(request: RpcRequest, claimed: unknown): boolean {
  return typeof claimed === 'string' && eraOf(claimed) === 'modern' && envelopeProblem(request) === undefined;
}

/**
 * Classifies one message where only the legacy era is served: a modern one is refused with the revisions that are, after which a
 * client of both eras opens a session.
 * @param agreed as in `classify`; it is always accepted.
 */
export function classifyLegacy(
  message: RpcMessage,
  revisionHeader: string | undefined,
  agreed: string | undefined,
): Exclude<Classification, { kind: 'exchange' }> {
  if (message.kind !== 'response') {
    const claimed = claimedRevision(message);
    if (claimed !== undefined && !isLegacy(claimed))
      return unsupported(typeof claimed === 'string' ? claimed : 'malformed', legacyRevisions);
  }
  if (
    revisionHeader !== undefined &&
    revisionHeader !== agreed &&
    isDate(revisionHeader) &&
    eraOf(revisionHeader) === 'modern'
  )
    return unsupported(revisionHeader, legacyRevisions);
  return message.kind === 'request' && message.method === 'initialize' ? opening : session;
}

function isLegacy(claimed: unknown): boolean {
  return typeof claimed === 'string' && isDate(claimed) && eraOf(claimed) === 'legacy';
}

/** Other values are not revisions; in the header, they are rejected when it is compared with that of the session. */
function isDate(revision: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(revision);
}
