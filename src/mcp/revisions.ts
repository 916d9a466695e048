/** The two forms of MCP: with a handshake and sessions, or one self-contained exchange at a time. */
export type Era = 'legacy' | 'modern';

/** Revisions of the legacy era that can be served over Streamable HTTP, newest first. */
export const legacyRevisions: readonly string[] = [
  '2025-11-25',
  '2025-06-18',
  '2025-03-26',
  '2024-11-05',
  '2024-10-07',
];

/** The only revision with JSON-RPC batches. */
export const batchRevision = '2025-03-26';

/** The first revision whose clients expect an event without data at the start of an event stream. */
export const primingRevision = '2025-11-25';

/** The revision that mcp-expose offers in a handshake of its own. */
export const preferredRevision = '2025-11-25';

/** First revision of the modern era. Revisions are dates, so they compare as strings. */
export const firstModernRevision = '2026-07-28';

/** Revisions of the modern era that can be served. */
export const modernRevisions: readonly string[] = [firstModernRevision];

export function eraOf(revision: string): Era {
  return revision >= firstModernRevision ? 'modern' : 'legacy';
}
