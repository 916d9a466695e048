import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import { createDeferred } from '../../../platform/deferred.ts';
import { ExposeError } from '../../../errors.ts';
import { watchOpenFiles } from '../../../platform/net/listening.ts';
import { redactUrl } from '../../../platform/text/redact.ts';
import { inUrl, isWildcardAddress, lanAddresses } from '../../../platform/net/addresses.ts';
import { deriveName } from '../protocol/identity.ts';
import { maxMessageBytes } from '../protocol/limits.ts';
import { protocolVersion } from '../protocol/protocol.ts';
import { createAgentHandshake } from './agent-handshake.ts';
import type { AgentSession } from './agent-session.ts';
import { relayErrorCodes, sendAnswer, sendJson, sendRawAnswer, type Answer } from './error-responses.ts';
import { answerOffline, failAnswer, forward } from './forward.ts';
import { listenOn, createPublicServer } from './public-server.ts';
import { openNameFile, type NameFile } from './name-file.ts';
import { Registry } from './registry.ts';
import type { RelayEvent } from './relay-events.ts';
import { labelBelow, originOf, printable, routeRequest, type Route, type RouteOptions } from './route.ts';

/** How long open requests may continue when the relay is closed, in milliseconds. */
const closeGraceMs = 500;

/** How long sending the errors to their clients may then take, in milliseconds. */
const tellMs = 250;

export interface RelayOptions {
  /** Address to listen on. */
  readonly host?: string;
  /** Addresses to listen on instead of `host`, all with one port. */
  readonly addresses?: readonly string[];
  /** 0 for a free one. */
  readonly port: number;
  /** The public URL of this relay, with scheme and port; a path is kept. */
  readonly publicUrl?: string;
  /** Domain below which every name is a host (`NAME.domain`), for a relay with wildcard DNS. */
  readonly domain?: string;
  /** Serves this one key only (raw Ed25519, base64url), whose agent gets every request at the root path. */
  readonly sole?: { readonly publicKey: string };
  /** Stores wished names in a file: `path`, by default in the configuration folder. */
  readonly state?: { readonly path?: string | undefined; readonly env?: NodeJS.ProcessEnv };
  readonly maxAgents?: number;
  /** Milliseconds; 5 s by default. */
  readonly handshakeTimeoutMs?: number;
  readonly onEvent?: (event: RelayEvent) => void;
}

