import { systemClock, type Clock } from '../../platform/clock.ts';
import { RecentlyUsed } from '../../platform/recently-used.ts';
import { memberOf, rpcCode, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { listenMethod, taskMethods } from '../../mcp/modern-methods.ts';
import type { Policy } from '../../policy/policy.ts';
import { callFailure, credentialEnded, shuttingDown } from '../session/call-failures.ts';
import type { CallFailure } from '../session/pending-request.ts';
import type { SessionCaller } from '../session/sessions.ts';
import {
  capabilityFingerprint,
  declaresTasks,
  runsToolsAsTasks,
  tasksRequired,
  upstreamCapabilities,
} from '../translate/capabilities.ts';
import { discoverFromInitialize } from '../translate/handshake.ts';
import { isInteractive } from '../translate/input-requests.ts';
import { bindingOf } from '../translate/request-state.ts';
import { taskIdsIn } from '../translate/subscriptions.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { ClientCall } from './client-call.ts';
import { ConnectionPool, defaultIdleTimeoutMs, defaultMaxChildren, type NoRoom } from './connection-pool.ts';
import { createCounters } from './counters.ts';
import type { ExchangeCall, Exchanges, ExchangesReport } from './exchanges.ts';
import type { Flow } from './flow.ts';
import { LegacyConnection, type ConnectionSettings } from './legacy-connection.ts';
import { missingFailure } from './input-request.ts';
import { Owners } from './owners.ts';
import { ParamHeaderCheck } from './param-header-check.ts';
import { defaultParkTtlMs, ParkedCalls, stateFailure } from './parked-calls.ts';
import { Tasks, unknownTask } from './tasks.ts';

export interface LegacyExchangesOptions extends Pick<
  ConnectionSettings,
  'startTimeoutMs' | 'approvals' | 'onToolsChange'
> {
  /** Gives the upstream of a new connection, not yet started. */
  readonly nextUpstream: () => Upstream;
  /** What the server has answered to another `initialize`, if it was asked. */
  readonly introduction?: RpcResponse | undefined;
  /** Most connections to the server. Default 16. */
  readonly maxChildren?: number | undefined;
  /** A connection that nobody has used for so long ends, in milliseconds. Default 10 minutes. */
  readonly idleTimeoutMs?: number | undefined;
  /** How long a call waits for the answer of its client, in milliseconds. Default 10 minutes. */
  readonly parkTtlMs?: number | undefined;
  /** The answer to requests for roots that no client can be asked. Default: none. */
  readonly roots?: ConnectionSettings['roots'] | undefined;
  /** Whether calls in which a client may be asked something are made one after the other. Default: no. */
  readonly serializeInteractive?: boolean | undefined;
  /**
   * Whether several people may be behind a caller, of whom nobody is asked what is meant for another. Default: no caller is like that.
   */
  readonly isSharedCaller?: ((caller: SessionCaller) => boolean) | undefined;
  /** Our own version, told to the server. */
  readonly clientVersion: string;
  readonly clock?: Clock | undefined;
  readonly onWarning: (message: string) => void;
}

export interface LegacyExchanges extends Exchanges {
  report(): ExchangesReport;
}

/** Serves modern clients from a legacy server: over a connection of its own for each caller and set of capabilities. */
export function createLegacyExchanges(options: LegacyExchangesOptions): LegacyExchanges {
  return new TranslatedExchanges(options);
}

/** What a server is told of a client. */
interface Declared {
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly fingerprint: string;
}

/** Sets of capabilities that are remembered: there are about as many as kinds of clients. */
const maxDeclarations = 64;

/** Of the client itself: a server has no use for them. */
const swallowed: ReadonlySet<string> = new Set([
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
]);

class TranslatedExchanges implements LegacyExchanges {
  readonly #options: LegacyExchangesOptions;
  readonly #settings: ConnectionSettings;
  readonly #pool: ConnectionPool;
  readonly #parkedCalls: ParkedCalls<Flow>;
  readonly #paramHeaders: ParamHeaderCheck;
  readonly #tasks: Tasks;
  readonly #counters = createCounters();
  readonly #warned = new Set<string>();
  /** By what clients declare, as JSON: most requests of a client declare the same. */
  readonly #declarations: RecentlyUsed<Declared>;
  readonly #owners = new Owners();
  /** The newest answer of the server to `initialize`: it does not depend on the client. */
  #initialized: RpcResponse | undefined;
  #isClosed = false;

  constructor(options: LegacyExchangesOptions) {
    const { clock = systemClock, parkTtlMs = defaultParkTtlMs, roots = [], serializeInteractive = false } = options;
    const { startTimeoutMs, approvals, onToolsChange, clientVersion } = options;
    this.#options = options;
    this.#initialized = options.introduction;
    this.#declarations = new RecentlyUsed(maxDeclarations, (capabilities) => {
      const given = upstreamCapabilities(JSON.parse(capabilities));
      const declared = roots.length > 0 ? { ...given, roots: {} } : given;
      return { capabilities: declared, fingerprint: capabilityFingerprint(declared) };
    });
    this.#parkedCalls = new ParkedCalls(clock, parkTtlMs);
    this.#tasks = new Tasks(clock);
    this.#paramHeaders = new ParamHeaderCheck(clock);
    this.#settings = {
      clientInfo: { name: 'mcp-expose', version: clientVersion },
      startTimeoutMs,
      approvals,
      onToolsChange,
      roots,
      isSerial: serializeInteractive,
      counters: this.#counters,
      warnOnce: (kind, message) => this.#warnOnce(kind, message),
      clock,
      parkedCalls: this.#parkedCalls,
      onTools: (response) => this.#paramHeaders.learn(response),
      tasks: this.#tasks,
    };
    const { maxChildren = defaultMaxChildren, idleTimeoutMs = defaultIdleTimeoutMs } = options;
    this.#pool = new ConnectionPool({
      maxChildren,
      idleTimeoutMs,
      clock,
      unused,
      onEvicted: () => {
        this.#counters.evictions++;
        this.#warnOnce(
          'evicted',
          `ended an idle connection to the server: ${maxChildren} are the most that --max-children allows`,
        );
      },
    });
  }

  request(caller: SessionCaller, request: RpcRequest, pending: ExchangeCall, policy?: Policy): void {
    const ask = (list: RpcRequest, listing: ExchangeCall): void => this.request(caller, list, listing, policy);
    const owner = (): string => this.#owners.of(caller.id, policy);
    this.#paramHeaders.check(request, pending, owner, ask, () => this.#serve(caller, request, pending, policy));
  }

  #serve(caller: SessionCaller, request: RpcRequest, pending: ExchangeCall, policy: Policy | undefined): void {
    if (this.#isClosed) {
      pending.fail(shuttingDown);
      return;
    }
    const call = new ClientCall(caller, request, pending, this.#options.isSharedCaller?.(caller) !== true);
    if (request.method === 'server/discover') {
      this.#discover(call, policy);
      return;
    }
    if (taskMethods.has(request.method)) {
      this.#askTask(call, policy);
      return;
    }
    const requestState = memberOf(request.json['params'], 'requestState');
    if (requestState !== undefined && isInteractive(request.method)) {
      this.#resume(call, requestState);
      return;
    }
    if (request.method === listenMethod && taskIdsIn(request).length > 0 && !declaresTasks(call.capabilities)) {
      call.fail(missingFailure(tasksRequired));
      return;
    }
    const connection = this.#connectionOf(call, policy);
    if (typeof connection === 'string') call.fail(this.#noRoom(connection));
    else if (request.method === listenMethod) connection.listen(call);
    else connection.request(call);
  }

  notify(caller: SessionCaller, notification: Parameters<Exchanges['notify']>[1], policy?: Policy): void {
    if (swallowed.has(notification.method)) return;
    const own = this.#pool.all().filter((connection) => connection.serves(caller.id, policy));
    own.at(-1)?.notify(notification);
  }

  capabilities(): unknown {
    return memberOf(this.#initialized?.json['result'], 'capabilities');
  }

  endCaller(callerId: string): void {
    for (const connection of this.#pool.all()) {
      if (connection.callerId === callerId) void connection.close(credentialEnded);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#pool.close(shuttingDown);
  }

  report(): ExchangesReport {
    return {
      children: this.#pool.size,
      parked: this.#parkedCalls.size,
      tasks: this.#tasks.size,
      counters: this.#counters,
    };
  }

  /** Answers at once what is known; starts a server only if there is none. */
  #discover(call: ClientCall, policy: Policy | undefined): void {
    const answer = (initialized: RpcResponse): void => call.answerAs(discoverFromInitialize(initialized));
    if (this.#initialized !== undefined) {
      answer(this.#initialized);
      return;
    }
    const [starting] = this.#pool.all();
    const connection = starting ?? this.#connectionOf(call, policy);
    if (typeof connection === 'string') {
      call.fail(this.#noRoom(connection));
      return;
    }
    connection.whenOpen((initialized, failure) => {
      if (initialized !== undefined) answer(initialized);
      // It was somebody else's.
      else if (failure === credentialEnded && connection.callerId !== call.caller.id) this.#discover(call, policy);
      else if (failure !== undefined) call.fail(failure);
    });
  }

  /** Goes on with a call that waits. */
  #resume(call: ClientCall, requestState: unknown): void {
    const { fingerprint } = this.#declared(call);
    const binding = bindingOf(call.caller.id, fingerprint, call.request);
    const found = typeof requestState === 'string' ? this.#parkedCalls.take(requestState, binding) : 'malformed';
    if (typeof found === 'string') call.fail(stateFailure(found));
    else found.resume(call);
  }

  /** Looks after a task, whichever connection it is on (SEP-2663). */
  #askTask(call: ClientCall, policy: Policy | undefined): void {
    const { method, json } = call.request;
    if (this.#initialized !== undefined && !runsToolsAsTasks(this.capabilities())) {
      call.fail({ code: rpcCode.methodNotFound, message: 'the server has no tasks' });
      return;
    }
    if (!declaresTasks(call.capabilities)) {
      call.fail(missingFailure(tasksRequired));
      return;
    }
    const task = this.#tasks.find(memberOf(json['params'], 'taskId'), this.#owners.of(call.caller.id, policy));
    if (task === undefined) call.fail(unknownTask);
    else if (method === 'tasks/get') task.get(call);
    else if (method === 'tasks/update') task.update(call);
    else task.cancel(call);
  }

  #connectionOf(call: ClientCall, policy: Policy | undefined): LegacyConnection | NoRoom {
    const { capabilities, fingerprint } = this.#declared(call);
    const owner = this.#owners.of(call.caller.id, policy);
    const key = JSON.stringify([owner, fingerprint]);
    const known = this.#pool.find(key);
    if (known !== undefined) return known;
    return this.#pool.open(key, call.caller.id, () => {
      const upstream = this.#options.nextUpstream();
      const connection = new LegacyConnection({
        settings: this.#settings,
        caller: call.caller,
        owner,
        capabilities,
        fingerprint,
        policy,
        upstream,
        onIdle: () => this.#pool.touch(key),
        onEnd: () => this.#pool.remove(key, upstream.close()),
      });
      connection.whenOpen((initialized) => {
        this.#initialized = initialized ?? this.#initialized;
      });
      return connection;
    });
  }

  /** What the server is told of this client. */
  #declared({ capabilities }: ClientCall): Declared {
    return this.#declarations.at(JSON.stringify(capabilities ?? {}));
  }

  #noRoom(why: NoRoom): CallFailure {
    const { maxChildren = defaultMaxChildren } = this.#options;
    const message =
      why === 'full'
        ? `${maxChildren} connections to the server are in use, the most that it may have`
        : `this caller uses its share of the ${maxChildren} connections that the server may have; what is left is kept for other callers`;
    this.#warnOnce(why, `refused a request: ${message} (--max-children)`);
    return callFailure('too_many_children', message);
  }

  #warnOnce(kind: string, message: string): void {
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    this.#options.onWarning(message);
  }
}

const unused: CallFailure = callFailure('connection_unused', 'the connection to the server was not in use');
