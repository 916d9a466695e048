import type { Clock } from '../../platform/clock.ts';
import {
  memberOf,
  progressTokenOf,
  rpcCode,
  type RequestId,
  type RpcNotification,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { cancelledBy } from '../../mcp/lifecycle.ts';
import type { Policy } from '../../policy/policy.ts';
import { maxCalls, tooManyCalls } from '../session/call-failures.ts';
import {
  guard,
  originOf,
  type CallOrigin,
  type GuardOptions,
  type SessionCaller,
} from '../session/guarded-upstream.ts';
import type { CallFailure, MessageSink } from '../session/pending-request.ts';
import { placesIn } from '../shared/messages.ts';
import { serverInfoIn } from '../translate/handshake.ts';
import { ModernResults } from '../translate/modern-results.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { ClientCall } from './client-call.ts';
import { ConnectionTasks } from './connection-tasks.ts';
import { Flow, type FlowContext } from './flow.ts';
import { LegacyPeer, type LegacyPeerOptions } from './legacy-peer.ts';
import { Listeners } from './listeners.ts';
import { Logs } from './logs.ts';
import type { ParkedCalls } from './parked-calls.ts';
import type { RunningCall } from './running-call.ts';
import { ServerRequests, type ServerRequestsOptions } from './server-requests.ts';
import { Task } from './task.ts';
import { TaskSupport } from './task-support.ts';
import type { Tasks } from './tasks.ts';

/** Notifications that concern no call, whatever is under way. */
const connectionWide = /^notifications\/(?:.*list_changed|resources\/updated)$/;

/** How long the first call waits for a server that does not answer a ping, in milliseconds. */
const settleMs = 1000;

/** What all connections have in common. */
export interface ConnectionSettings
  extends
    Pick<LegacyPeerOptions, 'clientInfo' | 'startTimeoutMs'>,
    Pick<GuardOptions, 'approvals' | 'onToolsChange'>,
    Pick<ServerRequestsOptions, 'roots' | 'counters' | 'warnOnce'> {
  readonly clock: Clock;
  readonly parkedCalls: ParkedCalls<Flow>;
  /** The server has answered a `tools/list`. */
  readonly onTools: (response: RpcResponse) => void;
  readonly tasks: Tasks;
  /** Whether calls in which a client may be asked something are made one after the other. */
  readonly isSerial: boolean;
}

export interface LegacyConnectionOptions {
  readonly settings: ConnectionSettings;
  readonly caller: SessionCaller;
  /** The caller, with its rights. */
  readonly owner: string;
  /** What the server is told of the client, and its fingerprint. */
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly fingerprint: string;
  readonly policy: Policy | undefined;
  /** Not yet started. */
  readonly upstream: Upstream;
  /** A request or a subscription has ended. */
  readonly onIdle: () => void;
  /** It is over. Called once. */
  readonly onEnd: () => void;
}

/** One connection to a legacy server, over which all requests of one caller with the same capabilities go. */
export class LegacyConnection implements FlowContext {
  readonly callerId: string;
  readonly fingerprint: string;
  readonly clock: Clock;
  readonly parkedCalls: ParkedCalls<Flow>;
  readonly peer: LegacyPeer;
  readonly taskSupport: TaskSupport;
  readonly tasks: ConnectionTasks;
  results: ModernResults = new ModernResults(undefined);
  serverInfo: Buffer | undefined;
  readonly #options: LegacyConnectionOptions;
  readonly #upstream: Upstream;
  /** Calls, and tasks of which the client has not got the result. */
  readonly #running = new Set<RunningCall>();
  readonly #progress = new Map<RequestId, Flow>();
  readonly #logs: Logs;
  readonly #listeners: Listeners;
  readonly #serverRequests: ServerRequests;
  #initialized: RpcResponse | undefined;
  #failure: CallFailure | undefined;
  /** Called with the answer to `initialize`, or without one when there is none. */
  #whenOpen: ((initialized: RpcResponse | undefined, failure: CallFailure | undefined) => void)[] = [];
  /** Calls that wait for another one to end. */
  readonly #queue = new Set<Flow>();
  /** Calls of which the server has yet to ask what it asks first; undefined when it has. */
  #whenSettled: (() => void)[] | undefined;
  #cancelSettling: (() => void) | undefined;
  #current: Flow | undefined;
  #blocked = 0;

  constructor(options: LegacyConnectionOptions) {
    const { settings, caller, owner, capabilities, fingerprint, policy, upstream } = options;
    const { clock, clientInfo, startTimeoutMs, parkedCalls, approvals, onToolsChange } = settings;
    this.#options = options;
    this.callerId = caller.id;
    this.fingerprint = fingerprint;
    this.clock = clock;
    this.parkedCalls = parkedCalls;
    const guards = { policy, approvals, onToolsChange, clock, originOf: (id: RequestId) => this.#originOf(id) };
    this.#upstream = guard(upstream, guards);
    this.peer = new LegacyPeer({
      upstream: this.#upstream,
      capabilities,
      clientInfo,
      startTimeoutMs,
      clock,
      onOpen: (initialized) => this.#open(initialized),
      onServerRequest: (request, origin) => this.#serverRequests.receive(request, origin),
      onNotification: (notification, origin) => this.#notified(notification, origin),
      onLost: () => {
        this.#serverRequests.clear();
        this.taskSupport.forget();
        this.tasks.lose();
      },
      onEnd: (failure) => this.#end(failure),
    });
    this.taskSupport = new TaskSupport(this.peer, clock);
    this.#logs = new Logs(this.peer);
    this.#listeners = new Listeners({
      peer: this.peer,
      server: this,
      onDropped: () => settings.warnOnce('unread', 'a client does not read: notifications for it are dropped'),
      onEmpty: options.onIdle,
    });
    this.tasks = new ConnectionTasks({
      tasks: settings.tasks,
      owner,
      peer: this.peer,
      server: this,
      listeners: this.#listeners,
      running: this.#running,
      onUse: options.onIdle,
    });
    this.#serverRequests = new ServerRequests({ ...settings, peer: this.peer, flows: this.#running });
  }

  /** Whether a client waits for something, or would miss it. */
  isBusy(): boolean {
    return this.#running.size > 0 || this.#listeners.size > 0 || this.#whenOpen.length > 0;
  }

  /** Whether it is busy with nothing but tasks, of which the client may never want to know. */
  holdsOnlyTasks(): boolean {
    const areTasks = [...this.#running].every((running) => running instanceof Task);
    return areTasks && this.#listeners.size === 0 && this.#whenOpen.length === 0;
  }

  /** Whether it is one of this caller's, with these rights. */
  serves(callerId: string, policy: Policy | undefined): boolean {
    return this.callerId === callerId && this.#options.policy === policy;
  }

  start(): void {
    this.peer.start();
  }

  /** Calls back once with the server's answer to `initialize`, or with why there is none. */
  whenOpen(callback: (initialized: RpcResponse | undefined, failure: CallFailure | undefined) => void): void {
    if (this.#initialized === undefined && this.#failure === undefined) this.#whenOpen.push(callback);
    else callback(this.#initialized, this.#failure);
  }

  request(call: ClientCall): void {
    if (this.#running.size >= maxCalls) {
      call.fail(tooManyCalls);
      return;
    }
    const places = placesIn(call.request);
    if (typeof places === 'string') {
      call.fail({ code: rpcCode.invalidRequest, message: places, data: { reason: 'ambiguous_request' } });
      return;
    }
    const flow = new Flow(call, this);
    this.#running.add(flow);
    this.whenOpen(() => this.#whenReadyFor(flow, () => this.#begin(flow)));
  }

  /** A `subscriptions/listen`. */
  listen(call: ClientCall): void {
    if (this.#listeners.size + this.#whenOpen.length >= maxCalls) {
      call.fail(tooManyCalls);
      return;
    }
    this.whenOpen((initialized, failure) => {
      if (initialized === undefined) {
        if (failure !== undefined) call.fail(failure);
      } else if (call.isOpen()) {
        this.#listeners.add(call, capabilitiesIn(initialized), this.tasks.namedIn(call.request));
      }
    });
  }

  /** A notification of a client for its server. */
  notify(notification: RpcNotification): void {
    if (this.peer.isOpen) this.peer.send(notification);
  }

  /** Ends it, and tells clients that wait; resolves when nothing is left. */
  async close(failure: CallFailure): Promise<void> {
    this.#listeners.end();
    await this.peer.close(failure);
  }

  waitFor(client: MessageSink): void {
    if (++this.#blocked === 1) this.#upstream.pause();
    client.whenWritable(() => {
      if (--this.#blocked === 0) this.#upstream.resume();
    });
  }

  prepare(call: ClientCall): void {
    this.#logs.prepare(call);
  }

  learnTools(response: RpcResponse): void {
    this.#options.settings.onTools(response);
  }

  adoptRequests(call: ClientCall): ReturnType<ServerRequests['adopt']> {
    return this.#serverRequests.adopt(call);
  }

  reroute(request: Parameters<ServerRequests['reroute']>[0]): void {
    this.#serverRequests.reroute(request);
  }

  watchProgress(token: RequestId, flow: Flow): void {
    this.#progress.set(token, flow);
  }

  onEnd(flow: Flow, tokens: readonly RequestId[]): void {
    this.#running.delete(flow);
    this.#queue.delete(flow);
    this.taskSupport.drop(flow);
    for (const token of tokens) this.#progress.delete(token);
    if (this.#current === flow && this.peer.isOpen) {
      const [next] = this.#queue;
      this.#current = next;
      if (next !== undefined) this.#queue.delete(next);
      next?.begin();
    }
    this.#options.onIdle();
  }

  /** Before a call, the server is to ask what it asks first, and of a tool it has to be known whether it runs as a task. */
  #whenReadyFor(flow: Flow, callback: () => void): void {
    const proceed = (): void => {
      if (flow.call?.request.method === 'tools/call') this.taskSupport.whenKnown(flow, callback);
      else callback();
    };
    if (!flow.isInteractive) callback();
    else if (this.#whenSettled === undefined) proceed();
    else this.#whenSettled.push(proceed);
  }

  /**
   * A server that wants to know the roots of its client asks as soon as it is initialized, and may not work before. Once it has
   * answered a ping it has seen that message too.
   */
  #settle(): void {
    const { clock, roots } = this.#options.settings;
    if (this.#options.capabilities['roots'] === undefined || roots.length > 0) return;
    this.#whenSettled = [];
    const settled = (): void => {
      this.#cancelSettling?.();
      const waiting = this.#whenSettled ?? [];
      this.#whenSettled = undefined;
      for (const callback of waiting) callback();
    };
    this.#cancelSettling = clock.after(settleMs, settled);
    this.peer.tell('ping', {}, settled);
  }

  #begin(flow: Flow): void {
    if (!this.#running.has(flow)) return;
    if (this.#options.settings.isSerial && flow.isInteractive) {
      if (this.#current !== undefined) {
        this.#queue.add(flow);
        return;
      }
      this.#current = flow;
    }
    flow.begin();
  }

  #open(initialized: RpcResponse): void {
    const capabilities = capabilitiesIn(initialized);
    this.#initialized = initialized;
    this.serverInfo = serverInfoIn(initialized);
    this.results = new ModernResults(this.serverInfo);
    this.taskSupport.introduced(capabilities);
    this.#logs.introduced(capabilities);
    this.#settle();
    for (const callback of this.#whenOpen.splice(0)) callback(initialized, undefined);
  }

  #notified(notification: RpcNotification, origin: RequestId | undefined): void {
    switch (notification.method) {
      case 'notifications/progress': {
        const token = progressTokenOf(notification);
        if (token !== undefined) this.#progress.get(token)?.progressed(notification);
        return;
      }
      case 'notifications/cancelled': {
        const id = cancelledBy(notification);
        if (id !== undefined) this.#serverRequests.withdraw(id);
        return;
      }
      case 'notifications/message':
        this.#logged(notification, origin);
        return;
      case 'notifications/tasks/status':
        this.tasks.changed(notification);
        return;
      case 'notifications/elicitation/complete': {
        const id = memberOf(notification.json['params'], 'elicitationId');
        for (const flow of this.#running) flow.elicitationCompleted(id);
        return;
      }
      default:
        if (notification.method === 'notifications/tools/list_changed') this.taskSupport.forget();
        if (connectionWide.test(notification.method)) this.#listeners.notify(notification);
        else this.#callFor(origin)?.send(notification, this);
    }
  }

  /** The call that gets what nobody here understands: that on whose stream it came, or the newest. */
  #callFor(origin: RequestId | undefined): ClientCall | undefined {
    const calls = [...this.#running].filter(({ upstreamId }) => origin === undefined || origin === upstreamId);
    return calls.findLast(({ call }) => call !== undefined)?.call;
  }

  #logged(notification: RpcNotification, origin: RequestId | undefined): void {
    const receiver = this.#logs.receiverOf(notification, origin, this.#running);
    if (receiver === undefined) this.#options.settings.counters.droppedLogs++;
    else receiver.send(notification, this);
  }

  #originOf(id: RequestId): CallOrigin {
    const flow = [...this.#running].find(({ upstreamId }) => upstreamId === id);
    return originOf(flow?.call?.caller ?? this.#options.caller, flow?.call?.clientInfo);
  }

  #end(failure: CallFailure): void {
    this.#failure = failure;
    this.#cancelSettling?.();
    this.tasks.lose();
    this.#serverRequests.clear();
    this.#listeners.end();
    for (const flow of this.#running) flow.lose(failure);
    // Whoever is told may look for another connection.
    this.#options.onEnd();
    for (const callback of this.#whenOpen.splice(0)) callback(undefined, failure);
  }
}

function capabilitiesIn({ json }: RpcResponse): unknown {
  return memberOf(json['result'], 'capabilities');
}