export interface Relay {
  /** URL for `--relay`, without a trailing slash: `publicUrl`, or the first address. */
  readonly url: string;
  /** One URL per address, or only `publicUrl`. */
  readonly urls: readonly string[];
  readonly port: number;
  /** Disconnects the agents and ends everything; resolves when all sockets are closed. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts a relay.
 * @throws ExposeError `usage` for an invalid public URL or domain, `address_in_use`, `address_unavailable` or
 * `too_many_open_files` when it cannot listen, `state_unusable` when its state file cannot be used.
 */
export async function createRelay(options: RelayOptions): Promise<Relay> {
  const addresses = options.addresses ?? [options.host ?? '127.0.0.1'];
  const publicUrl = options.publicUrl === undefined ? undefined : parsePublicUrl(options.publicUrl);
  const domain = options.domain === undefined ? undefined : parseDomain(options.domain);
  const basePath = publicUrl?.pathname.replace(/\/+$/, '') ?? '';
  const soleName = options.sole === undefined ? undefined : deriveName(options.sole.publicKey);
  const { WebSocketServer } = await import('ws');

  let port = options.port;
  const urls = (): string[] => {
    if (publicUrl !== undefined) return [`${publicUrl.origin}${basePath}`];
    return addresses.map((address) => `http://${urlHost(address)}:${port}`);
  };
  /** The URL for agents, if it is known. */
  const ownUrl = (): string | undefined =>
    publicUrl === undefined && domain !== undefined ? `http://${domain}:${port}` : publicUrl && urls()[0];
  const urlsOf = (name: string, relayHost: string): string[] => {
    if (soleName !== undefined) return urls();
    // A relay on all addresses does not know which of them others can reach; the agent has proved which one it dialled.
    const bases = publicUrl === undefined && addresses.some(isWildcardAddress) ? [`http://${relayHost}`] : urls();
    const byPath = bases.map((url) => `${url}/${name}`);
    if (domain === undefined) return byPath;
    const suffix = publicUrl === undefined ? `:${port}` : publicUrl.port && `:${publicUrl.port}`;
    return [`${publicUrl?.protocol ?? 'http:'}//${name}.${domain}${suffix}`, ...byPath];
  };
  // The relay itself speaks no TLS, and listens on no other port.
  const hasProxy = (): boolean =>
    publicUrl !== undefined && (publicUrl.protocol === 'https:' || Number(publicUrl.port || 80) !== port);
  const warn = (message: string): void => options.onEvent?.({ type: 'warning', message });

  const nameFile = createDeferred<NameFile>();
  const registry = new Registry<AgentSession>({
    ...(options.state === undefined ? {} : { file: nameFile.promise }),
    ...(options.maxAgents === undefined ? {} : { maxAgents: options.maxAgents }),
  });
  const handshake = createAgentHandshake({
    webSocketServer: new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: maxMessageBytes,
      clientTracking: false,
      handleProtocols: () => protocolVersion,
    }),
    registry,
    hasProxy,
    relayNames: () => ({ addresses, port, publicUrl, domain }),
    urlsOf,
    reservedNames: new Set([basePath.split('/')[1] ?? '']),
    ...(options.sole === undefined ? {} : { solePublicKey: options.sole.publicKey }),
    ...(options.handshakeTimeoutMs === undefined ? {} : { handshakeTimeoutMs: options.handshakeTimeoutMs }),
    onEvent: (event) => options.onEvent?.(event),
  });

  const routeOptions: RouteOptions = {
    basePath,
    ...(domain === undefined ? {} : { domain }),
    ...(soleName === undefined ? {} : { soleName }),
  };
  const scheme = publicUrl?.protocol === 'https:' ? 'https' : 'http';

  const answer = async (route: Route, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    switch (route.kind) {
      case 'health':
        sendJson(response, 200, Buffer.from('{"status":"ok"}'));
        return;
      case 'tunnel':
        sendAnswer(response, {
          status: 426,
          code: relayErrorCodes.badRequest,
          message: `this path is for agents, which speak ${protocolVersion} over WebSocket`,
        });
        return;
      case 'tls-check': {
        const name = labelBelow(route.domain.toLowerCase(), domain);
        const isOwn = route.domain !== '' && (route.domain === domain || route.domain === publicUrl?.hostname);
        if (isOwn || (name !== undefined && (await registry.find(name)).state !== 'unknown')) {
          sendJson(response, 200, Buffer.from('{"status":"ok"}'));
        } else sendAnswer(response, unknownAnswer(`the domain ${printable(route.domain)}`));
        return;
      }
      case 'agent': {
        const found = await registry.find(route.name);
        if (found.state === 'online') {
          const origin = originOf(request.headers.host ?? '', routeOptions);
          forward(request, response, { agent: found.agent, path: route.path, scheme, origin });
        } else if (found.state === 'offline' || soleName !== undefined) answerOffline(response, route.name);
        else sendAnswer(response, unknownAnswer(`the name ${route.name}`));
        return;
      }
      case 'unknown':
        sendAnswer(response, unknownAnswer(route.what));
    }
  };
  const route = (request: IncomingMessage): Route =>
    routeRequest(request.headers.host ?? '', request.url ?? '/', routeOptions);
  /** Whether the host is that of a name: no agent can prove that it dialled the relay there. */
  const isShare = ({ headers: { host = '' } }: IncomingMessage): boolean =>
    labelBelow(host.replace(/:\d*$/, '').toLowerCase(), domain) !== undefined;
  const handlers = {
    onRequest(request: IncomingMessage, response: ServerResponse): void {
      // Whatever a client or an agent sends, only this request fails.
      answer(route(request), request, response).catch(() => {
        failAnswer(response, 'this relay could not forward the request');
      });
    },
    onWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
      if (route(request).kind === 'tunnel' && !isShare(request)) handshake.upgrade(request, socket, head);
      else if (isAgentRequest(request)) sendRawAnswer(socket, misplacedAnswer(ownUrl()));
      else return false;
      return true;
    },
  };

  const servers = new Map<string, Server>(addresses.map((address) => [address, createPublicServer(handlers)]));
  port = await listenOn(servers, options.port);
  for (const server of servers.values()) {
    watchOpenFiles(server, (message) => options.onEvent?.({ type: 'warning', message }));
  }

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    closing ??= closeRelay([...servers.values()], handshake);
    await closing;
  };
  let file: NameFile | undefined;
  if (options.state !== undefined) {
    const { path, env = process.env } = options.state;
    try {
      // Only now, since the port may have been 0.
      const relay = publicUrl === undefined ? `${addresses.join(' ')}:${port}` : `${publicUrl.host}${basePath}`;
      file = await openNameFile({ path, relay, env, onWarning: warn });
      nameFile.resolve(file);
    } catch (error) {
      nameFile.reject(error);
      await close();
      throw error;
    }
  }
  for (const address of publicUrl === undefined ? addresses.filter(isWildcardAddress) : [])
    warn(withoutPublicUrl(address, port));
  if (hasProxy()) {
    warn(
      'limits count agents by the address that the proxy in front names in X-Forwarded-For; if it names none, origins cannot be told apart and all agents count as one',
    );
  }
  return {
    urls: urls(),
    url: urls()[0] ?? '',
    port,
    async close() {
      await close();
      await file?.close();
    },
  };
}

