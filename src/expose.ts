import { createGuard } from './auth/guard.ts';
import { createHostList, type HostList } from './auth/hosts.ts';
import { checkToken, generateToken, readTokenFile, weakTokenLength } from './auth/token.ts';
import { describeServer, type ServerDescription } from './bridge/describe.ts';
import { createHeadStart } from './bridge/head-start.ts';
import { createSessions } from './bridge/sessions.ts';
import { parseCommandLine, type ServerCommand } from './bridge/upstream/command-line.ts';
import { childEnvironment } from './bridge/upstream/environment.ts';
import { createStdioUpstream } from './bridge/upstream/stdio.ts';
import type { Upstream } from './bridge/upstream/upstream.ts';
import { createWatchdog } from './bridge/upstream/watchdog.ts';
import { settledWithin } from './deferred.ts';
import { ExposeError } from './errors.ts';
import { listenerUrls, resolveBindAddress, type BindAddress } from './http/addresses.ts';
import { defaultMaxBodyBytes } from './http/body.ts';
import { createCors } from './http/cors.ts';
import { createHandler, mcpPath } from './http/handler.ts';
import { listen } from './http/listener.ts';
import { createMcpEndpoint, type RequestReport } from './http/mcp-endpoint.ts';
import type { Tunnel, TunnelProvider, TunnelStatus } from './tunnel/provider.ts';
import { version } from './version.ts';

/** How long a server may take to start and answer: `npx` may have to download it first. */
export const defaultStartTimeoutMs: number = 60_000;

/** How long `close` waits for requests that are under way. */
const defaultDrainMs = 10_000;

export type TunnelChoice = 'auto' | 'relay' | 'lan' | 'none';

/** What happens while a server is being exposed. Never holds a secret. */
export type ExposeEvent =
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'stderr'; readonly line: string }
  | {
      readonly type: 'tunnel';
      readonly state: TunnelStatus['state'];
      readonly publicUrl: string;
      readonly reason?: string;
    }
  | { readonly type: 'sessions'; readonly open: number }
  | ({ readonly type: 'request' } & RequestReport);

export interface ExposeOptions {
  /** The command that starts the server: one line, split as a shell would, or the program and its arguments. */
  readonly stdio: string | readonly [file: string, ...args: string[]];
  /** Working directory of the server. Default: ours. */
  readonly cwd?: string | undefined;
  /** Variables for the server beside a safe few of ours (see docs/environment.md). */
  readonly env?: ReadonlyMap<string, string> | undefined;
  /** Pass on our whole environment instead. Default false. */
  readonly inheritEnv?: boolean | undefined;
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
  /** Default `auto`: the relay when `relayUrl` is given, else none. */
  readonly tunnel?: TunnelChoice | undefined;
  /** The relay to use, http(s). */
  readonly relayUrl?: string | undefined;
  /** The name to ask the relay for. Default: one derived from this user's key for the relay. */
  readonly name?: string | undefined;
  /** Addresses that `tunnel: 'lan'` listens on. Default: all of this machine's that a network can reach. */
  readonly lanAddresses?: readonly string[] | undefined;
  /** Origins whose browser pages may use the server (CORS), as browsers write them: `https://app.example`. */
  readonly allowOrigins?: readonly string[] | undefined;
  /** Largest request body in bytes. Default 16 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Sessions at a time, each with a server process of its own. Default 32. */
  readonly maxSessions?: number | undefined;
  /** How long the server may take to start, in milliseconds. Default 60,000. */
  readonly startTimeoutMs?: number | undefined;
  /** Gives up starting; later use `close`. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: ExposeEvent) => void) | undefined;
  /** Report every request as an event, which costs on each of them. Default false. */
  readonly reportRequests?: boolean | undefined;
}

/** A server that is being exposed. */
export interface Exposed {
  /** URL of the MCP endpoint through the tunnel, or null without one. */
  readonly publicUrl: string | null;
  /** URL of the MCP endpoint on this machine. */
  readonly localUrl: string;
  /** The bearer token, or null where everybody is let in. */
  readonly token: string | null;
  /** Name of the tunnel provider, `none` without one. */
  readonly provider: string;
  /** What users of this tunnel must know before they trust it. */
  readonly notice: string | undefined;
  readonly server: ServerDescription;
  /**
   * Ends everything: takes no more requests, waits for those under way (10 s unless told otherwise), then ends the
   * tunnel, the sessions and their processes. Resolves when nothing is left. Safe to call twice.
   */
  close(options?: { readonly drainMs?: number }): Promise<void>;
  /** Kills every server process at once, without waiting: for a process that must exit now. */
  kill(): void;
}

/**
 * Exposes a stdio MCP server over Streamable HTTP at `/mcp`: starts it, guards it, and opens the tunnel.
 * Resolves when clients can use it. When it throws, nothing of it is left running.
 * @throws ExposeError with any code of `ErrorCode`, or the signal's reason.
 */
