/** What a token allows: `mcp` everything, `mcp:read` only what reads. `mcp` includes `mcp:read`. */
export type Scope = 'mcp' | 'mcp:read';

/** Never `offline_access`, which is not a scope of the resource (MCP 2026-07-28, Scope Selection Strategy). */
export const scopes: readonly Scope[] = ['mcp', 'mcp:read'];

/**
 * The widest of the requested scopes. Unknown ones are ignored, as RFC 6749 §3.3 allows: clients add `openid` or
 * `offline_access` to every request. Default: `mcp`, which the owner can narrow on the consent page.
 */
export function readScope(requested: string | undefined): Scope {
  const names = new Set((requested ?? '').split(' '));
  return names.has('mcp:read') && !names.has('mcp') ? 'mcp:read' : 'mcp';
}

/** What both scopes allow. */
export function narrower(a: Scope, b: Scope): Scope {
  return a === 'mcp' ? b : a;
}
