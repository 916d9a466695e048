import { hash } from 'node:crypto';

import { memberOf, type RequestId, type RpcMessage, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { spanOf } from '../../mcp/json/locate-members.ts';
import { elementsOf } from '../../mcp/json/scan.ts';
import { itemsIn, listMemberOf } from '../../mcp/lists.ts';
import { inOnePiece, type Bytes } from '../../platform/bytes.ts';
import type { Policy, ToolFacts } from '../../policy/policy.ts';
import { makeRoom } from '../limits.ts';
import type { Upstream, UpstreamEvents } from '../upstream/upstream.ts';

/** Lists that are being read, and most tools of one; of more tools, changes are not noticed. */
const maxLists = 16;
const maxTools = 10_000;

/** Names in the report of a change, and longest name there, in characters. */
const maxNames = 20;
const maxNameLength = 200;

const method = 'tools/list';

const noTools: ReadonlyMap<string, ToolFacts> = new Map();

/** What is different in a list of tools since it was last read: the first names of each kind. */
export interface ToolsChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** With anything that is different: a description or a schema can make a model do something else. */
  readonly changed: readonly string[];
}

/** Digests of tools, by name. */
type Digests = Map<string, string>;

/**
 * The upstream of a session, which reports changes of the list of tools while rules apply to them, or calls need approval: a
 * server that was trusted with certain tools may offer others under the same names later.
 */
export function watchTools(
  upstream: Upstream,
  { policy, approvals }: { readonly policy: Policy | undefined; readonly approvals: object | undefined },
  onChange: ((change: ToolsChange) => void) | undefined,
): Upstream {
  // A call that names no tool is refused exactly if there is a rule for tools.
  const hasRule =
    approvals !== undefined || policy?.decide({ method: 'tools/call', params: {} }, noTools) !== undefined;
  return hasRule && onChange !== undefined ? new WatchedTools(upstream, onChange) : upstream;
}

/** Reads the lists that pass, whoever asks for them, and changes nothing. */
class WatchedTools implements Upstream {
  readonly isWritable = (): boolean => this.#upstream.isWritable();
  readonly whenWritable = (callback: () => void): void => this.#upstream.whenWritable(callback);
  readonly pause = (): void => this.#upstream.pause();
  readonly resume = (): void => this.#upstream.resume();
  readonly #upstream: Upstream;
  readonly #onChange: (change: ToolsChange) => void;
  /** The last list that was read to its end. */
  #known: Digests | undefined;
  /** The beginnings of lists, by the request for the next page, and by its cursor until it is requested. */
  readonly #requested = new Map<RequestId, Digests>();
  readonly #begun = new Map<string, Digests>();

  constructor(upstream: Upstream, onChange: (change: ToolsChange) => void) {
    this.#upstream = upstream;
    this.#onChange = onChange;
  }

  start(events: UpstreamEvents): void {
    this.#upstream.start({
      onMessage: (message, origin) => {
        if (message.kind === 'response' && this.#requested.size > 0) this.#read(message);
        events.onMessage(message, origin);
      },
      onLost: (end) => events.onLost?.(end),
      onClose: (end) => events.onClose(end),
    });
  }

  send(message: RpcMessage): boolean {
    if (message.kind === 'request' && message.method === method) this.#request(message);
    return this.#upstream.send(message);
  }

  close(): Promise<void> {
    return this.#upstream.close();
  }

  #request({ id, json: { params } }: RpcRequest): void {
    const cursor = memberOf(params, 'cursor');
    const list = typeof cursor === 'string' ? this.#begun.get(cursor) : new Map<string, string>();
    if (list === undefined) return;
    makeRoom(this.#requested, maxLists);
    this.#requested.set(id, list);
  }

  #read({ id, failed, json: { result }, bytes }: RpcResponse): void {
    const begun = this.#requested.get(id);
    if (begun === undefined) return;
    this.#requested.delete(id);
    const tools = failed ? undefined : itemsIn(method, result);
    if (tools === undefined || begun.size + tools.length > maxTools) return;
    const texts = textsIn(bytes, tools.length);
    // A copy, since the page before may be followed by this one again.
    const list = new Map(begun);
    for (const [at, tool] of tools.entries()) {
      const name = memberOf(tool, 'name');
      const text = texts[at];
      if (typeof name === 'string' && text !== undefined) list.set(name, hash('sha256', text, 'base64'));
    }
    const cursor = memberOf(result, 'nextCursor');
    if (typeof cursor === 'string') {
      makeRoom(this.#begun, maxLists);
      this.#begun.set(cursor, list);
      return;
    }
    const known = this.#known;
    this.#known = list;
    if (known === undefined) return;
    const change = changeOf(known, list);
    if (Object.values(change).some((names: readonly string[]) => names.length > 0)) this.#onChange(change);
  }
}

/** The tools as they were sent: what has been parsed of a large message lacks its long texts. */
function textsIn(message: Bytes, count: number): readonly Buffer[] {
  const bytes = inOnePiece(message);
  const { start, end } = spanOf(bytes, ['result', listMemberOf(method) ?? '']) ?? { start: 0, end: 0 };
  const texts = elementsOf(bytes.subarray(start, end), count);
  return Array.isArray(texts) ? texts : [];
}

function changeOf(before: Digests, now: Digests): ToolsChange {
  const some = (list: Digests, fits: (name: string, digest: string) => boolean): string[] =>
    [...list]
      .filter(([name, digest]) => fits(name, digest))
      .slice(0, maxNames)
      .map(([name]) => name.slice(0, maxNameLength));
  return {
    added: some(now, (name) => !before.has(name)),
    removed: some(before, (name) => !now.has(name)),
    changed: some(now, (name, digest) => before.has(name) && before.get(name) !== digest),
  };
}
