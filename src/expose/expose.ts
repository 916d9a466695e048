import { messageOf, messageOfServer, type ExposeError } from '../errors.ts';
import { createBodyReader, defaultMaxBodyBytes } from '../http/body.ts';
import { EventStore } from '../http/responses/event-store.ts';
import { createKeepAliveTimer } from '../http/responses/keep-alive-timer.ts';
import { mcpPath, readinessPath } from '../http/route.ts';
import { createDeferred, settledWithin } from '../platform/deferred.ts';
import { limitsOf } from '../tunnel/capabilities.ts';
import type { OpenTunnel } from '../tunnel/open-tunnel.ts';
import type { TunnelStatus } from '../tunnel/provider.ts';
import type { SignIn } from './oauth.ts';
import type { RunDescription } from './control/runs.ts';
import { callersOf, knowsAddresses, policiesOfCallers, RunTokens } from './access.ts';
import { FrontDoor } from './front-door.ts';
import type { Exposed, ExposeOptions, ServerReport, TunnelReport } from './options.ts';
import { clientOpening } from './servers/client-opening.ts';
import { createExposedServer, defaultStartTimeoutMs } from './servers/exposed-server.ts';
import { ExposedServers, nothingWorks } from './servers/exposed-servers.ts';
import { endAll, prepare, type Prepared } from './prepare.ts';
import { Reports } from './reports.ts';
import type { ServerSources } from './servers/server-sources.ts';

/** How long the answer to a probe's `initialize` may take after the server has started, in milliseconds. */
const startMarginMs = 10_000;

/** How long `close` waits for requests in progress, in milliseconds. */
const defaultDrainMs = 10_000;

/** How long to wait after that for clients to receive the error that ends their requests, in milliseconds. */
const farewellMs = 250;

/**
 * Exposes MCP servers over Streamable HTTP at `/mcp`, or each at `/<name>/mcp`, and over the older HTTP+SSE transport at
 * `/sse`: starts or calls them, guards them, and opens the tunnel. Resolves when clients can use them. If it throws, nothing
 * is left running.
 * @param reported changes the errors of servers that are reported, to the words of the caller.
 * @throws ExposeError with any code of `ErrorCode`, or the signal's reason.
 */
export async function expose(
  options: ExposeOptions,
  reported: (error: ExposeError) => ExposeError = (error) => error,
): Promise<Exposed> {
  const { signal = new AbortController().signal } = options;
  const prepared = await prepare(options, signal);
  let exposure: Exposure | undefined;
  try {
    exposure = new Exposure(prepared, reported);
    await exposure.start(signal);
    return exposure;
  } catch (error) {
    await (exposure === undefined ? endAll(prepared.endings) : exposure.end());
    throw error;
  }
}

/** The servers, the front door and the tunnel of one run. They start in this order and end in the reverse order. */
class Exposure implements Exposed {
  readonly #prepared: Prepared;
  readonly #reported: (error: ExposeError) => ExposeError;
  readonly #maxBodyBytes: number;
  readonly #keepAliveTimer = createKeepAliveTimer();
  readonly #reports: Reports;
  readonly #servers: ExposedServers;
  readonly #tokens: RunTokens | undefined;
  readonly #signIn: SignIn | undefined;
  readonly #door: FrontDoor;
  #tunnel: OpenTunnel | undefined;
  /** How to end each part that has started. */
  readonly #endings: (() => unknown)[] = [];
  #ended: Promise<void> | undefined;
  #drained: Promise<void> | undefined;
  /** Resolved by a `close` that does not wait for requests in progress. */
  readonly #hurry = createDeferred<void>();

