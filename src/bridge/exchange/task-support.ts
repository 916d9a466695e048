import { memberOf, type RequestId } from '../../mcp/json-rpc.ts';
import { itemsIn } from '../../mcp/lists.ts';
import { newRequest } from '../../mcp/new-message.ts';
import type { Clock } from '../../platform/clock.ts';
import { runsToolsAsTasks } from '../translate/capabilities.ts';
import type { LegacyPeer } from './legacy-peer.ts';

/** How long a server may take to list its tools, in milliseconds: calls wait for it. */
const timeoutMs = 10_000;

/** Pages that are read, also of a list that changes meanwhile, and tools that are remembered. */
const maxPages = 100;
const maxTools = 10_000;

/** Whether a tool must be run as a task, or can be. */
type Support = 'required' | 'optional';

interface Reading {
  readonly found: Map<unknown, Support>;
  /** Of the request for the newest page. */
  id: RequestId;
  pages: number;
  /** The server may have other tools than those that were found. */
  isStale: boolean;
  readonly cancelTimeout: () => void;
}

/**
 * Which tools a legacy server runs as tasks (MCP 2025-11-25, tasks, "Tool-Level Negotiation"). Its list says so, which is read
 * before the first call of a tool where the server runs tools as tasks at all, and again after each change.
 */
export class TaskSupport {
  readonly #peer: LegacyPeer;
  readonly #clock: Clock;
  #tools: ReadonlyMap<unknown, Support> = new Map();
  /** Undefined unless the list is being read. */
  #reading: Reading | undefined;
  /** By the calls that wait for it. */
  readonly #waiting = new Map<unknown, () => void>();
  #isSupported = false;
  #isKnown = false;

  constructor(peer: LegacyPeer, clock: Clock) {
    this.#peer = peer;
    this.#clock = clock;
  }

  /** @param capabilities of the server. */
  introduced(capabilities: unknown): void {
    this.#isSupported = runsToolsAsTasks(capabilities);
  }

  /** The server may have other tools now. */
  forget(): void {
    this.#isKnown = false;
    if (this.#reading !== undefined) this.#reading.isStale = true;
  }

  /** Undefined if the tool is not run as a task. */
  of(tool: unknown): Support | undefined {
    return this.#tools.get(tool);
  }

  /** Calls back when it is known which tools these are, as far as the server says so. @param call that waits for it. */
  whenKnown(call: unknown, callback: () => void): void {
    if (!this.#isSupported || this.#isKnown) {
      callback();
      return;
    }
    this.#waiting.set(call, callback);
    if (this.#reading !== undefined) return;
    const cancelTimeout = this.#clock.after(timeoutMs, () => this.#giveUp());
    this.#reading = { found: new Map(), id: 0, pages: 0, isStale: false, cancelTimeout };
    this.#readPage(this.#reading, {});
  }

  /** A call does not wait any more. */
  drop(call: unknown): void {
    this.#waiting.delete(call);
  }

  #readPage(reading: Reading, params: Readonly<Record<string, unknown>>): void {
    reading.id = this.#peer.nextId();
    reading.pages++;
    this.#peer.request(newRequest(reading.id, 'tools/list', params), {
      answered: ({ json }) => this.#take(reading, json['result']),
      failed: () => this.#take(reading, undefined),
    });
  }

  /** @param page undefined if there is none. */
  #take(reading: Reading, page: unknown): void {
    const tools = itemsIn('tools/list', page);
    const isLast = reading.pages >= maxPages;
    if (reading.isStale && !isLast) {
      reading.isStale = false;
      reading.found.clear();
      this.#readPage(reading, {});
    } else if (reading.isStale || tools === undefined) {
      this.#settle(undefined);
    } else {
      note(tools, reading.found);
      const cursor = memberOf(page, 'nextCursor');
      if (typeof cursor === 'string' && !isLast) this.#readPage(reading, { cursor });
      else this.#settle(reading.found);
    }
  }

  #giveUp(): void {
    if (this.#reading !== undefined) this.#peer.cancel(this.#reading.id, 'timeout');
    this.#settle(undefined);
  }

  /** @param found undefined if the list was not read to its end: calls go by what was known before, and the next one asks again. */
  #settle(found: ReadonlyMap<unknown, Support> | undefined): void {
    this.#reading?.cancelTimeout();
    this.#reading = undefined;
    this.#isKnown = found !== undefined;
    this.#tools = found ?? this.#tools;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const callback of waiting) callback();
  }
}

function note(tools: readonly unknown[], found: Map<unknown, Support>): void {
  for (const tool of tools) {
    const support = memberOf(memberOf(tool, 'execution'), 'taskSupport');
    const isRun = support === 'required' || support === 'optional';
    if (isRun && found.size < maxTools) found.set(memberOf(tool, 'name'), support);
  }
}
