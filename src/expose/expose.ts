import { networkInterfaces } from 'node:os';

import { createGuard } from '../auth/guard.ts';
import { createHostList, type HostList } from '../auth/hosts.ts';
import { createOriginMatcher } from '../auth/origins.ts';
import { checkToken, generateToken, readTokenFile, weakTokenLength } from '../auth/token.ts';
import { createWatchdog, type Watchdog } from '../platform/process/watchdog.ts';
import { createDeferred, settledWithin } from '../platform/deferred.ts';
import type { AccessOptions, Exposed, ExposeEvent, ExposeOptions, TunnelOptions, TunnelReport } from './options.ts';
import type { TunnelPlan } from './tunnel-plan.ts';
import { ExposeError, messageOfServer } from '../errors.ts';
import { createExposedServer, defaultStartTimeoutMs } from './servers/exposed-server.ts';
import { createExposedServers } from './servers/exposed-servers.ts';
import { listenerUrls, resolveBindAddress, type BindAddress } from '../http/addresses.ts';
import { createBodyReader, defaultMaxBodyBytes } from '../http/body.ts';
import { createCors } from '../http/cors.ts';
import { createEventStore } from '../http/responses/event-store.ts';
import { createHandler } from '../http/handler.ts';
import { listen } from '../http/listener.ts';
import { createKeepAliveTimer } from '../http/responses/keep-alive-timer.ts';
import { mcpPath, readinessPath } from '../http/route.ts';
import { clientOpening } from './servers/client-opening.ts';
import { limitsOf } from '../tunnel/capabilities.ts';
import { lanAddresses } from '../platform/net/addresses.ts';
import type { Attempt } from '../tunnel/open-first.ts';
import type { OpenTunnel, WayIn } from '../tunnel/open-tunnel.ts';
import type { RequestHandler, TunnelListener, TunnelStatus } from '../tunnel/provider.ts';
import { readServerSources } from './servers/server-sources.ts';
import { shareIdentity } from './servers/share-identity.ts';

/** What its answer takes beside that, on its way through the tunnel, in milliseconds. */
const startMarginMs = 10_000;

/** How long `close` waits for requests that are under way. */
const defaultDrainMs = 10_000;

/** How long clients that still wait after that may take to be told that it is over, in milliseconds. */
const tellMs = 250;

/**
 * Exposes MCP servers over Streamable HTTP at `/mcp`, or each at `/<name>/mcp`, and over the older HTTP+SSE transport at
 * `/sse`: starts or calls them, guards them, and opens the tunnel. Resolves when clients can use them. When it throws,
 * nothing of it is left running.
 * @throws ExposeError with any code of `ErrorCode`, or the signal's reason.
 */
