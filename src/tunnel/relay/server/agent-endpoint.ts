import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';
import { isLoopbackAddress } from '../../../platform/net/addresses.ts';
import { deriveName } from '../protocol/identity.ts';
import { protocolVersion, type Hello } from '../protocol/protocol.ts';
import { AgentHandshake, type AgentHandshakeOptions, type Rejection } from './agent-handshake.ts';
import type { AgentSession } from './agent-session.ts';
import { relayErrorCodes, sendRawAnswer } from './error-responses.ts';
import { clientNetwork, createOriginRate, OriginShares, unknownNetwork } from './origin-limits.ts';
import type { RelayUrls } from './relay-urls.ts';
import { nameObjection } from './reserved-names.ts';

/**
 * Concurrent handshakes; each can hold one message of maxMessageBytes. A further one displaces the oldest of the origin with
 * the most: a handshake takes a moment, so the oldest is unlikely to be honest.
 */
const maxPending = 256;
/**
 * Handshakes that one origin may start: at once, as many as reconnect through one address after a restart of the relay, then
 * per second. Each costs a millisecond of CPU. Not applied to origins that honest agents may share with others: behind a proxy
 * that names no client, and on this machine.
 */
const handshakeBurst = 300;
const handshakesPerSecond = 20;
/** When an agent may retry after the relay was draining, in milliseconds: the time of a restart. */
const drainingRetryMs = 1_000;

type SharedOptions = Pick<AgentHandshakeOptions, 'registry' | 'handshakeTimeoutMs' | 'resumeMs' | 'onEvent'>;

export interface AgentEndpointOptions extends SharedOptions {
  /** `noServer`, without compression. */
  readonly webSocketServer: WebSocketServer;
  readonly urls: RelayUrls;
  /** The only key that is admitted, base64url. */
  readonly solePublicKey: string | undefined;
}

/** Where agents connect: admits their WebSockets to a handshake, and holds those that have passed it. */
export class AgentEndpoint {
  readonly #options: AgentEndpointOptions;
  readonly #reservedNames: ReadonlySet<string>;
  readonly #pending = new OriginShares<AgentHandshake>();
  /** By the ids of their sessions. */
  readonly #agents = new Map<string, AgentSession>();
  readonly #mayBegin = createOriginRate({ burst: handshakeBurst, perSecond: handshakesPerSecond });
  #isDraining = false;
  #hasWarnedOfUnnamed = false;

  constructor(options: AgentEndpointOptions) {
    this.#options = options;
    this.#reservedNames = new Set([options.urls.basePath.split('/')[1] ?? '']);
  }

  get agents(): readonly AgentSession[] {
    return [...this.#agents.values()];
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#isDraining) {
      const message = 'this relay is stopping';
      sendRawAnswer(socket, { status: 503, code: relayErrorCodes.offline, message, retryAfterS: 1 });
      return;
    }
    const { remoteAddress = '' } = request.socket;
    const origin = clientNetwork(remoteAddress, request.headers['x-forwarded-for'], this.#options.urls.hasProxy());
    if (origin !== unknownNetwork && !isLoopbackAddress(origin) && !this.#mayBegin(origin)) {
      const message = 'too many agents of your network have connected in a short time';
      sendRawAnswer(socket, { status: 503, code: relayErrorCodes.offline, message, retryAfterS: 5 });
      return;
    }
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
    if (!offered.includes(protocolVersion)) {
      const message = `this relay speaks ${protocolVersion}`;
      sendRawAnswer(socket, { status: 426, code: relayErrorCodes.badRequest, message });
      return;
    }
    this.#options.webSocketServer.handleUpgrade(request, socket, head, (webSocket) =>
      this.#greet(webSocket, request, origin),
    );
  }

  /** Admits no more agents and ends all handshakes. */
  close(): void {
    this.#isDraining = true;
    for (const handshake of this.#pending.all()) handshake.cut();
  }

  #greet(
    socket: WebSocket,
    { socket: { remoteAddress: address = '' }, headers }: IncomingMessage,
    origin: string,
  ): void {
    const { urls } = this.#options;
    // Behind a proxy on this machine every peer looks local, so a forwarded connection never counts as local.
    const isForwarded = headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined;
    if (origin === unknownNetwork) this.#warnOfUnnamed();
    if (this.#pending.size >= maxPending) {
      const [oldest] = this.#pending.largest();
      oldest?.cut();
    }
    const handshake = new AgentHandshake(socket, {
      ...this.#options,
      hosts: urls.acceptedHosts(isLoopbackAddress(address) && !isForwarded),
      origin,
      address,
      urlsOf: (name, relayHost) => urls.ofName(name, relayHost),
      objectionTo: (hello) => this.#objectionTo(hello),
      sessionOf: (id) => this.#agents.get(id),
      onAgent: (agent) => void this.#hold(agent),
      onEnd: () => this.#pending.delete(origin, handshake),
    });
    this.#pending.add(origin, handshake);
  }

  /** The other limits apply per origin, so a proxy has to name its clients. */
  #warnOfUnnamed(): void {
    if (this.#hasWarnedOfUnnamed) return;
    this.#hasWarnedOfUnnamed = true;
    const message =
      'the proxy in front of this relay does not name its clients: all agents count as one origin, so limits per origin do not protect them from each other; have it set X-Forwarded-For';
    this.#options.onEvent({ type: 'warning', message });
  }

  #objectionTo(hello: Hello): Rejection | undefined {
    const { solePublicKey } = this.#options;
    if (this.#isDraining) return { code: 'draining', message: 'this relay is stopping', retryAfterMs: drainingRetryMs };
    if (!hello.versions.includes(protocolVersion)) {
      const spoken = hello.versions.join(', ');
      return { code: 'version', message: `this relay speaks ${protocolVersion}, the agent speaks ${spoken}` };
    }
    if (solePublicKey !== undefined && hello.publicKey !== solePublicKey) {
      return { code: 'auth', message: 'this relay serves one agent only' };
    }
    const ownName = deriveName(hello.publicKey);
    const message = nameObjection(hello.want.name ?? ownName, ownName, this.#reservedNames);
    return message === undefined ? undefined : { code: 'name_reserved', message };
  }

  async #hold(agent: AgentSession): Promise<void> {
    const { name, epoch, id } = agent;
    this.#agents.set(id, agent);
    const reason = await agent.closed;
    this.#agents.delete(id);
    const online = await this.#options.registry.release(name, epoch);
    this.#options.onEvent({ type: 'agent_disconnected', name, epoch, reason, online });
  }
}
