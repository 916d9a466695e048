import { createGuard } from './auth/guard.ts';
import { createHostList, type HostList } from './auth/hosts.ts';
import { checkToken, generateToken, readTokenFile, weakTokenLength } from './auth/token.ts';
import { createWatchdog } from './process/watchdog.ts';
import { settledWithin } from './deferred.ts';
import { ExposeError } from './errors.ts';
import { createExposedServer, type ServerSettings } from './servers/exposed-server.ts';
import { createExposedServers, type ServerReport } from './servers/exposed-servers.ts';
import { listenerUrls, resolveBindAddress, type BindAddress } from './http/addresses.ts';
import { createBodyReader, defaultMaxBodyBytes } from './http/body.ts';
import { createCors } from './http/cors.ts';
import { createEventStore } from './http/event-store.ts';
import { createHandler } from './http/handler.ts';
import { listen } from './http/listener.ts';
import type { RequestReport } from './http/mcp-endpoint.ts';
import { mcpPath } from './http/route.ts';
import type { Tunnel, TunnelProvider, TunnelStatus } from './tunnel/provider.ts';
import { readServerSources } from './servers/server-sources.ts';
import { version } from './version.ts';

/** How long `close` waits for requests that are under way. */
const defaultDrainMs = 10_000;

export type { ServerReport } from './servers/exposed-servers.ts';

export type TunnelChoice = 'auto' | 'relay' | 'lan' | 'none';

/** What happens while servers are being exposed. Never holds a secret. */
export type ExposeEvent =
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'warning'; readonly message: string }
  /** `server` where there are several. */
  | { readonly type: 'stderr'; readonly line: string; readonly server?: string }
  | {
      readonly type: 'tunnel';
      readonly state: TunnelStatus['state'];
      readonly publicUrl: string;
      readonly reason?: string;
    }
  | { readonly type: 'sessions'; readonly open: number; readonly server?: string }
  /** The configuration has changed, and these are the servers now. */
  | {
      readonly type: 'servers';
      readonly publicUrl: string | null;
      readonly localUrl: string;
      readonly servers: readonly ServerReport[];
    }
  | ({ readonly type: 'request' } & RequestReport);

/** Exactly one of `stdio`, `http`, `sse` and `config` says what to expose. */
export interface ExposeOptions extends ServerSettings {
  /** The command that starts the server: one line, split as a shell would, or the program and its arguments. */
  readonly stdio?: string | readonly [file: string, ...args: string[]] | undefined;
  /** URL of a server that speaks Streamable HTTP. */
  readonly http?: string | undefined;
  /** URL of a server that speaks the older HTTP+SSE transport. */
  readonly sse?: string | undefined;
  /** Configuration file that names servers: `mcpServers` as most clients write it, or VS Code's `servers`. */
  readonly config?: string | undefined;
  /** Of the configuration, only these servers. Default: all. */
  readonly servers?: readonly string[] | undefined;
  /** Follow changes of the configuration file. Default false. */
  readonly watch?: boolean | undefined;
  /** Working directory of the server. Default: ours. */
  readonly cwd?: string | undefined;
  /** Variables for the server beside a safe few of ours (see docs/environment.md). */
  readonly env?: ReadonlyMap<string, string> | undefined;
  /** Headers for `http` and `sse`. */
  readonly upstreamHeaders?: ReadonlyMap<string, string> | undefined;
  /** The bearer token that callers must bring; a new one when left out; false lets everybody in. */
  readonly token?: string | false | undefined;
  /** Instead of `token`: a file that only its owner may read and that holds it, or `-` for standard input. */
  readonly tokenFile?: string | undefined;
  /** Needed to let everybody in where more than this machine can connect. Default false. */
  readonly allowUnauthenticatedPublic?: boolean | undefined;
  /** Address or name to listen on. Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Port to listen on; 0, the default, picks a free one. */
  readonly port?: number | undefined;
  /** A host name under which a proxy leads to the listener; a server's name may stand in front of it. */
  readonly domain?: string | undefined;
  /** Default `auto`: the relay when `relayUrl` is given, else none. */
  readonly tunnel?: TunnelChoice | undefined;
  /** The relay to use, http(s). */
  readonly relayUrl?: string | undefined;
  /** The name to ask the relay for. Default: one derived from this user's key for the relay. */
  readonly name?: string | undefined;
  /** Addresses that `tunnel: 'lan'` listens on. Default: all of this machine's that a network can reach. */
  readonly lanAddresses?: readonly string[] | undefined;
  /** Largest request body in bytes. Default 16 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Origins whose browser pages may use the server (CORS), as browsers write them: `https://app.example`. */
  readonly allowOrigins?: readonly string[] | undefined;
  /** Gives up starting; later use `close`. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: ExposeEvent) => void) | undefined;
  /** Report every request as an event, which costs on each of them. Default false. */
  readonly reportRequests?: boolean | undefined;
}

