import { describeServer, type ServerDescription } from '../../bridge/describe-server.ts';
import { createSessions } from '../../bridge/session/sessions.ts';
import { createSharedUpstream } from '../../bridge/shared/shared-upstream.ts';
import { createInstances } from '../../bridge/restart/instances.ts';
import { createWarmPool } from '../../bridge/restart/warm-pool.ts';
import { createRestartingUpstream } from '../../bridge/restart/restarting-upstream.ts';
import { createUpstreamHealth } from '../../bridge/restart/upstream-health.ts';
import type { ListenOptions, ServerOptions } from '../options.ts';
import type { Upstream } from '../../bridge/upstream/upstream.ts';
import type { Watchdog } from '../../platform/process/watchdog.ts';
import { createUpstreamFactory, type ConnectionSettings, type ServerSource } from './upstream-factory.ts';
import type { BodyReader } from '../../http/body.ts';
import type { Readiness, ServedServer } from '../../http/directory.ts';
import type { EventStore } from '../../http/responses/event-store.ts';
import { createMcpEndpoint, type RequestReport } from '../../http/mcp-endpoint.ts';
import type { KeepAliveTimer } from '../../http/responses/keep-alive-timer.ts';
import { createSseEndpoint } from '../../http/sse-endpoint.ts';
import { createReadinessCheck } from './readiness-check.ts';
import { ExposeError } from '../../errors.ts';
import { redactUrl } from '../../platform/text/redact.ts';
import { version } from '../../version.ts';

/** How long a server may take to start and answer: `npx` may have to download it first. */
export const defaultStartTimeoutMs: number = 60_000;

/** Servers that are started ahead of the sessions that will need them, as soon as they are known to bear each other. */
const defaultWarm = 1;

/** How servers are run, the same for all of a run. */
export type ServerSettings = ConnectionSettings &
  Pick<ServerOptions, 'isolation' | 'warm' | 'restart' | 'startTimeoutMs'> &
  Pick<ListenOptions, 'maxSessions' | 'idleTimeoutMs'>;

export interface ExposedServerOptions {
  /** Left out for a server that is the only one and needs no name. */
  readonly name?: string;
  readonly source: ServerSource;
  readonly settings: ServerSettings;
  readonly watchdog: Watchdog;
  /** Keeps the event streams of all servers. */
  readonly eventStore: EventStore;
  /** Reads what is sent to any of them. */
  readonly bodies: BodyReader;
  /** Looks after the streams of all. */
  readonly keepAliveTimer: KeepAliveTimer;
  readonly onStderr: (line: string) => void;
  readonly onWarning: (message: string) => void;
  /** Called with the number of open sessions whenever it changes. */
  readonly onSessions: (open: number) => void;
  readonly onRequest?: ((report: RequestReport) => void) | undefined;
}

/** One server with all that it takes to expose it: its connections, its sessions, its endpoints. */
export interface ExposedServer extends ServedServer {
  /**
   * Asks the server what it is, over a connection of its own, and starts what waits for sessions.
   * @param isAlone there are no other servers to start.
   * @throws ExposeError as `describeServer` does, or the signal's reason.
   */
  start(signal: AbortSignal, isAlone: boolean): Promise<ServerDescription>;
  /** Whether a session of ours would start no process beside one that may not bear it. */
  mayBeTried(): boolean;
  /** Takes no more requests; resolves when none is waiting for its response. */
  drain(): Promise<void>;
  /** Ends all of it; resolves when nothing is left. */
  close(): Promise<void>;
}