export async function expose(options: ExposeOptions): Promise<Exposed> {
  const { startTimeoutMs = defaultStartTimeoutMs, onEvent = () => {}, signal = new AbortController().signal } = options;
  const command = commandOf(options.stdio);
  const bind = await resolveBindAddress(options.host ?? '127.0.0.1');
  const provider = await chooseProvider(options);
  checkExposure(options, bind, provider);
  const warn = (message: string): void => onEvent({ type: 'warning', message });
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
    // Apart: what a relay says that it is called by must not be let in where only this machine should come in.
    const localHosts = createHostList(options.allowOrigins);
    const tunnelHosts = createHostList(options.allowOrigins);
    const { execa } = await import('./bridge/upstream/execa.ts');
    const env = childEnvironment({
      own: process.env,
      inherit: options.inheritEnv ?? false,
      extra: options.env ?? new Map(),
    });
    const newUpstream = (isWanted: () => boolean): Upstream =>
      createStdioUpstream({
        command,
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        env,
        execa,
        watchdog,
        onStderr: (line) => isWanted() && onEvent({ type: 'stderr', line }),
        onWarning: (message) => isWanted() && warn(message),
      });
    // It starts beside the one that is asked to describe itself, and would say everything twice.
    const headStart = createHeadStart(newUpstream);
    const sessions = createSessions({
      nextUpstream: headStart.take,
      startTimeoutMs,
      maxSessions: options.maxSessions,
      onChange: (open) => onEvent({ type: 'sessions', open }),
      onWarning: warn,
    });
    const mcp = createMcpEndpoint({
      sessions,
      maxBodyBytes: options.maxBodyBytes ?? defaultMaxBodyBytes,
      onRequest: options.reportRequests === true ? (report) => onEvent({ type: 'request', ...report }) : undefined,
    });
    const cors = createCors(options.allowOrigins ?? []);
    const handlerFor = (hosts: HostList): ReturnType<typeof createHandler> =>
      createHandler({ guard: createGuard({ hosts, token }), cors, mcp });

    // Before any process is started: a port in use must leave none behind.
    const listener = await listen(bind.address, options.port ?? 0, handlerFor(localHosts));
    endings.push(() => listener.close());
    const ownUrls = listenerUrls(bind, listener.port);
    localHosts.setUrls(ownUrls);
    if (!bind.isLoopback) {
      warn(
        `others can connect at ${ownUrls.slice(bind.isWildcard ? 1 : 0).join(' ')}; this is not encrypted, whoever is on the network can read the token`,
      );
    }

    const and = provider === undefined ? '' : `, opening the tunnel (${provider.name})`;
    onEvent({ type: 'progress', text: `starting the server${and}` });
    const described = newUpstream(() => true);
    headStart.begin();
    endings.push(() => Promise.all([described.close(), headStart.close(), sessions.close()]));
    endings.push(() => mcp.close());

    const startup = new AbortController();
    const starting = AbortSignal.any([signal, startup.signal]);
    const [server, tunnel] = await untilFirstFailure(startup, [
      describeServer({
        upstream: described,
        timeoutMs: startTimeoutMs,
        signal: starting,
        checkAlone: 'run the command alone to check it',
        clientVersion: version,
      }),
      openTunnel(starting),
    ]);

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
      const publicUrl = (publicUrls[0] ?? '') + mcpPath;
      onEvent({ type: 'tunnel', state, publicUrl, ...(reason === undefined ? {} : { reason }) });
    }

    return {
      publicUrl: tunnel === undefined ? null : `${tunnel.publicUrls[0]}${mcpPath}`,
      localUrl: `${ownUrls[0]}${mcpPath}`,
      token: token ?? null,
      provider: provider?.name ?? 'none',
      notice: provider?.notice,
      server,
      async close({ drainMs = defaultDrainMs } = {}) {
        listener.stop();
        await settledWithin(mcp.drain(), drainMs);
        await end();
      },
      kill: () => watchdog.killAll(),
    };
  } catch (error) {
    await end();
    throw error;
  }
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

function commandOf(stdio: ExposeOptions['stdio']): ServerCommand {
  if (typeof stdio === 'string') return parseCommandLine(stdio);
  const [file, ...args] = stdio;
  return { kind: 'argv', file, args };
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
  if (bind.isLoopback && provider === undefined) return;
  const where =
    provider === undefined
      ? `${options.host} can be reached from other machines`
      : `the tunnel (${provider.name}) can be reached by others`;
  throw new ExposeError('unauthenticated_public', `refused to expose the server without a token: ${where}`, {
    hints: ['leave --no-auth away, or add --allow-unauthenticated-public if everybody may use the server'],
  });
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
