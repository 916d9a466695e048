import { tasksExtension } from '../../mcp/envelope-keys.ts';
import { memberOf } from '../../mcp/json-rpc.ts';
import { editMembers, editPlan, remove } from '../../mcp/json/edit-members.ts';
import { inOnePiece } from '../../platform/bytes.ts';
import { isObject } from '../../mcp/rpc-message.ts';

type Members = Readonly<Record<string, unknown>>;

/**
 * What a modern client's capabilities are to a legacy server. Roots are without `listChanged`, of which a modern client
 * cannot tell; nothing of tasks, which the eras do differently (SEP-2663).
 */
export function upstreamCapabilities(capabilities: unknown): Members {
  const { roots, sampling, elicitation, experimental, extensions } = isObject(capabilities) ? capabilities : {};
  const others = isObject(extensions) ? withoutMember(extensions, tasksExtension) : {};
  // A client that has no other extension shares the server of clients that have none.
  const named = Object.keys(others).length === 0 ? undefined : others;
  const given = { roots: isObject(roots) ? {} : undefined, sampling, elicitation, experimental, extensions: named };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => isObject(value)));
}

/** What a client lacks that does not declare the extension for tasks, as `data.requiredCapabilities` of error -32021. */
export const tasksRequired: Members = { extensions: { [tasksExtension]: {} } };

/** Whether a modern client knows tasks (SEP-2663, "Capability Negotiation"). */
export function declaresTasks(capabilities: unknown): boolean {
  return isObject(memberOf(memberOf(capabilities, 'extensions'), tasksExtension));
}

/** Whether a legacy server runs tools as tasks (MCP 2025-11-25, tasks, "Capabilities"). */
export function runsToolsAsTasks(capabilities: unknown): boolean {
  const requests = memberOf(memberOf(capabilities, 'tasks'), 'requests');
  return memberOf(memberOf(requests, 'tools'), 'call') !== undefined;
}

const withoutTasks = editPlan([
  [['tasks'], remove],
  [['extensions', tasksExtension], remove],
]);

/** A legacy client's capabilities, as JSON, as it declares them to a modern server: all but tasks. */
export function modernCapabilities(capabilities: Buffer): Buffer {
  return inOnePiece(editMembers(capabilities, withoutTasks).bytes);
}

/** The same for capabilities that say the same, whatever the order of their members. */
export function capabilityFingerprint(capabilities: unknown): string {
  return JSON.stringify(sorted(upstreamCapabilities(capabilities)));
}

/** What a client must be capable of to be asked this (MCP 2026-07-28, `InputRequest`); undefined for anything that cannot be asked. */
export function requiredCapabilities(method: string, params: unknown): Members | undefined {
  switch (method) {
    case 'roots/list':
      return { roots: {} };
    case 'sampling/createMessage': {
      const usesTools = memberOf(params, 'tools') !== undefined || memberOf(params, 'toolChoice') !== undefined;
      return { sampling: usesTools ? { tools: {} } : {} };
    }
    case 'elicitation/create':
      return { elicitation: memberOf(params, 'mode') === 'url' ? { url: {} } : { form: {} } };
    default:
      return undefined;
  }
}

/**
 * What of the required capabilities a client has not declared, in the same form (`data.requiredCapabilities` of error -32021);
 * undefined if nothing is missing. `elicitation: {}` declares forms, as before there were addresses.
 */
export function missingCapabilities(required: Members, declared: unknown): Members | undefined {
  const missing = new Map<string, unknown>();
  for (const [name, requirement] of Object.entries(required)) {
    const has = memberOf(declared, name);
    if (!isObject(has)) {
      missing.set(name, requirement);
      continue;
    }
    const isBare = memberOf(has, 'form') === undefined && memberOf(has, 'url') === undefined;
    const lacking = Object.entries(isObject(requirement) ? requirement : {}).filter(
      ([member]) => memberOf(has, member) === undefined && !(name === 'elicitation' && member === 'form' && isBare),
    );
    if (lacking.length > 0) missing.set(name, Object.fromEntries(lacking));
  }
  return missing.size === 0 ? undefined : Object.fromEntries(missing);
}

function withoutMember(members: Members, name: string): Members {
  return Object.fromEntries(Object.entries(members).filter(([key]) => key !== name));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([name, member]) => [name, sorted(member)]);
}
