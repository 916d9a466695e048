import { memberOf, type RpcResponse } from '../../mcp/json-rpc.ts';
import { itemsIn } from '../../mcp/lists.ts';

/** Tools that are remembered. */
const maxTools = 10_000;

/**
 * The tools that a legacy server runs as tasks only (MCP 2025-11-25, tasks): it says so in its list, or refuses a plain call with
 * -32601.
 */
export class RequiredTasks {
  readonly #tools = new Set<unknown>();
  #isSupported = false;

  /** @param capabilities of the server. */
  introduced(capabilities: unknown): void {
    const requests = memberOf(memberOf(capabilities, 'tasks'), 'requests');
    this.#isSupported = memberOf(memberOf(requests, 'tools'), 'call') !== undefined;
  }

  /** Whether the server runs tools as tasks at all. */
  get isSupported(): boolean {
    return this.#isSupported;
  }

  /** @param response to a `tools/list`. */
  listed({ json: { result } }: RpcResponse): void {
    if (!this.#isSupported) return;
    for (const tool of itemsIn('tools/list', result) ?? []) {
      const support = memberOf(memberOf(tool, 'execution'), 'taskSupport');
      const name = memberOf(tool, 'name');
      if (support === 'required') this.add(name);
      else this.#tools.delete(name);
    }
  }

  add(name: unknown): void {
    if (this.#tools.size < maxTools) this.#tools.add(name);
  }

  has(name: unknown): boolean {
    return this.#tools.has(name);
  }
}
