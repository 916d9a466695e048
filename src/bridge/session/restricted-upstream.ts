import { systemClock, type Clock } from '../../platform/clock.ts';
import {
  memberOf,
  rpcCode,
  type RequestId,
  type RpcMessage,
  type RpcRequest,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { editMessage } from '../../mcp/edit-message.ts';
import { editPlan } from '../../mcp/json/edit-members.ts';
import { locateMembers, pathTree } from '../../mcp/json/locate-members.ts';
import { repeatedName } from '../../mcp/json/repeated-name.ts';
import { cancelledBy } from '../../mcp/lifecycle.ts';
import { listMemberOf } from '../../mcp/lists.ts';
import { listenMethod } from '../../mcp/modern-methods.ts';
import { withResult } from '../../mcp/trim-list.ts';
import { newError } from '../../mcp/new-message.ts';
import type { ApprovalNeed } from '../../policy/approval-rule.ts';
import type { Denied, Policy, ToolFacts } from '../../policy/policy.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';
import { ambiguous, clientGone, notTaken } from './call-failures.ts';
import { argumentsOf, PendingApprovals, tooLargeToApprove, type Approvals } from './pending-approvals.ts';
import type { CallFailure } from './pending-request.ts';
import { ServerTools } from './server-tools.ts';

/** Calls that wait until the server has listed its tools, in bytes; beyond it, no further one is taken. */
const maxHeldBytes = 16 * 1024 * 1024;

/** Longest name in an error, in characters. */
const maxNameLength = 200;

const judgedPaths = {
  id: ['id'],
  method: ['method'],
  name: ['params', 'name'],
  uri: ['params', 'uri'],
  promptRef: ['params', 'ref', 'name'],
  resourceRef: ['params', 'ref', 'uri'],
  subscriptions: ['params', 'notifications', 'resourceSubscriptions'],
} as const;

const judged = pathTree(judgedPaths);

/** Whoever approves a call reads its arguments too. */
const judgedWithArguments = pathTree({ ...judgedPaths, arguments: ['params', 'arguments'] });

/** Where a list says who may get it from a cache (MCP 2026-07-28, `CacheableResult`): what is left of it is for this caller. */
const notShared = editPlan([
  [['result', 'cacheScope'], (written) => (written === undefined ? undefined : Buffer.from('"private"'))],
]);

const noTools: ReadonlyMap<string, ToolFacts> = new Map();

export interface Restrictions {
  readonly policy: Policy | undefined;
  /** Undefined if no call needs approval. */
  readonly approvals?: Approvals | undefined;
  readonly clock?: Clock;
}

/** The upstream of a session in which not everything is allowed at once; the same upstream if everything is. */
export function restrict(upstream: Upstream, restrictions: Restrictions): Upstream {
  const { policy, approvals } = restrictions;
  const isOpen = policy === undefined || policy.isOpen;
  return isOpen && approvals === undefined ? upstream : new RestrictedUpstream(upstream, restrictions);
}

/** A call that waits for the list of tools. */
interface HeldCall {
  readonly call: RpcRequest;
  readonly isApproved: boolean;
}

/**
 * Passes on what a policy allows and, where that is needed, has been approved: another request gets an error here, and lists
 * are trimmed on their way back. All messages of the session pass, whatever transport and batch they came in.
 */
class RestrictedUpstream implements Upstream {
  readonly isWritable = (): boolean => this.#upstream.isWritable();
  readonly whenWritable = (callback: () => void): void => this.#upstream.whenWritable(callback);
  readonly pause = (): void => this.#upstream.pause();
  readonly resume = (): void => this.#upstream.resume();
  readonly #upstream: Upstream;
  readonly #policy: Policy | undefined;
  readonly #approvals: Approvals | undefined;
  readonly #pendingApprovals: PendingApprovals | undefined;
  readonly #tools: ServerTools;
  /** Methods of the list requests in flight. */
  readonly #lists = new Map<RequestId, string>();
  /** Calls that wait until it is known what the server says of its tools. */
  readonly #held = new Map<RequestId, HeldCall>();
  #heldBytes = 0;
  #events: UpstreamEvents | undefined;

  constructor(upstream: Upstream, { policy, approvals, clock = systemClock }: Restrictions) {
    this.#upstream = upstream;
    this.#policy = policy;
    this.#approvals = approvals;
    this.#pendingApprovals =
      approvals &&
      new PendingApprovals({
        ask: approvals.ask,
        clock,
        onProgress: (progress) => this.#events?.onMessage(progress),
        onDecided: (call, failure) => {
          if (failure !== undefined) this.#refuse(call, failure);
          // The server may say something else of its tools by now.
          else if (!this.#judgeAndAdmit(call, true)) this.#refuse(call, notTaken);
        },
      });
    this.#tools = new ServerTools({
      send: (message) => upstream.send(message),
      clock,
      onListed: () => this.#release(),
    });
  }

  start(events: UpstreamEvents): void {
    this.#events = events;
    this.#upstream.start({
      onMessage: (message, origin) => this.#receive(message, origin),
      onLost: (end) => this.#lose(end),
      onClose: (end) => {
        this.#end();
        events.onClose(end);
      },
    });
  }

  send(message: RpcMessage): boolean {
    const { duplicateKey } = locateMembers(message.bytes, this.#approvals === undefined ? judged : judgedWithArguments);
    if (duplicateKey !== undefined) return this.#refuse(message, ambiguous(duplicateKey));
    if (message.kind === 'response') return this.#upstream.send(message);
    const cancelled = cancelledBy(message);
    if (cancelled !== undefined) {
      this.#lists.delete(cancelled);
      if (this.#withdraw(cancelled)) return true;
    }
    return this.#judgeAndAdmit(message, false);
  }

  withdrawalOf(id: RequestId): (() => void) | undefined {
    if (!this.#held.has(id) && this.#pendingApprovals?.has(id) !== true) return undefined;
    return () => {
      if (this.#withdraw(id)) this.#answer(id, clientGone);
    };
  }

  close(): Promise<void> {
    this.#end();
    return this.#upstream.close();
  }

  #judge({ method, json }: Exclude<RpcMessage, RpcResponse>): Denied | undefined {
    return this.#policy?.decide({ method, params: json['params'] }, this.#tools.known ?? noTools);
  }

  #approvalOf({ method, json }: Exclude<RpcMessage, RpcResponse>): ApprovalNeed {
    return this.#approvals?.rule.decide({ method, params: json['params'] }, this.#tools.known) ?? 'unneeded';
  }

  /** As `#admit`, but waits for the tools if it depends on them. @returns false if it was not taken. */
  #judgeAndAdmit(message: Exclude<RpcMessage, RpcResponse>, isApproved: boolean): boolean {
    const denied = this.#judge(message);
    const takesTools =
      denied === undefined ? !isApproved && this.#approvalOf(message) === 'unknown' : denied.reason === 'not_read_only';
    return takesTools && this.#tools.known === undefined && message.kind === 'request'
      ? this.#hold(message, isApproved)
      : this.#admit(message, denied, isApproved);
  }

  /** Passes on a message, asks for its approval, or refuses it. @returns false if it was not taken. */
  #admit(message: Exclude<RpcMessage, RpcResponse>, denied: Denied | undefined, isApproved: boolean): boolean {
    if (denied !== undefined) return this.#refuse(message, failureOf(denied, this.#tools.known === undefined));
    if (isApproved || this.#approvalOf(message) === 'unneeded') return this.#forward(this.#withoutHidden(message));
    // A notification is dropped, since nobody could be told of the decision.
    if (message.kind === 'request') this.#ask(message);
    return true;
  }

  #ask(call: RpcRequest): void {
    const failure = tooLargeToApprove(call);
    if (failure !== undefined) {
      this.#refuse(call, failure);
      return;
    }
    const argumentsText = argumentsOf(call);
    const name = argumentsText && repeatedName(argumentsText);
    if (name === undefined) this.#pendingApprovals?.ask(call, argumentsText);
    else this.#refuse(call, ambiguous(name));
  }

  /** A modern client names in one request all resources that it wants to hear of: it does not hear of those that are hidden. */
  #withoutHidden<Message extends Exclude<RpcMessage, RpcResponse>>(message: Message): Message | RpcRequest {
    if (message.kind !== 'request' || message.method !== listenMethod || this.#policy === undefined) return message;
    const plan = editPlan([
      [
        judgedPaths.subscriptions,
        (written) => written && Buffer.from(JSON.stringify(this.#visible(JSON.parse(written.toString())))),
      ],
    ]);
    return editMessage(message, plan);
  }

  #visible(uris: unknown): unknown[] {
    return Array.isArray(uris) ? uris.filter((uri: unknown) => !this.#isHidden(uri)) : [];
  }

  #isHidden(uri: unknown): boolean {
    return this.#policy?.decide({ method: 'resources/subscribe', params: { uri } }, noTools) !== undefined;
  }

  #forward(message: RpcMessage): boolean {
    if (message.kind !== 'request' || listMemberOf(message.method) === undefined) return this.#upstream.send(message);
    this.#lists.set(message.id, message.method);
    return this.#upstream.send(message) || !this.#lists.delete(message.id);
  }

  #hold(call: RpcRequest, isApproved: boolean): boolean {
    if (this.#events === undefined || this.#heldBytes > maxHeldBytes) return false;
    this.#held.set(call.id, { call, isApproved });
    this.#heldBytes += call.bytes.length;
    this.#tools.ask(call);
    return true;
  }

  #unhold(id: RequestId): boolean {
    this.#heldBytes -= this.#held.get(id)?.call.bytes.length ?? 0;
    return this.#held.delete(id);
  }

  /** @returns whether the server has not seen the request, which it never will now. */
  #withdraw(id: RequestId): boolean {
    return this.#unhold(id) || this.#pendingApprovals?.withdraw(id) === true;
  }

  /** The server has listed its tools, or has not. */
  #release(): void {
    for (const { call, isApproved } of this.#held.values()) {
      this.#unhold(call.id);
      if (!this.#admit(call, this.#judge(call), isApproved)) this.#refuse(call, notTaken);
    }
  }

  /** Nobody waits for the answer to anything but a request. */
  #refuse(message: RpcMessage, failure: CallFailure): true {
    if (message.kind === 'request') this.#answer(message.id, failure);
    return true;
  }

  #answer(id: RequestId, failure: CallFailure): void {
    // Later, as a server's answer would come: whoever has sent it may not be ready for it before `send` returns.
    queueMicrotask(() => this.#events?.onMessage(newError({ id, ...failure })));
  }

  #receive(message: RpcMessage, origin: RequestId | undefined): void {
    if (message.kind === 'response') {
      if (this.#tools.receive(message)) return;
      this.#events?.onMessage(this.#trimmed(message), origin);
      return;
    }
    if (message.method === 'notifications/tools/list_changed') this.#tools.forget();
    // Its URI may be one that is hidden.
    const isUpdate = message.method === 'notifications/resources/updated';
    if (!isUpdate || !this.#isHidden(memberOf(message.json['params'], 'uri'))) this.#events?.onMessage(message, origin);
  }

  /** The response as it came, unless it has something that is not allowed. */
  #trimmed(response: RpcResponse): RpcResponse {
    const method = this.#lists.get(response.id);
    if (method === undefined) return response;
    this.#lists.delete(response.id);
    const { result } = response.json;
    const trimmed = this.#policy === undefined ? result : this.#policy.trim(method, result);
    return trimmed === result ? response : editMessage(withResult(response, method, trimmed), notShared);
  }

  /** The restarted server may have other tools, and answers only what is sent to it again. */
  #lose(end: UpstreamEnd): void {
    const untaken = new Set(end.untaken?.flatMap((message) => (message.kind === 'request' ? [message.id] : [])));
    for (const id of this.#lists.keys()) if (!untaken.has(id)) this.#lists.delete(id);
    this.#tools.forget();
    // The server has not seen what waits here, and gets it later.
    const held = Array.from(this.#held.values(), ({ call }) => call);
    const waiting = [...held, ...(this.#pendingApprovals?.calls() ?? [])];
    this.#events?.onLost?.({ ...end, untaken: [...(end.untaken ?? []), ...waiting] });
  }

  #end(): void {
    this.#tools.close();
    this.#held.clear();
    this.#pendingApprovals?.close();
    this.#events = undefined;
  }
}

/** @param isUnlisted the server has not said what its tools are. */
function failureOf({ what, name, reason }: Denied, isUnlisted = false): CallFailure {
  const shown = name.slice(0, maxNameLength);
  const [code, why] =
    reason === 'not_allowed'
      ? [reason, '']
      : isUnlisted
        ? ['tools_not_listed', ', since the server did not list its tools']
        : [reason, ', since the server does not mark it as read-only'];
  const message = `${what} not allowed: ${shown}${why}`;
  return { code: rpcCode.invalidParams, message, data: { reason: code, [what]: shown } };
}
