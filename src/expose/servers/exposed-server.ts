import { DeferredUpstream } from '../../bridge/era/deferred-upstream.ts';
import { describeServer, type ServerDescription } from '../../bridge/describe-server.ts';
import {
  createSessions,
  type SessionApprovals,
  type Sessions,
  type SessionsOptions,
} from '../../bridge/session/sessions.ts';
import { createSharedUpstream, type SharedUpstream } from '../../bridge/shared/shared-upstream.ts';
import { ManagedServer } from '../../bridge/restart/managed-server.ts';
import type { PolicyOf } from '../../http/find-session.ts';
import type { Policy } from '../../policy/policy.ts';
import type { ListenOptions, ServerOptions, ServerReport } from '../options.ts';
import type { Upstream } from '../../bridge/upstream/upstream.ts';
import {
  createUpstreamFactory,
  type ConnectionSettings,
  type UpstreamFactory,
  type UpstreamFactoryOptions,
} from './upstream-factory.ts';
import type { Readiness, ServedServer } from '../../http/directory.ts';
import type { ReportReaders } from '../../http/responses/call-report.ts';
import type { EventStore } from '../../http/responses/event-store.ts';
import { McpEndpoint, type McpEndpointOptions } from '../../http/mcp-endpoint.ts';
import { SseEndpoint } from '../../http/sse-endpoint.ts';
import { createReadinessCheck } from './readiness-check.ts';
import type { Exchanges } from '../../bridge/exchange/exchanges.ts';
import { EraExchanges } from './era-exchanges.ts';
import { ServerEras, translationOptions, type EraSettings } from './server-eras.ts';
import { ExposeError } from '../../errors.ts';
import { createDeferred } from '../../platform/deferred.ts';
import { redactUrl } from '../../platform/text/redact.ts';
import { version } from '../../version.ts';

/** How long a server may take to start and answer: `npx` may have to download it first. */
export const defaultStartTimeoutMs: number = 60_000;

/** How servers are run, the same for all of a run. */
export type ServerSettings = ConnectionSettings &
  EraSettings &
  Pick<ServerOptions, 'isolation' | 'warm' | 'restart' | 'startTimeoutMs'> &
  Pick<ListenOptions, 'maxSessions' | 'idleTimeoutMs'>;

export interface ExposedServerOptions
  extends
    UpstreamFactoryOptions,
    Pick<McpEndpointOptions, 'bodies' | 'keepAliveTimer' | keyof ReportReaders>,
    Pick<SessionsOptions, 'idPrefix' | 'onToolsChange'> {
  /** Left out for a server that is the only one and needs no name. */
  readonly name?: string;
  readonly settings: ServerSettings;
  /** What all callers may use. */
  readonly policy: Policy;
  /** What each of them may use. */
  readonly policyOf: PolicyOf;
  /** Undefined if no call needs approval. */
  readonly approvals: SessionApprovals | undefined;
  /** Whether several people may be behind one caller, who must not be asked what is meant for another. */
  readonly hasSharedCallers: boolean;
  /** Keeps the event streams of all servers. */
  readonly eventStore: EventStore;
  /** Called with the names of the tools that the server has. */
  readonly onTools: (names: readonly string[]) => void;
  /** Called with the number of open sessions whenever it changes. */
  readonly onSessions: (open: number) => void;
}

/** @throws ExposeError as `createUpstreamFactory` does. */
export async function createExposedServer(options: ExposedServerOptions): Promise<ExposedServer> {
  return new ExposedServer(options, await createUpstreamFactory(options));
}

/** One server with all that it takes to expose it: its connections, its sessions, its endpoints. */
export class ExposedServer implements ServedServer {
  readonly name?: string;
  readonly mcp: McpEndpoint;
  readonly sse: SseEndpoint;
  readonly #options: ExposedServerOptions;
  readonly #startTimeoutMs: number;
  readonly #server: ManagedServer;
  readonly #eras: ServerEras;
  readonly #shared: SharedUpstream | undefined;
  readonly #sessions: Sessions;
  readonly #exchanges: EraExchanges;
  readonly #isReady: ReturnType<typeof createReadinessCheck>;
  readonly #closing = new AbortController();
  readonly #started = createDeferred<void>();
  #isStarting = true;
  /** Under way because somebody needs it, after the start. */
  #describing: Promise<unknown> | undefined;

