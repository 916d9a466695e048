import { memberOf } from '../mcp/json-rpc.ts';
import { isReadOnlyTool, itemsIn, listMemberOf } from '../mcp/lists.ts';
import { Globs, maxMatchedLength } from './glob.ts';

/**
 * What callers may use, by globs (`*` any characters, `?` one). Without a list of what is allowed, all is; what is denied
 * is not allowed in any case.
 */
export interface PolicyRules {
  readonly allowTools?: readonly string[] | undefined;
  readonly denyTools?: readonly string[] | undefined;
  /** On URIs; in the list of resource templates, on the templates as they are. */
  readonly allowResources?: readonly string[] | undefined;
  readonly denyResources?: readonly string[] | undefined;
  readonly allowPrompts?: readonly string[] | undefined;
  readonly denyPrompts?: readonly string[] | undefined;
  /**
   * Only tools that the server annotates with `readOnlyHint: true`, and those that `allowTools` names without a wildcard.
   */
  readonly readOnly?: boolean | undefined;
}

export type RestrictedKind = 'tool' | 'resource' | 'prompt';

export interface Denied {
  readonly what: RestrictedKind;
  /** The name or URI; empty if the request has none that can be read, or one that is too long. */
  readonly name: string;
  /** `not_read_only`: only because the tool's annotations, as far as they are known, do not say that it is. */
  readonly reason: 'not_allowed' | 'not_read_only';
}

/** What a server says of a tool. */
export interface ToolFacts {
  readonly isReadOnly: boolean;
  /** It may destroy something, or the server does not say that it does not. */
  readonly isDestructive: boolean;
}

/** A request, or a notification that names a method of one. */
export interface RestrictedRequest {
  readonly method: string;
  readonly params: unknown;
}

export interface Policy {
  /** Nothing is restricted, so nobody needs to ask. */
  readonly isOpen: boolean;
  /** Whether deciding about tools takes what the server says of them. */
  readonly needsAnnotations: boolean;
  /**
   * Why a request must not reach the server.
   * @param tools by name; those that are not in it count as not annotated.
   */
  decide(request: RestrictedRequest, tools: ReadonlyMap<string, ToolFacts>): Denied | undefined;
  /** The result of a list without what is not allowed; the same object if that changes nothing. */
  trim(method: string, result: unknown): unknown;
}

export const openPolicy: Policy = {
  isOpen: true,
  needsAnnotations: false,
  decide: () => undefined,
  trim: (_method, result) => result,
};

export function createPolicy(rules: PolicyRules): Policy {
  const policy = new RulePolicy(rules);
  return policy.isOpen ? openPolicy : policy;
}

/** Allows what both allow. */
export function both(one: Policy, other: Policy): Policy {
  if (one.isOpen) return other;
  if (other.isOpen) return one;
  return {
    isOpen: false,
    needsAnnotations: one.needsAnnotations || other.needsAnnotations,
    decide: (request, tools) => one.decide(request, tools) ?? other.decide(request, tools),
    trim: (method, result) => other.trim(method, one.trim(method, result)),
  };
}

/** The tools that are allowed although only read-only ones are: whoever sets the rules should be told once. */
export function readOnlyExceptions({ readOnly, allowTools, denyTools }: PolicyRules): readonly string[] {
  if (readOnly !== true) return [];
  const denied = new Globs(denyTools ?? []);
  return [...new Globs(allowTools ?? []).literals].filter((tool) => !denied.match(tool));
}

interface Rule {
  readonly allow: Globs | undefined;
  readonly deny: Globs;
}

/** The member that names an item of a list. */
const nameMembers: ReadonlyMap<string, string> = new Map([
  ['resources/list', 'uri'],
  ['resources/templates/list', 'uriTemplate'],
]);

/** A server may take `file:///public/../private` for `file:///private`: no rule on URIs allows it (RFC 3986 §5.2.4). */
const parentSegment = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){2}(?:$|[/\\?#]|%2f|%5c)/i;

class RulePolicy implements Policy {
  readonly isOpen: boolean;
  readonly needsAnnotations: boolean;
  readonly #rules = new Map<RestrictedKind, Rule>();

  constructor(rules: PolicyRules) {
    this.needsAnnotations = rules.readOnly === true;
    const { allowTools, denyTools = [], allowResources, denyResources = [], allowPrompts, denyPrompts = [] } = rules;
    this.#add('tool', allowTools, denyTools);
    this.#add('resource', allowResources, denyResources);
    this.#add('prompt', allowPrompts, denyPrompts);
    this.isOpen = this.#rules.size === 0;
  }

  #add(kind: RestrictedKind, allow: readonly string[] | undefined, deny: readonly string[]): void {
    if (allow === undefined && deny.length === 0 && !(kind === 'tool' && this.needsAnnotations)) return;
    this.#rules.set(kind, { allow: allow === undefined ? undefined : new Globs(allow), deny: new Globs(deny) });
  }

  decide({ method, params }: RestrictedRequest, tools: ReadonlyMap<string, ToolFacts>): Denied | undefined {
    if (method === 'completion/complete') {
      const ref = memberOf(params, 'ref');
      const [prompt, resource] = [memberOf(ref, 'name'), memberOf(ref, 'uri')];
      return (
        (prompt === undefined ? undefined : this.#judge('prompt', prompt, false)) ??
        (resource === undefined ? undefined : this.#judge('resource', resource, false))
      );
    }
    const kind = kindOf(method);
    if (kind === undefined || listMemberOf(method) !== undefined) return undefined;
    const name = memberOf(params, kind === 'resource' ? 'uri' : 'name');
    return this.#judge(kind, name, typeof name === 'string' && tools.get(name)?.isReadOnly === true);
  }

  trim(method: string, result: unknown): unknown {
    const kind = kindOf(method);
    const member = listMemberOf(method);
    const items = itemsIn(method, result);
    if (kind === undefined || member === undefined || items === undefined) return result;
    const nameMember = nameMembers.get(method) ?? 'name';
    const allowed = items.filter((item) => !this.#judge(kind, memberOf(item, nameMember), isReadOnlyTool(item)));
    return allowed.length === items.length ? result : Object.assign({}, result, { [member]: allowed });
  }

  #judge(what: RestrictedKind, name: unknown, isReadOnly: boolean): Denied | undefined {
    const rule = this.#rules.get(what);
    if (rule === undefined) return undefined;
    if (typeof name !== 'string' || name.length > maxMatchedLength) return { what, name: '', reason: 'not_allowed' };
    const isAllowed =
      rule.allow?.match(name) !== false && !rule.deny.match(name) && !(what === 'resource' && parentSegment.test(name));
    if (!isAllowed) return { what, name, reason: 'not_allowed' };
    if (what !== 'tool' || !this.needsAnnotations || isReadOnly || rule.allow?.literals.has(name) === true)
      return undefined;
    return { what, name, reason: 'not_read_only' };
  }
}

/** Whether requests with this method name one tool. */
export function namesTool(method: string): boolean {
  return kindOf(method) === 'tool' && listMemberOf(method) === undefined;
}

/** What the requests of a group of methods name, also those of later revisions. */
function kindOf(method: string): RestrictedKind | undefined {
  if (method.startsWith('tools/')) return 'tool';
  if (method.startsWith('resources/')) return 'resource';
  return method.startsWith('prompts/') ? 'prompt' : undefined;
}
