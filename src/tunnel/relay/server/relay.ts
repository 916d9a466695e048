import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';
import { createDeferred } from '../../../platform/deferred.ts';
import { watchOpenFiles } from '../../../platform/net/listening.ts';
import { inUrl, isWildcardAddress, lanAddresses } from '../../../platform/net/addresses.ts';
import { deriveName, isDerivedForm } from '../protocol/identity.ts';
import { defaultResumeMs, maxMessageBytes } from '../protocol/limits.ts';
import { protocolVersion } from '../protocol/protocol.ts';
import { AgentEndpoint } from './agent-endpoint.ts';
import type { AgentSession } from './agent-session.ts';
import { Arrivals, arrivalsMs } from './arrivals.ts';
import { drainRelay, OpenResponses } from './drain.ts';
import { relayErrorCodes, sendAnswer, sendJson, sendRawAnswer, type Answer } from './error-responses.ts';
import { findConnected } from './find-connected.ts';
import { answerOffline, failAnswer, forward } from './forward.ts';
import { clientAddress } from './origin-limits.ts';
import { createPublicServer, listenOn } from './public-server.ts';
import type { StateFile } from '../../../platform/state-file.ts';
import { openNameFile, type KeptName } from './name-file.ts';
import { Registry } from './registry.ts';
import type { RelayEvent } from './relay-events.ts';
import { candidatesFor } from './replicas.ts';
import { RelayUrls, type RelayUrlsOptions } from './relay-urls.ts';
import { labelBelow, originOf, printable, routeRequest, type Route, type RouteOptions } from './route.ts';

/** How long open requests may continue when the relay is closed, in milliseconds. */
const defaultDrainMs = 500;

export interface RelayOptions extends RelayUrlsOptions {
  /** Stores wished names in a file: `path`, by default in the configuration folder. */
  readonly state?: { readonly path?: string | undefined; readonly env?: NodeJS.ProcessEnv };
  readonly maxAgents?: number;
  /** Milliseconds; 5 s by default. */
  readonly handshakeTimeoutMs?: number;
  /** How long streams survive the loss of an agent's connection, in milliseconds; 30 s by default, 0 for not at all. */
  readonly resumeMs?: number;
  /**
   * Whether it replaces another relay, whose agents and clients come here at the same time: at first, requests wait for an agent
   * that is not connected yet.
   */
  readonly replacesOther?: boolean;
  readonly onEvent?: (event: RelayEvent) => void;
}

/**
 * Starts a relay.
 * @throws ExposeError `usage` for an invalid public URL or domain, `address_in_use`, `address_unavailable` or
 * `too_many_open_files` when it cannot listen, `state_unusable` when its state file cannot be used.
 */
export async function createRelay(options: RelayOptions): Promise<Relay> {
  const urls = new RelayUrls(options);
  const { WebSocketServer } = await import('ws');
  const webSocketServer = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    clientTracking: false,
    handleProtocols: () => protocolVersion,
  });
  const relay = new Relay(options, urls, webSocketServer);
  await relay.start();
  return relay;
}