/** Servers that are being exposed. */
export interface Exposed {
  /** Through the tunnel, or null without one: URL of the MCP endpoint or, with several servers, what their paths follow. */
  readonly publicUrl: string | null;
  /** The same on this machine. */
  readonly localUrl: string;
  /** The bearer token, or null where everybody is let in. */
  readonly token: string | null;
  /** Name of the tunnel provider, `none` without one. */
  readonly provider: string;
  /** What users of this tunnel must know before they trust it. */
  readonly notice: string | undefined;
  /** How each server did when it was asked what it is. At least one has answered. */
  readonly servers: readonly ServerReport[];
  /**
   * Ends everything: takes no more requests, waits for those under way (10 s unless told otherwise), then ends the
   * tunnel, the sessions and their processes. Resolves when nothing is left. Safe to call twice.
   */
  close(options?: { readonly drainMs?: number }): Promise<void>;
  /** Kills every server process at once, without waiting: for a process that must exit now. */
  kill(): void;
}

/**
 * Exposes MCP servers over Streamable HTTP at `/mcp`, or each at `/<name>/mcp`, and over the older HTTP+SSE transport at
 * `/sse`: starts or calls them, guards them, and opens the tunnel. Resolves when clients can use them. When it throws,
 * nothing of it is left running.
 * @throws ExposeError with any code of `ErrorCode`, or the signal's reason.
 */
