import { inOnePiece } from '../../platform/bytes.ts';
import { systemClock, type Clock } from '../../platform/clock.ts';
import { rpcCode, type RequestId, type RpcMessage, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { locateMembers, pathTree, replaceSpans, spanOf } from '../../mcp/json/locate-members.ts';
import { elementsOf } from '../../mcp/json/scan.ts';
import { cancelledBy } from '../../mcp/lifecycle.ts';
import { itemsIn, listMemberOf } from '../../mcp/lists.ts';
import { newError } from '../../mcp/new-message.ts';
import type { Denied, Policy, ToolFacts } from '../../policy/policy.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';
import { notTaken } from './call-failures.ts';
import type { CallFailure } from './pending-request.ts';
import { ServerTools } from './server-tools.ts';

/** Calls that wait until the server has listed its tools, in bytes; beyond it, no further one is taken. */
const maxHeldBytes = 16 * 1024 * 1024;

/** Longest name in an error, in characters. */
const maxNameLength = 200;

const judged = pathTree({
  id: ['id'],
  method: ['method'],
  name: ['params', 'name'],
  uri: ['params', 'uri'],
  promptRef: ['params', 'ref', 'name'],
  resourceRef: ['params', 'ref', 'uri'],
});

const noTools: ReadonlyMap<string, ToolFacts> = new Map();

/** The upstream of a session in which not everything is allowed; the same upstream if everything is. */
export function restrict(upstream: Upstream, policy: Policy | undefined, clock: Clock = systemClock): Upstream {
  return policy === undefined || policy.isOpen ? upstream : new RestrictedUpstream(upstream, policy, clock);
}

/**
 * Passes on what a policy allows: a request that it does not gets an error here, and lists are trimmed on their way back. All
 * messages of the session pass, whatever transport and batch they came in.
 */
class RestrictedUpstream implements Upstream {
  readonly isWritable = (): boolean => this.#upstream.isWritable();
  readonly whenWritable = (callback: () => void): void => this.#upstream.whenWritable(callback);
  readonly pause = (): void => this.#upstream.pause();
  readonly resume = (): void => this.#upstream.resume();
  readonly #upstream: Upstream;
  readonly #policy: Policy;
  readonly #tools: ServerTools;
  /** Methods of the list requests in flight. */
  readonly #lists = new Map<RequestId, string>();
  /** Calls that wait until it is known what the server says of its tools. */
  readonly #held = new Map<RequestId, RpcRequest>();
  #heldBytes = 0;
  #events: UpstreamEvents | undefined;

  constructor(upstream: Upstream, policy: Policy, clock: Clock) {
    this.#upstream = upstream;
    this.#policy = policy;
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
    const { duplicateKey } = locateMembers(message.bytes, judged);
    if (duplicateKey !== undefined) return this.#refuse(message, ambiguous(duplicateKey));
    if (message.kind === 'response') return this.#upstream.send(message);
    const cancelled = cancelledBy(message);
    if (cancelled !== undefined) {
      this.#lists.delete(cancelled);
      if (this.#unhold(cancelled)) return true;
    }
    const denied = this.#judge(message);
    if (denied === undefined) return this.#forward(message);
    const isUnknown = denied.reason === 'not_read_only' && this.#tools.known === undefined;
    return isUnknown && message.kind === 'request' ? this.#hold(message) : this.#refuse(message, failureOf(denied));
  }

  close(): Promise<void> {
    this.#end();
    return this.#upstream.close();
  }

  #judge({ method, json }: Exclude<RpcMessage, RpcResponse>): Denied | undefined {
    return this.#policy.decide({ method, params: json['params'] }, this.#tools.known ?? noTools);
  }

  #forward(message: RpcMessage): boolean {
    if (message.kind !== 'request' || listMemberOf(message.method) === undefined) return this.#upstream.send(message);
    this.#lists.set(message.id, message.method);
    return this.#upstream.send(message) || !this.#lists.delete(message.id);
  }

  #hold(call: RpcRequest): boolean {
    if (this.#events === undefined || this.#heldBytes > maxHeldBytes) return false;
    this.#held.set(call.id, call);
    this.#heldBytes += call.bytes.length;
    this.#tools.ask();
    return true;
  }

  #unhold(id: RequestId): boolean {
    this.#heldBytes -= this.#held.get(id)?.bytes.length ?? 0;
    return this.#held.delete(id);
  }

  /** The server has listed its tools, or has not. */
  #release(): void {
    for (const call of this.#held.values()) {
      this.#unhold(call.id);
      const denied = this.#judge(call);
      if (denied !== undefined) this.#refuse(call, failureOf(denied, this.#tools.known === undefined));
      else if (!this.#forward(call)) this.#refuse(call, notTaken);
    }
  }

  /** Nobody waits for the answer to anything but a request. */
  #refuse(message: RpcMessage, failure: CallFailure): true {
    if (message.kind === 'request') {
      const { id } = message;
      // Later, as a server's answer would come: whoever has sent it may not be ready for it before `send` returns.
      queueMicrotask(() => this.#events?.onMessage(newError({ id, ...failure })));
    }
    return true;
  }

  #receive(message: RpcMessage, origin: RequestId | undefined): void {
    if (message.kind === 'response') {
      if (this.#tools.receive(message)) return;
      this.#events?.onMessage(this.#trimmed(message), origin);
      return;
    }
    if (message.method === 'notifications/tools/list_changed') this.#tools.forget();
    // Its URI may be one that is hidden.
    const isHidden =
      message.method === 'notifications/resources/updated' &&
      this.#policy.decide({ method: 'resources/subscribe', params: message.json['params'] }, noTools) !== undefined;
    if (!isHidden) this.#events?.onMessage(message, origin);
  }

  /** The response as it came, unless it has something that is not allowed. */
  #trimmed(response: RpcResponse): RpcResponse {
    const method = this.#lists.get(response.id);
    if (method === undefined) return response;
    this.#lists.delete(response.id);
    const { result } = response.json;
    const trimmed = this.#policy.trim(method, result);
    return trimmed === result ? response : withResult(response, method, trimmed);
  }

  /** The restarted server may have other tools, and answers only what is sent to it again. */
  #lose(end: UpstreamEnd): void {
    const untaken = new Set(end.untaken?.flatMap((message) => (message.kind === 'request' ? [message.id] : [])));
    for (const id of this.#lists.keys()) if (!untaken.has(id)) this.#lists.delete(id);
    this.#tools.forget();
    this.#events?.onLost?.(end);
  }

  #end(): void {
    this.#tools.close();
    this.#held.clear();
    this.#events = undefined;
  }
}

/** The same response with a part of its list; what is left of that keeps its bytes. */
function withResult(response: RpcResponse, method: string, result: unknown): RpcResponse {
  const { id, json } = response;
  const bytes = inOnePiece(response.bytes);
  const left = new Set(itemsIn(method, result));
  const items = itemsIn(method, json['result']) ?? [];
  const span = spanOf(bytes, ['result', listMemberOf(method) ?? '']);
  const written = span === undefined ? undefined : elementsOf(bytes.subarray(span.start, span.end), items.length);
  if (span === undefined || !Array.isArray(written)) throw new Error('the list is not where it was found');
  const list = written.filter((_, index) => left.has(items[index])).join(',');
  return {
    kind: 'response',
    id,
    failed: false,
    bytes: replaceSpans(bytes, [[span, Buffer.from(`[${list}]`)]]),
    json: { ...json, result },
  };
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

/** What the policy reads may not be what the server reads. */
function ambiguous(name: string): CallFailure {
  const message = `the member ${JSON.stringify(name)} occurs twice or with different capitalization`;
  return { code: rpcCode.invalidRequest, message, data: { reason: 'ambiguous_request' } };
}
