import type { Clock } from '../../platform/clock.ts';
import { memberOf, type RequestId } from '../../mcp/json-rpc.ts';
import type { Policy } from '../../policy/policy.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Approvals, CallToApprove } from './pending-approvals.ts';
import { restrict } from './restricted-upstream.ts';
import { watchTools, type ToolsChange } from './watched-tools.ts';

/** Longest name or version of a client in a question, in characters. */
const maxInfoLength = 200;

/** Who opens a session, or sends a request without one. */
export interface SessionCaller {
  /** Nobody else may use the session. */
  readonly id: string;
  /** For people. */
  readonly label: string;
  /** Address of the client, if it is known. */
  readonly address?: string | undefined;
}

/** Who is behind a call that needs approval. */
export interface CallOrigin {
  /** As `SessionCaller.label`. */
  readonly caller: string;
  /** As `SessionCaller.address`. */
  readonly client: string | undefined;
  /** What the client says it is; cut. */
  readonly clientInfo: { readonly name: string; readonly version: string };
}

/** How calls of all clients are approved: as `Approvals`, and told who calls. */
export interface SessionApprovals extends Pick<Approvals, 'rule'> {
  ask(call: Omit<CallToApprove, 'id'> & CallOrigin, signal: AbortSignal): ReturnType<Approvals['ask']>;
}

export interface GuardOptions {
  /** What the caller may use; undefined: everything. */
  readonly policy: Policy | undefined;
  /** Undefined if no call needs approval. */
  readonly approvals?: SessionApprovals | undefined;
  /** Whose call a request is, by its id at the upstream. */
  readonly originOf: (id: RequestId) => CallOrigin;
  /** The tools of the server have changed while rules apply to them, or calls need approval. */
  readonly onToolsChange?: ((change: ToolsChange) => void) | undefined;
  readonly clock: Clock;
}

/** An upstream as one caller may use it: what a policy allows passes, and what is to be approved waits until it is. */
export function guard(upstream: Upstream, options: GuardOptions): Upstream {
  const { policy, approvals: asked, originOf: origin, onToolsChange, clock } = options;
  const approvals: Approvals | undefined = asked && {
    rule: asked.rule,
    ask: ({ id, ...call }, signal) => asked.ask({ ...call, ...origin(id) }, signal),
  };
  return restrict(watchTools(upstream, { policy, approvals }, onToolsChange), { policy, approvals, clock });
}

/** @param clientInfo as the client has sent it (MCP, `Implementation`). */
export function originOf({ label, address }: SessionCaller, clientInfo: unknown): CallOrigin {
  const [name = '', version = ''] = ['name', 'version'].map((member) => textOf(memberOf(clientInfo, member)));
  return { caller: label, client: address, clientInfo: { name, version } };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, maxInfoLength) : '';
}
