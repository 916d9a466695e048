import { randomBytes } from 'node:crypto';

import { memberOf, metaOf, type RpcMessage, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { isDestructiveTool, isReadOnlyTool, itemsIn } from '../../mcp/lists.ts';
import { newNotification, newRequest } from '../../mcp/new-message.ts';
import type { Clock } from '../../platform/clock.ts';
import { clientCapabilitiesKey, clientInfoKey, protocolVersionKey } from '../../mcp/envelope-keys.ts';
import type { ToolFacts } from '../../policy/policy.ts';

/** How long a server may take to list its tools, in milliseconds: a call waits for it. */
const timeoutMs = 10_000;

/** How long what a modern server says of its tools is believed, in milliseconds: it tells of changes only on subscriptions. */
const modernTrustMs = 60_000;

/** Most pages that are read before a call is decided, also those of a list that changes meanwhile, and most tools. */
const maxPages = 100;
const maxTools = 10_000;

const method = 'tools/list';

/** Without them, a modern server refuses a request (MCP 2026-07-28, "Request Metadata"). */
const envelopeKeys = [protocolVersionKey, clientCapabilitiesKey, clientInfoKey];

interface Envelope {
  readonly _meta: Readonly<Record<string, unknown>>;
}

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
  #knownUntil = Infinity;
  /** Undefined unless an answer is awaited. */
  #asking:
    | {
        id: string;
        pages: number;
        /** For a modern server. */
        readonly envelope: Envelope | undefined;
        readonly found: Map<string, ToolFacts>;
        readonly cancelTimeout: () => void;
      }
    | undefined;

  constructor(options: ServerToolsOptions) {
    this.#options = options;
  }

  /** By name; undefined if they are not known. */
  get known(): Tools | undefined {
    if (this.#options.clock.now() >= this.#knownUntil) this.#known = undefined;
    return this.#known;
  }

  /**
   * Asks for all pages of the list, unless that is being done.
   * @param call because of which: a modern server reads in each request who its client is.
   */
  ask(call: RpcRequest): void {
    if (this.#asking !== undefined) return;
    const cancelTimeout = this.#options.clock.after(timeoutMs, () => this.#giveUp());
    this.#asking = { id: '', pages: 0, envelope: envelopeOf(call), found: new Map(), cancelTimeout };
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
    const request = newRequest(asking.id, method, { ...asking.envelope, ...(cursor === undefined ? {} : { cursor }) });
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
    const isModern = this.#asking?.envelope !== undefined;
    this.#knownUntil = isModern ? this.#options.clock.now() + modernTrustMs : Infinity;
    this.close();
    this.#known = tools;
    this.#options.onListed();
  }
}

function envelopeOf(call: RpcRequest): Envelope | undefined {
  const meta = metaOf(call);
  if (memberOf(meta, protocolVersionKey) === undefined) return undefined;
  return { _meta: Object.fromEntries(envelopeKeys.map((key) => [key, memberOf(meta, key)])) };
}