/** A relay: answers health and certificate checks itself, and forwards everything else to the agent of a name. */
export class Relay {
  readonly #options: RelayOptions;
  readonly #urls: RelayUrls;
  readonly #routeOptions: RouteOptions;
  readonly #nameFile = createDeferred<StateFile<KeptName>>();
  readonly #registry: Registry<AgentSession>;
  readonly #endpoint: AgentEndpoint;
  readonly #arrivals: Arrivals;
  readonly #servers: ReadonlyMap<string, Server>;
  readonly #responses = new OpenResponses();
  readonly #hurry = createDeferred<void>();
  #file: StateFile<KeptName> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: RelayOptions, urls: RelayUrls, webSocketServer: WebSocketServer) {
    const { sole, state, maxAgents, handshakeTimeoutMs, resumeMs = defaultResumeMs } = options;
    this.#options = options;
    this.#urls = urls;
    const soleName = sole && deriveName(sole.publicKey);
    this.#routeOptions = { basePath: urls.basePath, domain: urls.domain, soleName };
    this.#registry = new Registry({ file: state && this.#nameFile.promise, maxAgents });
    this.#endpoint = new AgentEndpoint({
      webSocketServer,
      registry: this.#registry,
      urls,
      solePublicKey: sole?.publicKey,
      handshakeTimeoutMs,
      resumeMs,
      onEvent: (event) => {
        if (event.type === 'agent_connected') this.#arrivals.arrived(event.name);
        options.onEvent?.(event);
      },
    });
    this.#arrivals = new Arrivals(options.replacesOther === true ? arrivalsMs : 0);
    const createServer = (): Server =>
      createPublicServer(
        (request, response) => {
          this.#responses.add(response);
          // Whatever a client or an agent sends, only this request fails.
          this.#answer(this.#route(request), request, response).catch(() =>
            failAnswer(response, 'this relay could not forward the request'),
          );
        },
        (request, socket, head) => this.#onWebSocket(request, socket, head),
      );
    this.#servers = new Map(urls.addresses.map((address) => [address, createServer()]));
  }

  /** URL for `--relay`, without a trailing slash: `publicUrl`, or the first address. */
  get url(): string {
    return this.urls[0] ?? '';
  }

  /** One URL per address, or only `publicUrl`. */
  get urls(): readonly string[] {
    return this.#urls.all();
  }

  get port(): number {
    return this.#urls.port;
  }

  /** Listens and opens the state file; called once, by `createRelay`. */
  async start(): Promise<void> {
    const urls = this.#urls;
    urls.port = await listenOn(this.#servers, urls.port);
    for (const server of this.#servers.values()) watchOpenFiles(server, this.#warn);
    await this.#openNameFile();
    for (const address of urls.publicUrl === undefined ? urls.addresses.filter(isWildcardAddress) : [])
      this.#warn(withoutPublicUrl(address, urls.port));
    if (urls.hasProxy()) {
      this.#warn(
        'limits count agents by the address that the proxy in front names in X-Forwarded-For; if it names none, origins cannot be told apart and all agents count as one',
      );
    }
  }

  /**
   * Ends everything; resolves when all sockets are closed. What comes on the connections that there are is answered until all
   * responses have ended, at most `drainMs` (500 by default). Safe to call twice; a call with 0 ends the wait.
   */
  async close({ drainMs = defaultDrainMs }: { readonly drainMs?: number } = {}): Promise<void> {
    if (drainMs <= 0) this.#hurry.resolve();
    this.#closing ??= this.#stop(drainMs);
    await this.#closing;
  }

  async #stop(drainMs: number): Promise<void> {
    // At once, since the relay that replaces this one may read and write the file from now on.
    const released = this.#file?.close();
    await drainRelay({
      servers: [...this.#servers.values()],
      endpoint: this.#endpoint,
      responses: this.#responses,
      drainMs,
      hurry: this.#hurry.promise,
    });
    await released;
  }

  readonly #warn = (message: string): void => this.#options.onEvent?.({ type: 'warning', message });

  /** Only when the relay listens, since the port may have been 0. */
  async #openNameFile(): Promise<void> {
    if (this.#options.state === undefined) return;
    const { path, env = process.env } = this.#options.state;
    try {
      this.#file = await openNameFile({ path, relay: this.#urls.identity(), env, onWarning: this.#warn });
      this.#nameFile.resolve(this.#file);
    } catch (error) {
      this.#nameFile.reject(error);
      await this.close();
      throw error;
    }
  }

  #onWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    if (this.#route(request).kind === 'tunnel' && !this.#isShare(request))
      this.#endpoint.upgrade(request, socket, head);
    else if (isAgentRequest(request)) sendRawAnswer(socket, misplacedAnswer(this.#urls.forAgents()));
    else return false;
    return true;
  }

  #route({ headers: { host = '' }, url = '/' }: IncomingMessage): Route {
    return routeRequest(host, url, this.#routeOptions);
  }

  /** Whether the host is that of a name: no agent can prove that it dialled the relay there. */
  #isShare({ headers: { host = '' } }: IncomingMessage): boolean {
    return labelBelow(host.replace(/:\d*$/, '').toLowerCase(), this.#urls.domain) !== undefined;
  }

  async #answer(route: Route, request: IncomingMessage, response: ServerResponse): Promise<void> {
    switch (route.kind) {
      case 'health':
        // A load balancer that asks on a connection that it has kept.
        if (this.#closing === undefined) sendJson(response, 200, Buffer.from('{"status":"ok"}'));
        else sendJson(response, 503, Buffer.from('{"status":"stopping"}'));
        return;
      case 'tunnel':
        sendAnswer(response, {
          status: 426,
          code: relayErrorCodes.badRequest,
          message: `this path is for agents, which speak ${protocolVersion} over WebSocket`,
        });
        return;
      case 'tls-check':
        if (await this.#mayHaveCertificate(route.domain)) sendJson(response, 200, Buffer.from('{"status":"ok"}'));
        else sendAnswer(response, unknownAnswer(`the domain ${printable(route.domain)}`));
        return;
      case 'agent':
        await this.#forward(route, request, response);
        return;
      case 'unknown':
        sendAnswer(response, unknownAnswer(route.what));
    }
  }

  async #mayHaveCertificate(host: string): Promise<boolean> {
    const { domain, publicUrl } = this.#urls;
    if (host !== '' && (host === domain || host === publicUrl?.hostname)) return true;
    const name = labelBelow(host.toLowerCase(), domain);
    return name !== undefined && (await this.#registry.find(name)).state !== 'unknown';
  }

  /** Names that are requested are stored in a file, those that are derived from keys are not. */
  #mayArrive(name: string): boolean {
    return this.#arrivals.areExpected && isDerivedForm(name);
  }

  async #forward(
    { name, path }: Extract<Route, { readonly kind: 'agent' }>,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const agent = await findConnected({
      find: () => this.#registry.find(name),
      candidates: (agents) => candidatesFor(agents, request, path),
      onceArrived: (done) => this.#arrivals.onceArrived(name, done),
      response,
    });
    if (typeof agent === 'object') {
      const scheme = this.#urls.publicUrl?.protocol === 'https:' ? 'https' : 'http';
      const origin = originOf(request.headers.host ?? '', this.#routeOptions, name);
      const { remoteAddress = '' } = request.socket;
      const forwardedFor = request.headers['x-forwarded-for'];
      const address = clientAddress(remoteAddress, forwardedFor, this.#urls.hasProxy());
      forward(request, response, { agent, path, scheme, origin, clientAddress: address });
    } else if (agent === 'offline' || this.#options.sole !== undefined || this.#mayArrive(name))
      answerOffline(response, name);
    else sendAnswer(response, unknownAnswer(`the name ${name}`));
  }
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

function unknownAnswer(what: string): { status: number; code: typeof relayErrorCodes.unknownName; message: string } {
  return { status: 404, code: relayErrorCodes.unknownName, message: `this relay knows nothing of ${what}` };
}