  constructor(prepared: Prepared, reported: (error: ExposeError) => ExposeError) {
    const { options, allowsOrigin, admitsAddress, bind, hasFront, requiresToken, audit } = prepared;
    this.#prepared = prepared;
    this.#reported = reported;
    this.#maxBodyBytes = options.listen?.maxBodyBytes ?? defaultMaxBodyBytes;
    this.#reports = new Reports({
      audit,
      readBody: prepared.readBody,
      reportsRequests: options.output?.reportRequests === true,
      hasCredentials: requiresToken,
      onEvent: prepared.onEvent,
    });
    this.#servers = this.#createServers();
    this.#signIn = this.#createSignIn();
    this.#tokens = requiresToken ? this.#createTokens() : undefined;
    this.#door = new FrontDoor({
      directory: this.#servers.directory,
      callers: callersOf(this.#tokens, this.#signIn),
      signIn: this.#signIn,
      allowsOrigin,
      admitsAddress,
      requestsPerSecond: options.access?.requestsPerSecond,
      bind,
      port: options.listen?.port ?? 0,
      tunnelPort: options.tunnel?.port ?? 0,
      domain: options.listen?.domain,
      hasFront,
      reportsClients: this.#reports.hasAll,
      onDenied: this.#reports.denied,
      onGuessing: this.#reports.guessing,
      onWarning: this.#warn,
    });
    this.#endings.push(
      ...prepared.endings,
      () => this.#keepAliveTimer.close(),
      () => this.#tokens?.store.close(),
      () => this.#signIn?.close(),
    );
  }

  /** @throws ExposeError, or the signal's reason; the caller then calls `end`. */
  async start(signal: AbortSignal): Promise<void> {
    const { options, sources, plan, onEvent } = this.#prepared;
    // Before any process is started, so that a port in use leaves none behind.
    await this.#door.open();
    this.#endings.push(() => this.#door.close());
    const count = sources.current().size;
    const what = count === 1 ? 'the server' : `${count} servers`;
    const and = plan.kinds.length === 0 ? '' : `, opening the tunnel (${plan.isAuto ? 'auto' : plan.kinds.join(' ')})`;
    onEvent({ type: 'progress', text: `starting ${what}${and}` });
    this.#endings.push(() => this.#servers.close());

    const startup = new AbortController();
    const starting = AbortSignal.any([signal, startup.signal]);
    await untilFirstFailure(startup, [this.#startServers(starting), this.#openTunnel(starting)]);
    await this.#probeTunnel(starting);
    if (options.access?.control === true) await this.#openControlServer();
    this.#endings.push(sources.follow((next) => this.#replaceServers(next)));
  }

  #createTokens(): RunTokens {
    const { options, token, tokenFile, onEvent } = this.#prepared;
    return new RunTokens(token, options.access ?? {}, {
      signIn: this.#signIn,
      file: tokenFile,
      areAddressesKnown: () => knowsAddresses(options, this.#tunnel?.provider),
      onWarning: this.#warn,
      onEnd: (callerId) => this.#servers.endCaller(callerId),
      onChange: (name, change) => {
        if (change !== 'called') onEvent({ type: 'token', name, change });
      },
    });
  }

  #createSignIn(): SignIn | undefined {
    const { options, CreateSignIn, identity, onEvent } = this.#prepared;
    const { pairing = 'code', confirm, once = false, expiresInMs, readOnly } = options.access ?? {};
    const names = (): string[] => this.#servers.reports().map(({ name }) => name);
    return (
      CreateSignIn &&
      new CreateSignIn({
        pairing,
        confirm,
        identity,
        once,
        expiresInMs,
        canStepUp: readOnly !== true,
        isTaken: (name) => this.#tokens?.isTaken(name) === true,
        endpoints: () => this.#servers.paths(),
        sharedName: () =>
          names().length === 1 ? names().join('') : `${names().length} servers: ${names().join(', ')}`,
        onEvent: (event) => onEvent({ type: 'oauth', event, pairingCode: this.pairingCode }),
        onEnd: (callerId) => this.#servers.endCaller(callerId),
      })
    );
  }

  /** @throws ExposeError `usage` if the URL is not https. */
  #setIssuer(url: string): void {
    if (this.#signIn?.setIssuer(url) !== true) return;
    this.#warn(
      `the public URL changed to ${url}: clients that signed in with OAuth have to sign in again, at the new URL`,
    );
    const { identityProvider: at } = this;
    if (at !== undefined) this.#warn(`register the new redirect URI at ${at.host}: ${at.redirectUri}`);
  }

  /** At a URL that is not https, the run goes on without OAuth: its tokens work as before. */
  #changeIssuer(url: string): void {
    try {
      this.#setIssuer(url);
    } catch (error) {
      this.#warn(messageOf(error));
    }
  }

  #createServers(): ExposedServers {
    const { options, replicaId, watchdog, policy, toolGlobs, approvals, onEvent } = this.#prepared;
    const policyOf = policiesOfCallers(policy);
    const eventStore = new EventStore();
    const bodies = createBodyReader({ maxBytes: this.#maxBodyBytes });
    return new ExposedServers((name, source) => {
      const named = name === undefined ? {} : { server: name };
      return createExposedServer({
        ...(name === undefined ? {} : { name }),
        source,
        settings: { ...options.server, ...options.listen },
        idPrefix: replicaId && `${replicaId}.`,
        watchdog,
        policy,
        policyOf,
        approvals: approvals?.forServer(name),
        // Without a token, all are one caller.
        hasSharedCallers: options.access?.token === false && options.access.allowUnauthenticatedPublic === true,
        eventStore,
        bodies,
        keepAliveTimer: this.#keepAliveTimer,
        onTools: (names) => toolGlobs.note(names),
        onStderr: (line) => onEvent({ type: 'stderr', line, ...named }),
        onWarning: (message) => this.#warn(name === undefined ? message : `${name}: ${message}`),
        ...this.#reports.readersFor(name),
      });
    });
  }

  async #startServers(signal: AbortSignal): Promise<void> {
    await this.#servers.set(this.#prepared.sources.current(), signal);
    const reports = this.#servers.reports();
    const failures = reports.flatMap(({ name, error }) => (error === undefined ? [] : [{ name, error }]));
    if (failures.length === reports.length) throw nothingWorks(failures);
    if (failures.length === 0) for (const warning of this.#prepared.toolGlobs.warnings()) this.#warn(warning);
    for (const { name, error } of failures) this.#warn(`${messageOfServer(name, error)}; the other servers continue`);
  }

  async #openTunnel(signal: AbortSignal): Promise<void> {
    const { options, plan, onEvent } = this.#prepared;
    const tunnel = await plan.open({
      createHandler: (way) => this.#door.tunnelHandler(way),
      listen: (handler) => this.#door.listenForTunnel(handler),
      localPort: this.#door.port,
      token: this.#tokens?.probeToken,
      opening: () => {
        const path = this.#servers.pathToTry();
        return path === undefined ? undefined : clientOpening(path);
      },
      // A server may have to start for the session.
      openingTimeoutMs: (options.server.startTimeoutMs ?? defaultStartTimeoutMs) + startMarginMs,
      readinessPath,
      signal,
      onUrls: (publicUrls) => {
        this.#door.setTunnelUrls(publicUrls);
        if (this.#tunnel !== undefined && publicUrls[0] !== undefined) this.#changeIssuer(publicUrls[0]);
      },
      onStatus: ({ state, publicUrls, reason }: TunnelStatus) =>
        onEvent({
          type: 'tunnel',
          state,
          publicUrl: this.#urlBelow(publicUrls[0] ?? ''),
          ...(reason === undefined ? {} : { reason }),
        }),
      onWarning: this.#warn,
    });
    if (tunnel === undefined) {
      this.#setIssuer(this.#door.localUrl);
      return;
    }
    this.#endings.push(() => tunnel.close());
    this.#keepAliveTimer.setMaxSilence(tunnel.maxSilenceMs);
    this.#tunnel = tunnel;
    this.#setIssuer(tunnel.publicUrls[0] ?? this.#door.localUrl);
  }

  async #openControlServer(): Promise<void> {
    const { openControlServer } = await import('./control/control-server.ts');
    const describe = (): RunDescription => ({
      pid: process.pid,
      servers: this.#servers.reports().map(({ name }) => name),
      publicUrl: this.publicUrl,
      localUrl: this.localUrl,
    });
    try {
      const server = await openControlServer({ env: process.env, describe, tokens: this.#tokens });
      this.#endings.push(() => server.close());
    } catch (error) {
      this.#warn(`mcp-expose token cannot change the tokens of this run: ${messageOf(error)}`);
    }
  }

  async #probeTunnel(signal: AbortSignal): Promise<void> {
    const tunnel = this.#tunnel;
    if (tunnel === undefined) return;
    for (const limit of limitsOf(tunnel.provider.capabilities, this.#maxBodyBytes)) this.#warn(limit);
    this.#reports.isProbing = true;
    await tunnel.begin(signal);
    this.#reports.isProbing = false;
    signal.throwIfAborted();
  }

  /** Applies a change of the configuration. */
  async #replaceServers(next: ReturnType<ServerSources['current']>): Promise<void> {
    if (!(await this.#servers.set(next, new AbortController().signal))) return;
    const { publicUrl, localUrl, servers } = this;
    this.#prepared.onEvent({ type: 'servers', publicUrl, localUrl, servers });
  }

  readonly #warn = (message: string): void => this.#prepared.onEvent({ type: 'warning', message });

  /** With several servers, the URL to which their paths are added. */
  #urlBelow(base: string): string {
    return this.#prepared.sources.current().size === 1 ? base + mcpPath : base;
  }

  get publicUrl(): string | null {
    return this.#tunnel === undefined ? null : this.#urlBelow(this.#tunnel.publicUrls[0] ?? '');
  }

  get localUrl(): string {
    return this.#urlBelow(this.#door.localUrl);
  }

  get token(): string | null {
    return this.#prepared.token ?? null;
  }

  get tokens(): RunTokens | undefined {
    return this.#tokens;
  }

  get pairingCode(): string | undefined {
    return this.#signIn?.pairingCode;
  }

  get identityProvider(): Exposed['identityProvider'] {
    return this.#signIn?.identityProvider;
  }

  get provider(): string {
    return this.#tunnel?.provider.name ?? 'none';
  }

  get foundNoTunnel(): boolean {
    return this.#prepared.plan.isAuto && this.#tunnel === undefined;
  }

  get tunnel(): TunnelReport | undefined {
    return this.#tunnel === undefined ? undefined : reportOf(this.#tunnel);
  }

  get notice(): string | undefined {
    return this.#tunnel?.provider.notice;
  }

  get servers(): readonly ServerReport[] {
    return this.#servers.reports().map((report) => ({
      ...report,
      error: report.error && this.#reported(report.error),
    }));
  }

  // Fields instead of methods, so that callers can pass them on without the object.
  readonly close = async ({ drainMs = defaultDrainMs }: { readonly drainMs?: number } = {}): Promise<void> => {
    this.#door.stop();
    // Nobody answers any more, so nobody should wait for it.
    void this.#prepared.approvals?.close();
    this.#drained ??= this.#servers.drain();
    if (drainMs <= 0) this.#hurry.resolve();
    await settledWithin(Promise.race([this.#drained, this.#hurry.promise]), drainMs);
    // Before the listener and the tunnel end, since clients receive their errors through these.
    void this.#servers.close();
    await settledWithin(this.#drained, farewellMs);
    await this.end();
  };

  readonly reopenAudit = (): void => this.#prepared.audit?.reopen();

  readonly kill = (): void => this.#prepared.watchdog.killAll();

  /** Ends everything that has started, in the reverse order, without waiting for requests. Never rejects. */
  end(): Promise<void> {
    this.#ended ??= endAll(this.#endings);
    return this.#ended;
  }
}

function reportOf(tunnel: OpenTunnel): TunnelReport {
  const { operator, readsTraffic, interstitial } = tunnel.provider.capabilities;
  const headers = interstitial === undefined ? {} : { [interstitial.header]: interstitial.value };
  return {
    operator,
    readsTraffic,
    headers,
    expiresAt: tunnel.expiresAt,
    isVerified: tunnel.isVerified(),
    isTrusted: tunnel.isTrusted(),
  };
}

/** Waits for all; if one fails, aborts the others, waits for them, and throws the first error. */
async function untilFirstFailure(startup: AbortController, parts: readonly Promise<void>[]): Promise<void> {
  try {
    await Promise.all(parts);
  } catch (error) {
    startup.abort(error);
    await Promise.allSettled(parts);
    throw error;
  }
}
