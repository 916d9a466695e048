import { memberOf } from './rpc-message.ts';

/** The requests that list what a server offers, and the member of the result that has the list (MCP 2025-11-25, "Server Features"). */
const members: ReadonlyMap<string, string> = new Map([
  ['tools/list', 'tools'],
  ['resources/list', 'resources'],
  ['resources/templates/list', 'resourceTemplates'],
  ['prompts/list', 'prompts'],
]);

/** The member of the result that has the list, or undefined if the method lists none of these. */
export function listMemberOf(method: string): string | undefined {
  return members.get(method);
}

/** The items in the result of a list request; undefined if it has no list. */
export function itemsIn(method: string, result: unknown): readonly unknown[] | undefined {
  const member = members.get(method);
  const items: unknown = member === undefined ? undefined : memberOf(result, member);
  return Array.isArray(items) ? items : undefined;
}

/** Whether a server says that a tool does not change anything (MCP 2025-11-25, `ToolAnnotations`); without a hint it may. */
export function isReadOnlyTool(tool: unknown): boolean {
  return memberOf(memberOf(tool, 'annotations'), 'readOnlyHint') === true;
}

/**
 * Whether a tool may destroy something, as far as the server says (MCP 2025-11-25, `ToolAnnotations`): `destructiveHint` is
 * true by default, and has a meaning only for a tool that is not read-only.
 */
export function isDestructiveTool(tool: unknown): boolean {
  return !isReadOnlyTool(tool) && memberOf(memberOf(tool, 'annotations'), 'destructiveHint') !== false;
}