export async function expose(options: ExposeOptions): Promise<Exposed> {
  const { onEvent = () => {}, signal = new AbortController().signal } = options;
  const warn = (message: string): void => onEvent({ type: 'warning', message });
  const sources = await readServerSources({ ...options, onWarning: warn });
  const bind = await resolveBindAddress(options.host ?? '127.0.0.1');
  const provider = await chooseProvider(options);
  checkExposure(options, bind, provider);
  const token = await chooseToken(options, warn);

  // Each part that has begun puts its end here; they run in reverse order.
  const endings: (() => unknown)[] = [];
  const watchdog = createWatchdog();
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
    const bodies = createBodyReader({ maxBytes: options.maxBodyBytes ?? defaultMaxBodyBytes });
    const servers = createExposedServers({
      create(name, serverSource) {
        const named = name === undefined ? {} : { server: name };
        return createExposedServer({
          ...(name === undefined ? {} : { name }),
          source: serverSource,
          settings: options,
          watchdog,
          eventStore,
          bodies,
          onStderr: (line) => onEvent({ type: 'stderr', line, ...named }),
          onWarning: (message) => warn(name === undefined ? message : `${name}: ${message}`),
          onSessions: (open) => onEvent({ type: 'sessions', open, ...named }),
          onRequest: options.reportRequests === true ? (report) => onEvent({ type: 'request', ...report }) : undefined,
        });
      },
    });
    const { directory } = servers;
    // Apart: what a relay says that it is called by must not be let in where only this machine should come in.
    const hostOptions = {
      allowedOrigins: options.allowOrigins,
      hasLabel: (label: string) => directory.find(label) !== undefined,
    };
    const localHosts = createHostList(hostOptions);
    const tunnelHosts = createHostList(hostOptions);
    const cors = createCors(options.allowOrigins ?? []);
    const handlerFor = (hosts: HostList): ReturnType<typeof createHandler> =>
      createHandler({
        guard: createGuard({ hosts, token }),
        cors,
        directory,
        isPrivate: hosts === localHosts && bind.isLoopback,
      });

    // Before any process is started: a port in use must leave none behind.
    const listener = await listen(bind.address, options.port ?? 0, handlerFor(localHosts));
    endings.push(() => listener.close());
    const ownUrls = listenerUrls(bind, listener.port);
    localHosts.setUrls([...ownUrls, ...domainUrls(options.domain, listener.port)]);
    if (!bind.isLoopback) {
      warn(
        `others can connect at ${ownUrls.slice(bind.isWildcard ? 1 : 0).join(' ')}; this is not encrypted, whoever is on the network can read the token`,
      );
    }

    const what = sources.current().size === 1 ? 'the server' : `${sources.current().size} servers`;
    const and = provider === undefined ? '' : `, opening the tunnel (${provider.name})`;
    onEvent({ type: 'progress', text: `starting ${what}${and}` });
    endings.push(() => servers.close());

    const startup = new AbortController();
    const starting = AbortSignal.any([signal, startup.signal]);
    const [, tunnel] = await untilFirstFailure(startup, [startServers(starting), openTunnel(starting)]);

    /** With several servers, each has a path of its own to follow. */
    function urlBelow(base: string): string {
      return sources.current().size === 1 ? base + mcpPath : base;
    }

    async function startServers(opening: AbortSignal): Promise<void> {
      await servers.set(sources.current(), opening);
      const reports = servers.reports();
      const failures = reports.flatMap(({ name, error }) => (error === undefined ? [] : [{ name, error }]));
      if (failures.length === reports.length) throw nothingWorks(failures);
      for (const { name, error } of failures) warn(`${name}: ${error.message}; the other servers go on`);
    }

    async function openTunnel(opening: AbortSignal): Promise<Tunnel | undefined> {
      if (provider === undefined) return undefined;
      const target = { handler: handlerFor(tunnelHosts), localPort: listener.port };
      const opened = await provider.open(target, { signal: opening, onStatus: tunnelChanged, onWarning: warn });
      endings.push(() => opened.close());
      tunnelHosts.setUrls(opened.publicUrls);
      return opened;
    }

    function tunnelChanged({ state, publicUrls, reason }: TunnelStatus): void {
      tunnelHosts.setUrls(publicUrls);
      const publicUrl = urlBelow(publicUrls[0] ?? '');
      onEvent({ type: 'tunnel', state, publicUrl, ...(reason === undefined ? {} : { reason }) });
    }

    const publicUrl = (): string | null => (tunnel === undefined ? null : urlBelow(tunnel.publicUrls[0] ?? ''));
    const localUrl = (): string => urlBelow(ownUrls[0] ?? '');
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
      provider: provider?.name ?? 'none',
      notice: provider?.notice,
      get servers() {
        return servers.reports();
      },
      async close({ drainMs = defaultDrainMs } = {}) {
        listener.stop();
        await settledWithin(servers.drain(), drainMs);
        await end();
      },
      kill: () => watchdog.killAll(),
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** A proxy may have the name on its own port, or on ours. */
function domainUrls(domain: string | undefined, port: number): string[] {
  return domain === undefined ? [] : [`https://${domain}`, `http://${domain}`, `http://${domain}:${port}`];
}

/** Undefined where everybody is let in. */
async function chooseToken(options: ExposeOptions, warn: (message: string) => void): Promise<string | undefined> {
  const { token, tokenFile } = options;
  if (token === false) {
    warn('no token is asked for: everybody who can connect can use the server');
    return undefined;
  }
  if (tokenFile === undefined && token === undefined) return generateToken();
  const own =
    tokenFile === undefined
      ? checkToken(token ?? '', 'MCP_EXPOSE_TOKEN (or options.token)')
      : await readTokenFile(tokenFile, process.stdin, options.signal);
  if (own.length < weakTokenLength)
    warn(`the token is short: ${weakTokenLength} random characters or more cannot be guessed`);
  return own;
}

/** Imports only what the choice needs. */
async function chooseProvider(options: ExposeOptions): Promise<TunnelProvider | undefined> {
  const { tunnel = 'auto', relayUrl, name, lanAddresses } = options;
  switch (tunnel) {
    case 'none':
      return undefined;
    case 'lan': {
      const { createLanProvider } = await import('./tunnel/providers/lan.ts');
      return createLanProvider(lanAddresses === undefined ? {} : { addresses: lanAddresses });
    }
    default: {
      if (relayUrl === undefined) {
        if (tunnel === 'auto') return undefined;
        throw new ExposeError('usage', 'no relay is named', { hints: ['name it with --relay https://relay.example'] });
      }
      const { createRelayProvider } = await import('./tunnel/providers/relay.ts');
      return createRelayProvider({
        relayUrl,
        agent: `mcp-expose/${version}`,
        ...(name === undefined ? {} : { name }),
      });
    }
  }
}

/** Nobody opens a server to strangers by leaving something away. */
function checkExposure(options: ExposeOptions, bind: BindAddress, provider: TunnelProvider | undefined): void {
  if (options.token !== false || options.allowUnauthenticatedPublic === true) return;
  if (bind.isLoopback && provider === undefined && options.domain === undefined) return;
  const where =
    provider === undefined && options.domain !== undefined
      ? `--domain ${options.domain} is for others to come in`
      : provider === undefined
        ? `${options.host} can be reached from other machines`
        : `the tunnel (${provider.name}) can be reached by others`;
  throw new ExposeError('unauthenticated_public', `refused to expose the server without a token: ${where}`, {
    hints: ['leave --no-auth away, or add --allow-unauthenticated-public if everybody may use the server'],
  });
}

/** None of the servers works: why not, of each. */
function nothingWorks(failures: readonly { readonly name: string; readonly error: ExposeError }[]): ExposeError {
  const [first] = failures;
  if (first === undefined) return new ExposeError('internal', 'there is no server');
  if (failures.length === 1) return first.error;
  const hints = failures.map(({ name, error }) => [`${name}: ${error.message}`, ...error.hints].join('; '));
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
