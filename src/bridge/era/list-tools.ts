import { memberOf } from '../../mcp/json-rpc.ts';

/** A list that never ends is not followed for ever. */
const maxToolPages = 100;

/**
 * All pages of `tools/list`: the names of the tools; one without a name is counted as an object of its own.
 * @param ask sends one request and returns its result; undefined if it failed.
 */
export async function listTools(
  ask: (params: Readonly<Record<string, unknown>>) => Promise<unknown>,
  onWarning: (message: string) => void,
): Promise<ReadonlySet<unknown>> {
  const tools = new Set<unknown>();
  const cursors = new Set<string>();
  let cursor: string | undefined;
  while (cursors.size < maxToolPages) {
    // oxlint-disable-next-line no-await-in-loop -- the cursor of the next page stands in this one
    const result = await ask(cursor === undefined ? {} : { cursor });
    const page = memberOf(result, 'tools');
    for (const tool of Array.isArray(page) ? page : []) tools.add(memberOf(tool, 'name') ?? {});
    const next = memberOf(result, 'nextCursor');
    if (typeof next !== 'string') return tools;
    if (cursors.has(next)) {
      onWarning(`tools/list repeats a cursor: only the first ${tools.size} tools are counted`);
      return tools;
    }
    cursors.add(next);
    cursor = next;
  }
  onWarning(`tools/list has more than ${maxToolPages} pages: only the first ${tools.size} tools are counted`);
  return tools;
}
