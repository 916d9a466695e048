import { memberOf } from '../mcp/json-rpc.ts';
import { Globs, maxMatchedLength } from './glob.ts';
import { namesTool, type RestrictedRequest, type ToolFacts } from './policy.ts';

const everything = 'all';
const destructive = 'destructive';

/** Which calls wait for approval: `all`, those of `destructive` tools, and those of tools that a glob matches. */
export class ApprovalRule {
  readonly #isForAll: boolean;
  readonly #isForDestructive: boolean;
  readonly #globs: Globs;

  /** @param approve `all`, `destructive` or globs of tool names (`*` any characters, `?` one). */
  constructor(approve: readonly string[]) {
    this.#isForAll = approve.includes(everything);
    this.#isForDestructive = approve.includes(destructive);
    this.#globs = new Globs(approve.filter((what) => what !== everything && what !== destructive));
  }

  /**
   * Whether a request needs approval; `unknown` if that depends on what the server says of its tools.
   * @param tools by name; undefined if they are not known. One that is not in it counts as destructive.
   */
  decide({ method, params }: RestrictedRequest, tools: ReadonlyMap<string, ToolFacts> | undefined): ApprovalNeed {
    if (!namesTool(method)) return 'unneeded';
    const name = memberOf(params, 'name');
    if (this.#isForAll || typeof name !== 'string' || name.length > maxMatchedLength) return 'needed';
    if (this.#globs.match(name)) return 'needed';
    if (!this.#isForDestructive) return 'unneeded';
    if (tools === undefined) return 'unknown';
    return tools.get(name)?.isDestructive === false ? 'unneeded' : 'needed';
  }
}

export type ApprovalNeed = 'needed' | 'unneeded' | 'unknown';
