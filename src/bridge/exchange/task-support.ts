import { memberOf, type RpcResponse } from '../../mcp/json-rpc.ts';
import { itemsIn } from '../../mcp/lists.ts';
import { newRequest } from '../../mcp/new-message.ts';
import { runsToolsAsTasks } from '../translate/capabilities.ts';
import type { LegacyPeer } from './legacy-peer.ts';

/** Pages that are read, and tools that are remembered. */
const maxPages = 100;
const maxTools = 10_000;

/** Whether a tool must be run as a task, or can be. */
type Support = 'required' | 'optional';

/**
 * Which tools a legacy server runs as tasks (MCP 2025-11-25, tasks, "Tool-Level Negotiation"). Its list says so, which is read
 * before the first call where the server runs tools as tasks at all.
 */
export class TaskSupport {
  readonly #peer: LegacyPeer;
  #tools: ReadonlyMap<unknown, Support> = new Map();
  /** Undefined while the list need not be read, or has been. */
  #waiting: (() => void)[] | undefined;
  #isSupported = false;
  #isKnown = false;

  constructor(peer: LegacyPeer) {
    this.#peer = peer;
  }

  /** @param capabilities of the server. */
  introduced(capabilities: unknown): void {
    this.#isSupported = runsToolsAsTasks(capabilities);
  }

  /** The server may have other tools now. */
  forget(): void {
    this.#isKnown = false;
  }

  /** Undefined if the tool is not run as a task. */
  of(tool: unknown): Support | undefined {
    return this.#tools.get(tool);
  }

  /** Calls back when it is known which tools these are, as far as the server says so. */
  whenKnown(callback: () => void): void {
    if (!this.#isSupported || this.#isKnown) {
      callback();
      return;
    }
    if (this.#waiting === undefined) {
      this.#waiting = [];
      this.#readPage(new Map(), 1, {});
    }
    this.#waiting.push(callback);
  }

  #readPage(found: Map<unknown, Support>, page: number, params: Readonly<Record<string, unknown>>): void {
    this.#peer.request(newRequest(this.#peer.nextId(), 'tools/list', params), {
      answered: (response) => {
        note(response, found);
        const cursor = memberOf(response.json['result'], 'nextCursor');
        if (typeof cursor === 'string' && page < maxPages) this.#readPage(found, page + 1, { cursor });
        else this.#settle(found);
      },
      failed: () => this.#settle(found),
    });
  }

  #settle(found: Map<unknown, Support>): void {
    this.#tools = found;
    this.#isKnown = true;
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const callback of waiting) callback();
  }
}

function note({ json: { result } }: RpcResponse, found: Map<unknown, Support>): void {
  for (const tool of itemsIn('tools/list', result) ?? []) {
    const support = memberOf(memberOf(tool, 'execution'), 'taskSupport');
    const isRun = support === 'required' || support === 'optional';
    if (isRun && found.size < maxTools) found.set(memberOf(tool, 'name'), support);
  }
}