export async function expose(options: ExposeOptions): Promise<Exposed> {
  const {
    server: serverOptions,
    access = {},
    listen: listenOptions = {},
    signal = new AbortController().signal,
  } = options;
  const { onEvent = () => {}, reportRequests = false } = options.output ?? {};
  const warn = (message: string): void => onEvent({ type: 'warning', message });
  const allowsOrigin = createOriginMatcher(access.allowOrigins ?? []);
  const sources = await readServerSources(serverOptions, warn);
  const bind = await resolveBindAddress(listenOptions.host ?? '127.0.0.1');
  const watchdog = createWatchdog();
  const choices = guardedChoices(options, warn);
  const hasFront = choices.kind === 'none' && choices.publicUrl !== undefined;
  const plan = await choosePlan(choices, {
    watchdog,
    share: shareIdentity(serverOptions),
    onAttempt: (attempt) => onEvent({ type: 'attempt', ...attempt }),
  });
  checkExposure(options, bind, plan, hasFront);
  const token = await chooseToken(access, signal, warn);

  // Each part that has begun puts its end here; they run in reverse order.
  const endings: (() => unknown)[] = [];
  endings.push(() => watchdog.close());
  let closing: Promise<void> | undefined;
  function end(): Promise<void> {
    closing ??= (async () => {
      for (const ending of endings.toReversed()) {
        // oxlint-disable-next-line no-await-in-loop -- what is used is ended after what uses it, even when that fails
        await Promise.allSettled([(async () => ending())()]);
      }
    })();
    return closing;
  }

  try {
    const eventStore = createEventStore();
    const { maxBodyBytes = defaultMaxBodyBytes } = listenOptions;
    const bodies = createBodyReader({ maxBytes: maxBodyBytes });
    const keepAliveTimer = createKeepAliveTimer();
    endings.push(() => keepAliveTimer.close());
    // While we look whether the public URL works, the session is ours and nobody's use.
    let isLooking = false;
    const reportUse = (event: ExposeEvent): void => {
      if (!isLooking) onEvent(event);
    };
    const servers = createExposedServers({
      create(name, serverSource) {
        const named = name === undefined ? {} : { server: name };
        return createExposedServer({
          ...(name === undefined ? {} : { name }),
          source: serverSource,
          settings: { ...serverOptions, ...listenOptions },
          watchdog,
          eventStore,
          bodies,
          keepAliveTimer,
          onStderr: (line) => onEvent({ type: 'stderr', line, ...named }),
          onWarning: (message) => warn(name === undefined ? message : `${name}: ${message}`),
          onSessions: (open) => reportUse({ type: 'sessions', open, ...named }),
          onRequest: reportRequests ? (report) => reportUse({ type: 'request', ...report }) : undefined,
        });
      },
    });
    const { directory } = servers;
    // Apart: what a relay says that it is called by must not be let in where only this machine should come in.
    const hostOptions = {
      allowsOrigin,
      hasLabel: (label: string) => directory.find(label) !== undefined,
    };
    const localHosts = createHostList(hostOptions);
    const tunnelHosts = createHostList(hostOptions);
    const cors = createCors(allowsOrigin);
    const handlerFor = (hosts: HostList, way?: WayIn): ReturnType<typeof createHandler> =>
      createHandler({
        guard: createGuard({
          hosts,
          token,
          // Clients on this machine connect to the local listener themselves, whether others come through a proxy or not.
          hopHeader: hosts === localHosts ? undefined : (way?.capabilities.clientAddressHeader ?? null),
        }),
        cors,
        directory,
        hasGetStreams: way?.hasGetStreams,
        reportsClients: reportRequests,
      });

    // Before any process is started: a port in use must leave none behind.
    const local: { handler: RequestHandler } = { handler: handlerFor(localHosts) };
    const listener = await listen(
      bind.address,
      listenOptions.port ?? 0,
      // A look through a proxy in front has to see what comes back.
      hasFront ? (request, response) => local.handler(request, response) : local.handler,
      { onWarning: warn },
    );
    endings.push(() => listener.close());
    const own = listenerUrls(bind, listener.port, lanAddresses(networkInterfaces()));
    const setLocalUrls = (publicUrls: readonly string[]): void =>
      localHosts.setUrls([...own.all, ...domainUrls(listenOptions.domain), ...publicUrls]);
    setLocalUrls([]);
    if (!bind.isLoopback) {
      const where = own.others.length === 0 ? `port ${listener.port}` : own.others.join(' ');
      warn(`others can connect at ${where}; this is not encrypted, whoever is on the network can read the token`);
    }
    /** In place of a listener of its own, for a proxy in front: when it is closed, its name is not ours any more. */
    const serveFront = async (handler: RequestHandler): Promise<TunnelListener> => {
      local.handler = handler;
      return {
        port: listener.port,
        async close() {
          local.handler = handlerFor(localHosts);
          setLocalUrls([]);
        },
      };
    };

    const what = sources.current().size === 1 ? 'the server' : `${sources.current().size} servers`;
    const and = plan.kinds.length === 0 ? '' : `, opening the tunnel (${plan.isAuto ? 'auto' : plan.kinds.join(' ')})`;
    onEvent({ type: 'progress', text: `starting ${what}${and}` });
    endings.push(() => servers.close());

    const startup = new AbortController();
    const starting = AbortSignal.any([signal, startup.signal]);
    const [, tunnel] = await untilFirstFailure(startup, [startServers(starting), openTunnel(starting)]);
    if (tunnel !== undefined) {
      for (const limit of limitsOf(tunnel.provider.capabilities, maxBodyBytes)) warn(limit);
      isLooking = true;
      await tunnel.begin(starting);
      isLooking = false;
      starting.throwIfAborted();
    }

    /** With several servers, each has a path of its own to follow. */
    function urlBelow(base: string): string {
      return sources.current().size === 1 ? base + mcpPath : base;
    }

    async function startServers(opening: AbortSignal): Promise<void> {
      await servers.set(sources.current(), opening);
      const reports = servers.reports();
      const failures = reports.flatMap(({ name, error }) => (error === undefined ? [] : [{ name, error }]));
      if (failures.length === reports.length) throw nothingWorks(failures);
      for (const { name, error } of failures) warn(`${messageOfServer(name, error)}; the other servers go on`);
    }

    async function openTunnel(opening: AbortSignal): Promise<OpenTunnel | undefined> {
      const opened = await plan.open({
        createHandler: (way) => handlerFor(hasFront ? localHosts : tunnelHosts, way),
        listen: hasFront
          ? serveFront
          : (handler) =>
              listen('127.0.0.1', options.tunnel?.port ?? 0, handler, { portOption: '--tunnel-port', onWarning: warn }),
        localPort: listener.port,
        token,
        opening: () => {
          const path = servers.pathToTry();
          return path === undefined ? undefined : clientOpening(path);
        },
        // A server may have to start for the session.
        openingTimeoutMs: (serverOptions.startTimeoutMs ?? defaultStartTimeoutMs) + startMarginMs,
        readinessPath,
        signal: opening,
        onUrls: hasFront ? setLocalUrls : tunnelHosts.setUrls,
        onStatus: tunnelChanged,
        onWarning: warn,
      });
      if (opened === undefined) return undefined;
      endings.push(() => opened.close());
      keepAliveTimer.setMaxSilence(opened.maxSilenceMs);
      return opened;
    }

    function tunnelChanged({ state, publicUrls, reason }: TunnelStatus): void {
      const publicUrl = urlBelow(publicUrls[0] ?? '');
      onEvent({ type: 'tunnel', state, publicUrl, ...(reason === undefined ? {} : { reason }) });
    }

    let drained: Promise<void> | undefined;
    /** Resolved by who does not want to wait for calls that are under way. */
    const hurry = createDeferred<void>();
    const publicUrl = (): string | null => (tunnel === undefined ? null : urlBelow(tunnel.publicUrls[0] ?? ''));
    const localUrl = (): string => urlBelow(own.local);
    endings.push(
      sources.follow(async (next) => {
        if (!(await servers.set(next, new AbortController().signal))) return;
        const urls = { publicUrl: publicUrl(), localUrl: localUrl() };
        onEvent({ type: 'servers', ...urls, servers: servers.reports() });
      }),
    );

    return {
      get publicUrl() {
        return publicUrl();
      },
      get localUrl() {
        return localUrl();
      },
      token: token ?? null,
      provider: tunnel?.provider.name ?? 'none',
      foundNoTunnel: plan.isAuto && tunnel === undefined,
      get tunnel() {
        return tunnel === undefined ? undefined : reportOf(tunnel);
      },
      notice: tunnel?.provider.notice,
      get servers() {
        return servers.reports();
      },
      async close({ drainMs = defaultDrainMs } = {}) {
        listener.stop();
        drained ??= servers.drain();
        if (drainMs <= 0) hurry.resolve();
        await settledWithin(Promise.race([drained, hurry.promise]), drainMs);
        // Before the ways in end, by which clients that still wait are told.
        void servers.close();
        await settledWithin(drained, tellMs);
        await end();
      },
      kill: () => watchdog.killAll(),
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** A proxy may have the name on any port, with or without TLS. */
function domainUrls(domain: string | undefined): string[] {
  if (domain === undefined) return [];
  if (!URL.canParse(`https://${domain}`)) throw new ExposeError('usage', `--domain ${domain} is not a host name`);
  return [`https://${domain}`, `http://${domain}`];
}

/** Undefined where everybody is let in. */
async function chooseToken(
  { token, tokenFile }: AccessOptions,
  signal: AbortSignal,
  warn: (message: string) => void,
): Promise<string | undefined> {
  if (token === false) {
    warn('no token is asked for: everybody who can connect can use the server');
    return undefined;
  }
  if (tokenFile === undefined && token === undefined) return generateToken();
  const own =
    tokenFile === undefined
      ? checkToken(token ?? '', 'MCP_EXPOSE_TOKEN (or options.token)')
      : await readTokenFile(tokenFile, process.stdin, signal);
  if (own.length < weakTokenLength)
    warn(`the token is short: ${weakTokenLength} random characters or more cannot be guessed`);
  return own;
}

/** Imports only what the choice needs. */
async function choosePlan(
  choices: TunnelOptions,
  context: { readonly watchdog: Watchdog; readonly share: string; readonly onAttempt: (attempt: Attempt) => void },
): Promise<TunnelPlan> {
  if (choices.kind === 'none' && choices.publicUrl === undefined)
    return { kinds: [], isAuto: false, open: async () => undefined };
  const { planTunnel } = await import('./tunnel-plan.ts');
  return await planTunnel(choices, choices.kind ?? 'auto', context);
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

/** Nobody opens a server to strangers by leaving something away: without a guard, no tunnel is looked for. */
function guardedChoices(options: ExposeOptions, warn: (message: string) => void): TunnelOptions {
  const { access = {}, tunnel = {} } = options;
  const isGuarded = access.token !== false || access.allowUnauthenticatedPublic === true;
  if (isGuarded || (tunnel.kind ?? 'auto') !== 'auto' || tunnel.relay !== undefined) return tunnel;
  warn('no tunnel is looked for: without a token, everybody could use the server');
  return { kind: 'none' };
}

/** The same for what was asked for. */
function checkExposure(options: ExposeOptions, bind: BindAddress, { kinds }: TunnelPlan, hasFront: boolean): void {
  const { access = {}, listen: { host, domain } = {} } = options;
  if (access.token !== false || access.allowUnauthenticatedPublic === true) return;
  if (bind.isLoopback && kinds.length === 0 && domain === undefined && !hasFront) return;
  const where =
    kinds.length > 0
      ? `the tunnel (${kinds.join(' ')}) can be reached by others`
      : hasFront
        ? 'the proxy of --public-url forwards requests of others'
        : domain === undefined
          ? `${host} can be reached from other machines`
          : `the proxy of --domain ${domain} forwards requests of others`;
  throw new ExposeError('unauthenticated_public', `refused to expose the server without a token: ${where}`, {
    hints: ['omit --no-auth, or add --allow-unauthenticated-public if everybody may use the server'],
  });
}

/** None of the servers works: why not, of each. */
function nothingWorks(failures: readonly { readonly name: string; readonly error: ExposeError }[]): ExposeError {
  const [first] = failures;
  if (first === undefined) return new ExposeError('internal', 'there is no server');
  if (failures.length === 1) return first.error;
  const hints = failures.map(({ name, error }) => [messageOfServer(name, error), ...error.hints].join('; '));
  return new ExposeError(first.error.code, `none of the ${failures.length} servers could be started`, { hints });
}

/** Waits for both; when one fails, tells the other to stop, waits until it has, and throws what failed first. */
async function untilFirstFailure<A, B>(startup: AbortController, parts: [Promise<A>, Promise<B>]): Promise<[A, B]> {
  try {
    return await Promise.all(parts);
  } catch (error) {
    startup.abort(error);
    await Promise.allSettled(parts);
    throw error;
  }
}
