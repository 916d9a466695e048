import { decodeHeaderValue } from './header-value.ts';

/** The headers of an HTTP request that decide how its message is served, or repeat parts of it. */
export interface MessageHeaders {
  /** `Mcp-Session-Id` */
  readonly session?: string | undefined;
  /** `MCP-Protocol-Version` */
  readonly revision?: string | undefined;
  /** `Mcp-Method` */
  readonly method?: string | undefined;
  /** `Mcp-Name` */
  readonly name?: string | undefined;
}

/** The members of `params` that a header may repeat, of which each method has at most one. */
export type NameMember = 'name' | 'uri' | 'taskId';

/** MCP 2026-07-28, "Standard Request Headers"; for tasks, their extension (SEP-2663). */
const nameMembers: ReadonlyMap<string, NameMember> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

/** The member of `params` that `Mcp-Name` repeats for a method; undefined if the method has no such header. */
export function nameMemberOf(method: string): NameMember | undefined {
  return nameMembers.get(method);
}

/**
 * Which header of a modern request is missing, or says something else than its body (MCP 2026-07-28, "Server Validation");
 * undefined if none does.
 * @param name the value of the member that `Mcp-Name` repeats; undefined if it is no string.
 */
export function headerProblem(
  headers: MessageHeaders,
  body: { readonly revision: string; readonly method: string; readonly name: string | undefined },
): string | undefined {
  if (headers.revision === undefined) return 'the MCP-Protocol-Version header is missing';
  if (headers.method === undefined) return 'the Mcp-Method header is missing';
  const method = methodProblem(headers, body.method);
  const member = nameMemberOf(body.method);
  if (method !== undefined || member === undefined) return method;
  if (headers.name === undefined) return body.name === undefined ? undefined : 'the Mcp-Name header is missing';
  const name = decodeHeaderValue(headers.name);
  if (name === undefined) return 'the Mcp-Name header has characters that it cannot have, or its base64 is invalid';
  return name === body.name ? undefined : `the Mcp-Name header is not params.${member} of the body`;
}

/** That the header with the method, if there is one, names another one than the body. */
export function methodProblem({ method }: MessageHeaders, inBody: string): string | undefined {
  return method === undefined || method === inBody
    ? undefined
    : `the Mcp-Method header is not the method of the body, ${JSON.stringify(inBody.slice(0, 64))}`;
}

/** That the header with the revision, if there is one, names another one than the body. */
export function revisionProblem({ revision }: MessageHeaders, inBody: string): string | undefined {
  return revision === undefined || revision === inBody
    ? undefined
    : 'the MCP-Protocol-Version header is not the revision in params._meta of the body';
}
