import { randomBytes } from 'node:crypto';

import { systemClock, type Clock } from '../../platform/clock.ts';
import { tasksExtension } from '../../mcp/envelope-keys.ts';
import {
  memberOf,
  rpcCode,
  type RequestId,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { cancelledBy, isInitialize, isInitialized } from '../../mcp/lifecycle.ts';
import { newError, newRequest, newResult } from '../../mcp/new-message.ts';
import { withCancelledId, withId } from '../../mcp/request-id.ts';
import { firstModernRevision } from '../../mcp/revisions.ts';
import { severities, severityOf } from '../../mcp/log-levels.ts';
import { callFailure, notTaken } from '../session/call-failures.ts';
import type { CallFailure } from '../session/pending-request.ts';
import { errorToLegacy } from '../translate/errors.ts';
import { initializeFromDiscover } from '../translate/handshake.ts';
import { isInteractive } from '../translate/input-requests.ts';
import { withInput } from '../translate/input-required.ts';
import { wrapOutputSchemas, wrapStructuredContent } from '../translate/output-schema.ts';
import { resultToLegacy, resultTypeOf } from '../translate/results.ts';
import { listChangesOf, subscriptionIdOf, withoutSubscriptionId } from '../translate/subscriptions.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';
import { ChangeListener } from './change-listener.ts';
import { ClientEnvelope } from './client-envelope.ts';
import { InputLoop } from './input-loop.ts';
import { TaskDriver } from './task-driver.ts';

export interface LegacyFaceOptions {
  readonly clock?: Clock;
  readonly onWarning: (message: string) => void;
}

/** A request of the client that the server has not answered. */
interface Call {
  /** As the client sent it. */
  readonly request: RpcRequest;
  /** Its id at the server: the client's own, until the call is sent again with what the server asked for. */
  serverId: RequestId;
  rounds: number;
}

/**
 * A modern server (MCP 2026-07-28) as a legacy one, for one session. It has no handshake and keeps nothing of its clients, so
 * what a legacy client says once is kept here and put into each request; it asks in its results, and tells of changes on a
 * subscription only.
 *
 * It sits between a session with its restrictions, which see legacy messages, and a connection that carries modern ones and
 * comes back by itself: a view of the one that all share, or the HTTP transport. Nothing is replayed to a server that comes
 * back: it knows no more of the client than the server before. Calls under way fail, and the subscription is opened again.
 */
export class LegacyFace implements Upstream {
  readonly isWritable = (): boolean => this.#server.isWritable();
  readonly whenWritable = (callback: () => void): void => this.#server.whenWritable(callback);
  readonly pause = (): void => this.#server.pause();
  readonly resume = (): void => this.#server.resume();
  readonly #server: Upstream;
  readonly #onWarning: (message: string) => void;
  readonly #loop: InputLoop<Call>;
  readonly #tasks: TaskDriver<Call>;
  readonly #listener: ChangeListener;
  /** With what ids of ours begin. Nobody can guess it, so no id of a client does. */
  readonly #prefix = `mcp-expose-${randomBytes(16).toString('base64url')}-`;
  #lastId = 0;
  #events: UpstreamEvents | undefined;
  /** By their ids at the server. */
  readonly #calls = new Map<RequestId, Call>();
  /** By their ids, the calls that have another one at the server, or none while the client is asked. */
  readonly #interactive = new Map<RequestId, Call>();
  readonly #envelope = new ClientEnvelope();
  #serverCapabilities: unknown;
  /** Whether the server may make tasks of calls. */
  #hasTasks = false;
  /** Names of the tools whose output is wrapped. */
  readonly #wrapped = new Set<string>();

  constructor(server: Upstream, { clock = systemClock, onWarning }: LegacyFaceOptions) {
    this.#server = server;
    this.#onWarning = onWarning;
    this.#loop = new InputLoop({
      clock,
      capabilities: () => this.#envelope.capabilities,
      toClient: (message, origin) => this.#events?.onMessage(message, origin),
      onAnswered: (call, answers, requestState) => {
        if (this.#tasks.has(call)) this.#tasks.answered(call, answers);
        else this.#sendAgain(call, withInput(call.request, answers, requestState));
      },
      onFailed: (call, message, isServerFault) => {
        this.#tasks.cancel(call);
        this.#failCall(call, message, isServerFault);
      },
    });
    this.#tasks = new TaskDriver({
      clock,
      ask: (call, request) => this.#sendAgain(call, request),
      tell: (request) => void server.send(this.#envelope.stamp(withId(request, this.#nextId()))),
      onInputRequired: (call, response, answered) => this.#loop.begin(call, response, answered),
      onDone: (call, response) => this.#finish(call, this.#translate(call.request, response, resultTypeOf(response))),
      onFailed: (call, message, isServerFault) => this.#failCall(call, message, isServerFault),
    });
    this.#listener = new ChangeListener({
      clock,
      nextId: () => this.#nextId(),
      send: (message) => server.send(message.kind === 'request' ? this.#envelope.stamp(message) : message),
      onMissed: (notification) => this.#events?.onMessage(notification),
    });
  }

  start(events: UpstreamEvents): void {
    this.#events = events;
    this.#server.start({
      onMessage: (message, origin) => this.#receive(message, origin),
      onLost: (end) => this.#lose(end),
      onClose: (end) => {
        this.#end();
        events.onClose(end);
      },
    });
  }

  send(message: RpcMessage): boolean {
    if (message.kind === 'request') return this.#sendRequest(message);
    if (message.kind === 'notification') return this.#sendNotification(message);
    this.#loop.answer(message);
    return true;
  }

  close(): Promise<void> {
    // The server goes on, for others; between two looks at a task, nothing is in flight that would end with the session.
    this.#tasks.cancelAll();
    this.#end();
    return this.#server.close();
  }

  #sendRequest(request: RpcRequest): boolean {
    switch (request.method) {
      case 'initialize':
        return this.#discover(request);
      case 'ping':
        return this.#answer(newResult(request.id, {}));
      case 'logging/setLevel':
        return this.#answer(this.#setLevel(request));
      case 'resources/subscribe':
      case 'resources/unsubscribe':
        this.#changeSubscription(request);
        return true;
      default:
        // It is told of none, and could only name those of others.
        if (request.method.startsWith('tasks/')) return this.#answer(newError({ id: request.id, ...unknownMethod }));
        return this.#forward(newCall(request), request);
    }
  }

  /** @param message the call as it is now, without its envelope. */
  #forward(call: Call, message: RpcRequest): boolean {
    this.#calls.set(call.serverId, call);
    return this.#server.send(this.#envelope.stamp(message)) || !this.#calls.delete(call.serverId);
  }

  #discover(initialize: RpcRequest): boolean {
    this.#envelope.begin(initialize);
    return this.#forward(newCall(initialize), newRequest(initialize.id, 'server/discover'));
  }

  /** A modern client says so with each request, since the server keeps nothing. */
  #setLevel({ id, json }: RpcRequest): RpcResponse {
    const level = memberOf(json['params'], 'level');
    if (memberOf(this.#serverCapabilities, 'logging') === undefined) return newError({ id, ...unknownMethod });
    if (typeof level !== 'string' || severityOf(level) === undefined) return newError({ id, ...invalidLevel });
    this.#envelope.setLevel(level);
    return newResult(id, {});
  }

  #changeSubscription(request: RpcRequest): void {
    const { id, method, json } = request;
    const uri = memberOf(json['params'], 'uri');
    const canSubscribe = memberOf(memberOf(this.#serverCapabilities, 'resources'), 'subscribe') === true;
    if (!canSubscribe || typeof uri !== 'string') {
      this.#answer(newError({ id, ...(canSubscribe ? invalidUri : unknownMethod) }));
      return;
    }
    const call = newCall(request);
    this.#interactive.set(id, call);
    const onSettled = (failure?: CallFailure): void => {
      // The client may have cancelled it.
      if (this.#interactive.get(id) !== call || !this.#interactive.delete(id)) return;
      this.#answer(failure === undefined ? newResult(id, {}) : newError({ id, ...failure }));
    };
    if (method === 'resources/subscribe') this.#listener.subscribe(uri, onSettled);
    else this.#listener.unsubscribe(uri, onSettled);
  }

  #sendNotification(notification: RpcNotification): boolean {
    if (isInitialized(notification)) {
      this.#listener.begin(listChangesOf(this.#serverCapabilities));
      return true;
    }
    // A modern server hears of roots when it asks; it asks for nothing that could make progress.
    if (
      notification.method === 'notifications/roots/list_changed' ||
      notification.method === 'notifications/progress'
    ) {
      return true;
    }
    const cancelled = cancelledBy(notification);
    return cancelled === undefined ? this.#server.send(notification) : this.#cancel(notification, cancelled);
  }

  #cancel(notification: RpcNotification, id: RequestId): boolean {
    const call = this.#interactive.get(id) ?? this.#calls.get(id);
    // It has been answered, or is a subscription, of which the server knows nothing.
    if (call === undefined) return true;
    this.#interactive.delete(id);
    const isAtServer = this.#calls.delete(call.serverId);
    const hadTask = this.#tasks.cancel(call);
    if (this.#loop.withdraw(call, 'the call was cancelled') || hadTask || !isAtServer) return true;
    return this.#server.send(call.serverId === id ? notification : withCancelledId(notification, call.serverId));
  }

  #receive(message: RpcMessage, origin: RequestId | undefined): void {
    if (message.kind === 'response') this.#receiveResponse(message);
    else if (message.kind === 'notification') this.#receiveNotification(message, origin);
    else this.#refuse(message);
  }

  #receiveResponse(response: RpcResponse): void {
    if (this.#listener.ended(response)) return;
    const call = this.#calls.get(response.id);
    if (call === undefined) {
      // It comes late: the client has cancelled the call, under this id unless it was sent again.
      if (!this.#isOwn(response.id)) this.#events?.onMessage(resultToLegacy(errorToLegacy(response)));
      return;
    }
    this.#calls.delete(response.id);
    const type = resultTypeOf(response);
    if (this.#tasks.has(call) || (type === 'task' && this.#hasTasks)) {
      this.#interactive.set(call.request.id, call);
      this.#tasks.received(call, response);
    } else if (type === 'input_required' && isInteractive(call.request.method)) {
      this.#interactive.set(call.request.id, call);
      this.#loop.begin(call, response);
    } else {
      this.#finish(call, this.#translate(call.request, response, type));
    }
  }

  #finish({ request }: Call, response: RpcResponse): void {
    this.#interactive.delete(request.id);
    this.#events?.onMessage(response.id === request.id ? response : withId(response, request.id));
  }

  #translate(request: RpcRequest, response: RpcResponse, type: string | undefined): RpcResponse {
    if (response.failed) return errorToLegacy(response);
    const { method } = request;
    if (isInitialize(request)) return this.#agree(request, response);
    const result = resultToLegacy(response, type);
    if (method === 'tools/list') return wrapOutputSchemas(result, this.#wrapped);
    if (method !== 'tools/call') return result;
    // Not parsed for nothing: most requests never are.
    const name = this.#wrapped.size === 0 ? undefined : memberOf(request.json['params'], 'name');
    return wrapStructuredContent(result, typeof name === 'string' && this.#wrapped.has(name));
  }

  #agree({ id, json }: RpcRequest, discovered: RpcResponse): RpcResponse {
    const { result } = discovered.json;
    const revisions = memberOf(result, 'supportedVersions');
    if (!Array.isArray(revisions) || !revisions.includes(firstModernRevision)) {
      return newError({ id, ...wrongRevision });
    }
    this.#serverCapabilities = memberOf(result, 'capabilities');
    this.#hasTasks = memberOf(memberOf(this.#serverCapabilities, 'extensions'), tasksExtension) !== undefined;
    if (this.#hasTasks) this.#envelope.declareTasks();
    return initializeFromDiscover(discovered, memberOf(json['params'], 'protocolVersion'));
  }

  #receiveNotification(notification: RpcNotification, origin: RequestId | undefined): void {
    const subscription = subscriptionIdOf(notification);
    if (notification.method === 'notifications/subscriptions/acknowledged') {
      if (subscription !== undefined) this.#listener.acknowledged(subscription, notification);
      return;
    }
    const withdrawn = cancelledBy(notification);
    if (withdrawn !== undefined) {
      // It has asked the client nothing that it could withdraw, but may end a subscription so.
      this.#listener.withdrawn(withdrawn);
      return;
    }
    if (subscription !== undefined && !this.#listener.isCurrent(subscription)) return;
    const call = origin === undefined ? undefined : this.#calls.get(origin);
    this.#events?.onMessage(withoutSubscriptionId(notification), call?.request.id);
  }

  /** A modern server has no requests of its own. */
  #refuse({ id, method }: RpcRequest): void {
    const shown = JSON.stringify(method.slice(0, 64));
    this.#onWarning(`the server sent the request ${shown}, which no server of revision ${firstModernRevision} may`);
    const message = `a server of revision ${firstModernRevision} has no requests`;
    this.#server.send(newError({ id, code: rpcCode.methodNotFound, message }));
  }

  /** @param next the call with what the server has asked for, or a question about its task. */
  #sendAgain(call: Call, next: RpcRequest): void {
    call.serverId = this.#nextId();
    if (this.#forward(call, withId(next, call.serverId))) return;
    const failure = newError({ id: call.request.id, ...notTaken });
    if (this.#tasks.has(call)) this.#tasks.received(call, failure);
    else this.#finish(call, failure);
  }

  /** A model can do something about a tool that fails, a person or a program about the rest. */
  #failCall(call: Call, message: string, isServerFault: boolean): void {
    const { id, method } = call.request;
    const failure = callFailure(isServerFault ? 'message_unreadable' : 'input_not_given', message);
    const isToolError = method === 'tools/call' && !isServerFault;
    const content = [{ type: 'text', text: message }];
    this.#finish(call, isToolError ? newResult(id, { content, isError: true }) : newError({ id, ...failure }));
  }

  /** Later, as a server's answer would come: whoever has sent the request may not be ready for it before `send` returns. */
  #answer(response: RpcResponse): true {
    queueMicrotask(() => this.#events?.onMessage(response));
    return true;
  }

  /** What the server has not acted on is sent again by whoever brings it back; what waits for a subscription goes on here. */
  #lose(end: UpstreamEnd): void {
    const untaken = new Set(end.untaken?.flatMap((message) => (message.kind === 'request' ? [message.id] : [])));
    for (const [id, call] of this.#calls) {
      // A server that comes back does not know the tasks of the one before.
      if (!untaken.has(id) || this.#tasks.has(call)) this.#calls.delete(id);
    }
    for (const [id, call] of this.#interactive) {
      const goesOn = isSubscription(call.request) || this.#calls.has(call.serverId);
      if (!goesOn) this.#interactive.delete(id);
    }
    this.#loop.clear();
    this.#tasks.clear();
    const calls = new Set([...this.#calls.values(), ...this.#interactive.values()]);
    this.#events?.onLost?.({ ...end, untaken: Array.from(calls, ({ request }) => request) });
    this.#listener.lost();
  }

  #end(): void {
    this.#listener.close();
    this.#loop.clear();
    this.#tasks.clear();
    this.#events = undefined;
  }

  #nextId(): RequestId {
    return `${this.#prefix}${++this.#lastId}`;
  }

  #isOwn(id: RequestId): boolean {
    return typeof id === 'string' && id.startsWith(this.#prefix);
  }
}

function newCall(request: RpcRequest): Call {
  return { request, serverId: request.id, rounds: 0 };
}

function isSubscription({ method }: RpcRequest): boolean {
  return method === 'resources/subscribe' || method === 'resources/unsubscribe';
}

const unknownMethod: CallFailure = { code: rpcCode.methodNotFound, message: 'the server does not know this method' };

const invalidLevel: CallFailure = {
  code: rpcCode.invalidParams,
  message: `the log level is none of ${severities.join(', ')}`,
};

const invalidUri: CallFailure = { code: rpcCode.invalidParams, message: 'the "uri" is not a string' };

const wrongRevision: CallFailure = {
  code: rpcCode.internalError,
  message: `the server does not speak revision ${firstModernRevision}`,
  data: { reason: 'unsupported_revision' },
};