  constructor(options: ExposedServerOptions, connect: UpstreamFactory) {
    const { name, source, settings, idPrefix, eventStore, bodies, keepAliveTimer, policyOf, approvals } = options;
    const { onBegin, onRequest, onSession, onSessions, readBody, isSelective, onToolsChange, onWarning } = options;
    const { startTimeoutMs = defaultStartTimeoutMs, isolation = 'session', warm } = settings;
    const [isProcess, isShared] = [source.kind === 'stdio', isolation === 'shared'];
    if (name !== undefined) this.name = name;
    this.#options = options;
    this.#startTimeoutMs = startTimeoutMs;
    this.#server = new ManagedServer({
      connect,
      isProcess,
      isShared,
      warm,
      onDoubt: () => this.#eras.doubt(),
      onWarning,
    });
    const known = { kind: source.kind, settings, isShared };
    this.#eras = new ServerEras({ ...known, server: this.#server, startTimeoutMs, onWarning });
    const create = (): Upstream => this.#eras.sessionUpstream();
    const shared = isShared ? createSharedUpstream({ create, onWarning }) : undefined;
    this.#shared = shared;
    // All clients of a modern server share it in any case.
    const choose = (): Upstream => (shared === undefined || this.#eras.era === 'modern' ? create() : shared.attach());
    const nextUpstream = (): Upstream => {
      const whenKnown = this.#whenKnown();
      return whenKnown === undefined ? choose() : new DeferredUpstream(whenKnown, choose);
    };
    this.#sessions = createSessions({
      nextUpstream,
      idPrefix,
      startTimeoutMs,
      maxSessions: settings.maxSessions,
      idleTimeoutMs: settings.idleTimeoutMs,
      approvals,
      onChange: (open) => {
        // Also where the server could not be described at first: it has recovered.
        if (open > 0) this.#server.begin();
        onSessions(open);
      },
      onSilent: (reason) => this.#server.health.failed(reason),
      onToolsChange,
      onWarning,
    });
    const legacy = settings.strictEra === true ? {} : { legacy: async () => this.#translate(nextUpstream) };
    this.#exchanges = new EraExchanges({
      whenKnown: () => this.#whenKnown(),
      serverEra: () => this.#eras.era,
      create: { ...legacy, modern: async () => this.#passThrough() },
    });
    const readers = { onBegin, onRequest, onSession, readBody, isSelective };
    const served = { sessions: this.#sessions, bodies, keepAliveTimer, policyOf, ...readers };
    this.mcp = new McpEndpoint({ ...served, exchanges: this.#exchanges, eventStore });
    this.sse = new SseEndpoint({ ...served, idPrefix, startTimeoutMs });
    this.#isReady = createReadinessCheck({
      report: () => this.#server.health.report(),
      isLifeProof: source.kind !== 'http',
      // A second connection to what all share may do harm.
      probe: isShared && isProcess ? undefined : (signal) => this.#probe(signal),
    });
  }

  async readiness(): Promise<Readiness> {
    const { status, reason } = this.#isStarting ? { status: 'starting' as const } : await this.#isReady();
    const { children, restarts } = this.#server.health.report();
    const why = reason === undefined ? {} : { reason };
    const { era, protocolVersion } = this.#eras.description ?? {};
    const spoken = era === undefined || protocolVersion === undefined ? {} : { era, protocolVersion };
    const report = this.#exchanges.report();
    const translation = report && { translation: { parked: report.parked, tasks: report.tasks, ...report.counters } };
    return { status, ...why, ...spoken, sessions: this.#sessions.count(), children, restarts, ...translation };
  }

  /**
   * Asks the server what it is, over a connection of its own, and starts what waits for sessions.
   * @param isAlone there are no other servers to start.
   * @throws ExposeError as `describeServer` does, or the signal's reason.
   */
  async start(signal: AbortSignal, isAlone: boolean): Promise<ServerDescription> {
    const { source } = this.#options;
    // Many that start at once keep each other from it.
    const isAhead = isAlone && source.kind === 'stdio' && this.#server.coexistence.isAllowed;
    if (isAhead) this.#server.begin();
    try {
      const description = await this.#describe(signal, source.kind === 'stdio' ? undefined : redactUrl(source.url));
      // By then it may have given back what the next process needs.
      if (this.#shared !== undefined || !this.#server.coexistence.isAllowed) await this.#server.coexistence.allEnded();
      if (!isAhead) this.#server.begin();
      return description;
    } finally {
      this.#isStarting = false;
      this.#started.resolve();
    }
  }

  /** As in `ServerReport`. */
  get translatedFor(): ServerReport['translatedFor'] {
    return this.#eras.translatedFor;
  }

  /** Whether a session of ours would be served, and start no process beside one that may not bear it. */
  mayBeTried(): boolean {
    return !this.#eras.mayRefuseSessions && this.#server.mayBeTried();
  }

  /** Ends the sessions and connections of a caller whose credential ended. */
  endCaller(callerId: string): void {
    this.#sessions.endCaller(callerId);
    this.#exchanges.endCaller(callerId);
    this.sse.endCaller(callerId);
  }

  /** Takes no more requests; resolves when none is waiting for its response. */
  async drain(): Promise<void> {
    await Promise.all([this.mcp.drain(), this.sse.drain()]);
  }

  /** Ends all of it; resolves when nothing is left. */
  async close(): Promise<void> {
    this.#closing.abort(new ExposeError('internal', 'the server is no longer exposed'));
    // Their calls are told before their streams end.
    const ended = Promise.all([
      this.#sessions.close(),
      this.#exchanges.close(),
      this.#shared?.close(),
      this.#eras.close(),
      this.#server.close(),
    ]);
    this.mcp.close();
    this.sse.close();
    await ended;
  }

  /** Serves modern clients by this server, which is a modern one. */
  async #passThrough(): Promise<Exchanges> {
    const { approvals, hasSharedCallers, onToolsChange, onWarning } = this.#options;
    const { modern, introduction } = this.#eras;
    const { createSameEraExchanges } = await import('../../bridge/modern/same-era-exchanges.ts');
    if (modern === undefined) throw new Error('the server is not a modern one');
    const callers = { areCallersKnown: !hasSharedCallers, approvals };
    return createSameEraExchanges({ shared: modern.shared, introduction, ...callers, onToolsChange, onWarning });
  }

  /** Serves modern clients by this server, which is a legacy one. */
  async #translate(nextUpstream: () => Upstream): Promise<Exchanges> {
    const { settings, approvals, hasSharedCallers, onToolsChange, onWarning } = this.#options;
    const { createLegacyExchanges } = await import('../../bridge/exchange/legacy-exchanges.ts');
    return createLegacyExchanges({
      ...translationOptions(settings),
      nextUpstream,
      introduction: this.#eras.introduction,
      startTimeoutMs: this.#startTimeoutMs,
      approvals,
      onToolsChange,
      isSharedCaller: () => hasSharedCallers,
      clientVersion: version,
      onWarning,
    });
  }

  /** Asks the server whether it works, unless a process of it does already and may not bear another one. */
  async #probe(signal: AbortSignal): Promise<void> {
    if (this.#server.mayBeAsked()) await this.#describe(signal);
  }

  /**
   * Resolves when the era of the server is known, or cannot be found out now: one that could not be described at the start, or may
   * have been replaced, is asked again. Undefined if there is nothing to wait for.
   */
  #whenKnown(): Promise<unknown> | undefined {
    if (this.#describing !== undefined) return this.#describing;
    if (this.#eras.isKnown) return undefined;
    if (this.#isStarting) return this.#started.promise;
    if (!this.#server.mayBeAsked()) return undefined;
    this.#describing = this.#describe(this.#closing.signal)
      .catch(() => {})
      .finally(() => (this.#describing = undefined));
    this.#eras.settle();
    return this.#describing;
  }

  /** @param url its address for errors, where no client reads them. */
  async #describe(signal: AbortSignal, url?: string): Promise<ServerDescription> {
    const { source, policy, onTools, onWarning } = this.#options;
    const isProcess = source.kind === 'stdio';
    const description = await describeServer({
      look: (use, era) => this.#server.look(use, era),
      visible: (tools) => policy.trim('tools/list', tools),
      carriesBoth: isProcess,
      era: this.#eras.askedFor,
      url,
      timeoutMs: this.#startTimeoutMs,
      onWarning,
      onIntroduced: async (introduction) => {
        if (!(await this.#eras.introducedAs(introduction))) return;
        onWarning(`the server was replaced by one of the ${introduction.era} era: its clients have to connect again`);
        this.#sessions.dismiss();
        void this.#exchanges.dismiss();
      },
      onTools,
      signal: AbortSignal.any([signal, this.#closing.signal]),
      checkAlone: isProcess ? 'run the command alone to check it' : 'check the URL, and that the server runs',
      clientVersion: version,
    });
    this.#eras.describedAs(description);
    return description;
  }
}