/** @throws ExposeError as `createUpstreamFactory` does. */
export async function createExposedServer(options: ExposedServerOptions): Promise<ExposedServer> {
  const {
    name,
    source,
    settings,
    watchdog,
    eventStore,
    bodies,
    keepAliveTimer,
    onStderr,
    onWarning,
    onSessions,
    onRequest,
  } = options;
  const { startTimeoutMs = defaultStartTimeoutMs, restart = 'on-exit', isolation = 'session' } = settings;
  const connect = await createUpstreamFactory({ source, settings, watchdog, onStderr, onWarning });
  const health = createUpstreamHealth();
  const isProcess = source.kind === 'stdio';

  const isShared = isolation === 'shared';
  const warm = settings.warm ?? defaultWarm;

  const instances = createInstances({
    // Whoever asks for processes that wait beside those in use says that they may be.
    mayCoexist: !isProcess || (!isShared && (settings.warm ?? 0) > 0),
    onChange: () => warmPool.refill(),
    onWarning,
  });
  // The one that all sessions share is started ahead; after that, nobody will need another one.
  const warmPool = createWarmPool({
    create: (isWanted) => watched(health.watch(connect(isWanted))),
    count: isProcess ? (isShared ? Math.min(1, warm) : warm) : 0,
    refill: !isShared,
    mayKeep: instances.isFree,
    onWarning,
  });
  const watched = (upstream: Upstream, isBrief?: boolean): Upstream =>
    isProcess ? instances.watch(upstream, isBrief) : upstream;
  const restarting = (): Upstream =>
    createRestartingUpstream({
      create: warmPool.take,
      whenClear: instances.whenClear,
      restart,
      startTimeoutMs,
      onRestarted: health.restarted,
      onWarning,
    });
  const shared = isShared ? createSharedUpstream({ create: restarting, onWarning }) : undefined;
  const sessions = createSessions({
    nextUpstream: shared === undefined ? restarting : shared.attach,
    startTimeoutMs,
    maxSessions: settings.maxSessions,
    idleTimeoutMs: settings.idleTimeoutMs,
    onChange(open) {
      // Also where the server could not be described at first: it has got well.
      if (open > 0) warmPool.begin();
      onSessions(open);
    },
    onSilent: health.failed,
    onWarning,
  });
  const mcp = createMcpEndpoint({ sessions, bodies, keepAliveTimer, eventStore, onRequest });
  const sse = createSseEndpoint({ sessions, bodies, keepAliveTimer, startTimeoutMs, onRequest });

  const descriptions = new Set<Promise<void>>();
  const closing = new AbortController();
  let isStarting = true;

  /** @param url its address for errors, where no client reads them. */
  function look(signal: AbortSignal, url?: string): Promise<ServerDescription> {
    return new Promise((resolve, reject) => {
      instances.whenClear(() => void lookNow(signal, url).then(resolve, reject));
    });
  }

  async function lookNow(signal: AbortSignal, url: string | undefined): Promise<ServerDescription> {
    const upstream = watched(health.watch(connect(() => true)), true);
    try {
      return await describeServer({
        upstream,
        url,
        timeoutMs: startTimeoutMs,
        onWarning,
        signal: AbortSignal.any([signal, closing.signal]),
        checkAlone: isProcess ? 'run the command alone to check it' : 'check the URL, and that the server runs',
        clientVersion: version,
      });
    } finally {
      const ended = upstream.close().finally(() => descriptions.delete(ended));
      descriptions.add(ended);
    }
  }

  async function start(signal: AbortSignal, isAlone: boolean): Promise<ServerDescription> {
    // Many that start at once keep each other from it.
    const isAhead = isAlone && isProcess && instances.mayCoexist();
    if (isAhead) warmPool.begin();
    try {
      const description = await look(signal, isProcess ? undefined : redactUrl(source.url));
      // By then it may have given back what the next process needs.
      if (isShared || !instances.mayCoexist()) await Promise.all(descriptions);
      if (!isAhead) warmPool.begin();
      return description;
    } finally {
      isStarting = false;
    }
  }

  const mayBeTried = (): boolean => isShared || instances.mayCoexist() || instances.count() === warmPool.ready;

  /** Asks the server whether it works, unless a process of it does already and may not bear another one. */
  async function probe(signal: AbortSignal): Promise<void> {
    if (!mayBeTried()) return;
    if (!instances.mayCoexist()) warmPool.dismiss();
    await look(signal);
  }

  const isReady = createReadinessCheck({
    health,
    isLifeProof: source.kind !== 'http',
    // A second connection to what all share may do harm.
    probe: isShared && isProcess ? undefined : probe,
  });
  async function readiness(): Promise<Readiness> {
    const { status, reason } = isStarting ? { status: 'starting' as const } : await isReady();
    const { children, restarts } = health.report();
    return { status, ...(reason === undefined ? {} : { reason }), sessions: sessions.count(), children, restarts };
  }

  return {
    ...(name === undefined ? {} : { name }),
    mcp,
    sse,
    readiness,
    start,
    mayBeTried,
    async drain() {
      await Promise.all([mcp.drain(), sse.drain()]);
    },
    async close() {
      closing.abort(new ExposeError('internal', 'the server is no longer exposed'));
      // Their calls are told before their streams end.
      const ended = Promise.all([sessions.close(), shared?.close(), warmPool.close(), ...descriptions]);
      mcp.close();
      sse.close();
      await ended;
    },
  };
}