/** Whether a WebSocket request comes from an agent, whatever its path. */
function isAgentRequest({ headers }: IncomingMessage): boolean {
  return (headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/).includes(protocolVersion);
}

/** For an agent that dialled the URL of something shared here; `relayUrl` is that of this relay, if it is known. */
function misplacedAnswer(relayUrl: string | undefined): Answer {
  const message = relayUrl === undefined ? 'the URL of this relay has no path' : `the URL of this relay is ${relayUrl}`;
  return { status: 404, code: relayErrorCodes.badRequest, message };
}

function withoutPublicUrl(wildcard: string, port: number): string {
  const own = lanAddresses(networkInterfaces()).filter((address) => wildcard !== '0.0.0.0' || isIP(address) === 4);
  const others = own.map((address) => `http://${inUrl(address).toLowerCase()}:${port}`);
  return `without --public-url, agents get URLs under the address that they dial, and nobody else can use those under 127.0.0.1; others reach this relay at ${others.join(', ') || 'no address of this environment'}`;
}

async function closeRelay(
  servers: readonly Server[],
  handshake: ReturnType<typeof createAgentHandshake>,
): Promise<void> {
  handshake.close();
  const stopped = servers.map(
    async (server) =>
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeIdleConnections();
      }),
  );
  for (const agent of handshake.agents) agent.goaway();
  let timer = setTimeout(() => {
    // First, so that clients that wait for an agent get an error.
    for (const agent of handshake.agents) agent.close(1001, 'the relay is stopping');
    timer = setTimeout(() => {
      for (const server of servers) server.closeAllConnections();
    }, tellMs);
  }, closeGraceMs);
  // Without open requests there is nothing to wait for.
  await Promise.all(stopped);
  clearTimeout(timer);
  const gone = [...handshake.agents].map(async (agent) => {
    agent.close(1001, 'the relay is stopping');
    await agent.closed;
  });
  await Promise.all(gone);
}

function unknownAnswer(what: string): { status: number; code: typeof relayErrorCodes.unknownName; message: string } {
  return { status: 404, code: relayErrorCodes.unknownName, message: `this relay knows nothing of ${what}` };
}

function urlHost(address: string): string {
  return isWildcardAddress(address) ? '127.0.0.1' : inUrl(address).toLowerCase();
}

function parsePublicUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (url === undefined || !isHttp || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new ExposeError('usage', `${JSON.stringify(redactUrl(text))} cannot be the public URL of a relay`, {
      hints: ['give it as in --public-url https://relay.example'],
    });
  }
  return url;
}

function parseDomain(text: string): string {
  const domain = text
    .toLowerCase()
    .replace(/^\*?\./, '')
    .replace(/\.$/, '');
  if (!/^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(domain)) {
    throw new ExposeError('usage', `${JSON.stringify(redactUrl(text))} cannot be the domain of a relay`, {
      hints: ['give it as in --domain relay.example, with *.relay.example in the DNS pointing here'],
    });
  }
  return domain;
}
