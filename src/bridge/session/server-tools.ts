import { randomBytes } from 'node:crypto';

import { memberOf, type RpcMessage, type RpcResponse } from '../../mcp/json-rpc.ts';
import { isDestructiveTool, isReadOnlyTool, itemsIn } from '../../mcp/lists.ts';
import { newNotification, newRequest } from '../../mcp/new-message.ts';
import type { Clock } from '../../platform/clock.ts';
import type { ToolFacts } from '../../policy/policy.ts';

/** How long a server may take to list its tools, in milliseconds: a call waits for it. */
const timeoutMs = 10_000;

/** Most pages that are read before a call is decided, also those of a list that changes meanwhile, and most tools. */
const maxPages = 100;
const maxTools = 10_000;

const method = 'tools/list';

type Tools = ReadonlyMap<string, ToolFacts>;

export interface ServerToolsOptions {
  readonly send: (message: RpcMessage) => boolean;
  readonly clock: Clock;
  /** The server has listed its tools, or has not: then they are not known. */
  readonly onListed: () => void;
}

/** What the server of a session says of its tools. It is asked when that is needed, and again after each change. */
export class ServerTools {
  readonly #options: ServerToolsOptions;
  /** Cannot be guessed, so no id of a client begins with it. */
  readonly #prefix = `mcp-expose-${randomBytes(16).toString('base64url')}-`;
  #lastId = 0;
  #known: Tools | undefined;
  /** Undefined unless an answer is awaited. */
  #asking:
    | { id: string; pages: number; readonly found: Map<string, ToolFacts>; readonly cancelTimeout: () => void }
    | undefined;

  constructor(options: ServerToolsOptions) {
    this.#options = options;
  }

  /** By name; undefined if they are not known. */
  get known(): Tools | undefined {
    return this.#known;
  }

  /** Asks for all pages of the list, unless that is being done. */
  ask(): void {
    if (this.#asking !== undefined) return;
    const cancelTimeout = this.#options.clock.after(timeoutMs, () => this.#giveUp());
    this.#asking = { id: '', pages: 0, found: new Map(), cancelTimeout };
    this.#askForPage();
  }

  /** @returns whether it is an answer to a request from here, which the client must not get. */
  receive(response: RpcResponse): boolean {
    if (typeof response.id !== 'string' || !response.id.startsWith(this.#prefix)) return false;
    // Another id is that of a list that has changed meanwhile.
    if (response.id === this.#asking?.id) this.#takePage(response);
    return true;
  }

  /** What is known does not hold any more. */
  forget(): void {
    this.#known = undefined;
    if (this.#asking === undefined) return;
    this.#asking.found.clear();
    this.#askForPage();
  }

  close(): void {
    this.#asking?.cancelTimeout();
    this.#asking = undefined;
  }

  #askForPage(cursor?: string): void {
    const asking = this.#asking;
    if (asking === undefined) return;
    asking.id = `${this.#prefix}${++this.#lastId}`;
    const request = newRequest(asking.id, method, cursor === undefined ? {} : { cursor });
    if (++asking.pages > maxPages || !this.#options.send(request)) this.#settle(undefined);
  }

  #takePage({ failed, json: { result } }: RpcResponse): void {
    const found = this.#asking?.found;
    const tools = failed ? undefined : itemsIn(method, result);
    if (found === undefined || tools === undefined || found.size + tools.length > maxTools) {
      this.#settle(undefined);
      return;
    }
    for (const tool of tools) {
      const name = memberOf(tool, 'name');
      if (typeof name !== 'string') continue;
      // Of two tools with one name, the client may get either.
      const other = found.get(name);
      found.set(name, {
        isReadOnly: isReadOnlyTool(tool) && other?.isReadOnly !== false,
        isDestructive: isDestructiveTool(tool) || other?.isDestructive === true,
      });
    }
    const cursor = memberOf(result, 'nextCursor');
    if (typeof cursor === 'string') this.#askForPage(cursor);
    else this.#settle(found);
  }

  #giveUp(): void {
    const requestId = this.#asking?.id;
    this.#settle(undefined);
    this.#options.send(newNotification('notifications/cancelled', { requestId, reason: 'timeout' }));
  }

  #settle(tools: Tools | undefined): void {
    this.close();
    this.#known = tools;
    this.#options.onListed();
  }
}
