import { memberOf, metaOf, rpcCode, type RpcMessage } from './json-rpc.ts';
import { eraOf, legacyRevisions } from './revisions.ts';

/** Member of `params._meta` that carries the revision of a modern request (MCP 2026-07-28, request envelope). */
const revisionKey = 'io.modelcontextprotocol/protocolVersion';

/** How to serve a POSTed message. The era of a request is decided only here. */
export type Classification =
  | { readonly kind: 'opening' } /** `initialize`: opens a legacy session. */
  | { readonly kind: 'session' } /** Belongs to a legacy session that is already open. */
  | {
      readonly kind: 'reject';
      readonly status: number;
      readonly code: number;
      readonly reason: string;
      readonly data?: Readonly<Record<string, unknown>>;
    };

const opening: Classification = { kind: 'opening' };
const session: Classification = { kind: 'session' };

/**
 * Classifies one message by its body first and by its `MCP-Protocol-Version` header second, since clients of the modern
 * era state the revision in both and legacy ones at most in the header.
 * @param agreed the revision that client and server agreed on in `initialize`, which is always accepted.
 */
export function classify(
  message: RpcMessage,
  revisionHeader: string | undefined,
  agreed: string | undefined,
): Classification {
  if (message.kind !== 'response') {
    const claimed = memberOf(metaOf(message), revisionKey);
    if (claimed !== undefined && !isLegacy(claimed))
      return unsupported(typeof claimed === 'string' ? claimed : 'malformed');
  }
  if (
    revisionHeader !== undefined &&
    revisionHeader !== agreed &&
    isDate(revisionHeader) &&
    eraOf(revisionHeader) === 'modern'
  )
    return unsupported(revisionHeader);
  return message.kind === 'request' && message.method === 'initialize' ? opening : session;
}

/** A legacy request may have any member in its `_meta`, including this one. */
function isLegacy(claimed: unknown): boolean {
  return typeof claimed === 'string' && isDate(claimed) && eraOf(claimed) === 'legacy';
}

/** Other values are not revisions; in the header, they are rejected when it is compared with that of the session. */
function isDate(revision: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(revision);
}

/** After this response, a client of both eras opens a legacy session. */
function unsupported(requested: string): Classification {
  return {
    kind: 'reject',
    status: 400,
    code: rpcCode.unsupportedProtocolVersion,
    reason: `protocol revision ${JSON.stringify(requested.slice(0, 64))} is not supported here`,
    data: { supported: legacyRevisions, requested: requested.slice(0, 64) },
  };
}
