/** Requests of the legacy era that the modern one does not have (MCP 2026-07-28, changelog). */
export const removedMethods: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
  'tasks/list',
  'tasks/result',
]);

/** The request whose response stays open for notifications (MCP 2026-07-28, subscriptions). */
export const listenMethod = 'subscriptions/listen';

/** The member of a server's capabilities that stands for a method (MCP 2026-07-28, "Server Features"). */
const capabilities: ReadonlyMap<string, string> = new Map([
  ['tools/list', 'tools'],
  ['tools/call', 'tools'],
  ['prompts/list', 'prompts'],
  ['prompts/get', 'prompts'],
  ['resources/list', 'resources'],
  ['resources/templates/list', 'resources'],
  ['resources/read', 'resources'],
  ['completion/complete', 'completions'],
]);

/** That member, or undefined for a method that no capability stands for. */
export function capabilityOf(method: string): string | undefined {
  return capabilities.get(method);
}

/** The requests that name a task (SEP-2663). */
export const taskMethods: ReadonlySet<string> = new Set(['tasks/get', 'tasks/update', 'tasks/cancel']);
