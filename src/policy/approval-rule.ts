import { memberOf } from '../mcp/json-rpc.ts';
import { editDistance } from '../platform/text/edit-distance.ts';
import { Globs, maxMatchedLength } from './glob.ts';
import { namesTool, type RestrictedRequest, type ToolFacts } from './policy.ts';

const everything = 'all';
const destructive = 'destructive';

/** Changes that make a word out of a mistyped one. */
const maxTypos = 2;

/** Which calls wait for approval: `all`, those of `destructive` tools, and those of tools that a glob matches. */
export class ApprovalRule {
  readonly #isForAll: boolean;
  readonly #isForDestructive: boolean;
  readonly #globs: Globs;

  /** @param approve `all`, `destructive` or globs of tool names (`*` any characters, `?` one). */
  constructor(approve: readonly string[]) {
    this.#isForAll = approve.includes(everything);
    this.#isForDestructive = approve.includes(destructive);
    this.#globs = new Globs(globsIn(approve));
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

/** What is given without the words: globs of tool names, unless they make no difference. */
export function globsIn(approve: readonly string[]): readonly string[] {
  return approve.includes(everything) ? [] : approve.filter((what) => what !== destructive);
}

/**
 * The word that a glob was probably meant to be: as a glob it would match no tool, and no call would need approval.
 * @returns undefined for what looks like the name of a tool.
 */
export function probableWord(glob: string): string | undefined {
  if (glob === everything || glob === destructive) return undefined;
  const written = glob.trim().toLowerCase();
  if (written === everything) return everything;
  const isName = /[*?]/.test(written) || editDistance(written, destructive) > maxTypos;
  return isName ? undefined : destructive;
}

export type ApprovalNeed = 'needed' | 'unneeded' | 'unknown';
