import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket, WebSocketServer } from 'ws';
import { deriveName, verifyProof } from '../protocol/identity.ts';
import { handshakeTimeoutMs, maxStreams, pingIntervalMs } from '../protocol/limits.ts';
import { parseAgentMessage } from '../protocol/parse-message.ts';
import type { Hello, Proof, RejectCode } from '../protocol/protocol.ts';
import { closeCodes, encodeMessage, protocolVersion } from '../protocol/protocol.ts';
import { createAgentSession, type AgentSession } from './agent-session.ts';
import { relayErrorCodes, sendRawAnswer } from './error-responses.ts';
import { inUrl, isLoopbackAddress, isWildcardAddress } from '../../../platform/net/addresses.ts';
import { clientNetwork, createOriginRate, OriginShares, unknownNetwork } from './origin-limits.ts';
import type { Registry } from './registry.ts';
import type { RelayEvent } from './relay-events.ts';
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
/** When an agent may retry after the relay was full, in milliseconds. */
const fullRetryMs = 10_000;
/** When an agent may retry after the relay was draining, in milliseconds: the time of a restart. */
const drainingRetryMs = 1_000;

export interface AgentHandshakeOptions {
  /** `noServer`, without compression. */
  readonly webSocketServer: WebSocketServer;
  readonly registry: Registry<AgentSession>;
  /** The names of this relay; called for each agent, since the port is known only once the relay listens. */
  readonly relayNames: () => RelayNames;
  /** Whether the operator has a proxy in front, as far as that is known. */
  readonly hasProxy: () => boolean;
  /** Public base URLs of a name, for an agent that dialled `relayHost`. */
  readonly urlsOf: (name: string, relayHost: string) => readonly string[];
  readonly reservedNames: ReadonlySet<string>;
  /** The only key that is admitted, base64url. */
  readonly solePublicKey?: string;
  readonly handshakeTimeoutMs?: number;
  readonly onEvent: (event: RelayEvent) => void;
}

export interface AgentHandshake {
  /** Handles an upgrade request for the tunnel path. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Agents that are connected. */
  readonly agents: ReadonlySet<AgentSession>;
  /** Admits no more agents and ends all handshakes. */
  close(): void;
}

interface Rejection {
  readonly code: RejectCode;
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** The relay's side of the handshake: WebSocket upgrade, hello, challenge, proof, name, welcome. */
export function createAgentHandshake(options: AgentHandshakeOptions): AgentHandshake {
  /** Ends the handshakes in progress. */
  const pending = new OriginShares<() => void>();
  const agents = new Set<AgentSession>();
  const mayBegin = createOriginRate({ burst: handshakeBurst, perSecond: handshakesPerSecond });
  let isDraining = false;
  let isUnnamedTold = false;

  /** The other limits apply per origin, so a proxy has to name its clients. */
  const tellOfUnnamed = (): void => {
    if (isUnnamedTold) return;
    isUnnamedTold = true;
    const message =
      'the proxy in front of this relay does not name its clients: all agents count as one origin, so limits per origin do not protect them from each other; have it set X-Forwarded-For';
    options.onEvent({ type: 'warning', message });
  };

  const originOf = ({ socket, headers }: IncomingMessage): string =>
    clientNetwork(socket.remoteAddress ?? '', headers['x-forwarded-for'], options.hasProxy());

  const greet = (socket: WebSocket, request: IncomingMessage, origin: string): void => {
    const address = request.socket.remoteAddress ?? '';
    // Behind a proxy on this machine every peer looks local, so a forwarded connection never counts as local.
    const isForwarded = request.headers['x-forwarded-for'] !== undefined || request.headers.forwarded !== undefined;
    const hosts = acceptedHosts(options.relayNames(), isLoopbackAddress(address) && !isForwarded);
    if (origin === unknownNetwork) tellOfUnnamed();
    const nonce = randomBytes(32);
    let hello: { readonly message: Hello; readonly bytes: Buffer } | undefined;
    let isDone = false;

    const finish = (): void => {
      isDone = true;
      clearTimeout(timer);
      pending.delete(origin, cut);
      socket.off('message', onMessage);
    };
    const cut = (): void => {
      finish();
      socket.terminate();
    };
    const reject = ({ code, message, retryAfterMs }: Rejection): void => {
      finish();
      const retry = retryAfterMs === undefined ? { retryable: false } : { retryable: true, retryAfterMs };
      socket.send(encodeMessage({ type: 'reject', code, message, ...retry }));
      socket.close(closeCodes.rejected, code);
      cutLater(socket);
      options.onEvent({ type: 'agent_rejected', code, message, address });
    };
    const drop = (code: number, reason: string): void => {
      finish();
      socket.close(code, reason);
      cutLater(socket);
    };
    const timer = setTimeout(() => {
      drop(closeCodes.handshakeTimeout, 'no handshake in time');
    }, options.handshakeTimeoutMs ?? handshakeTimeoutMs);

    const onHello = (message: Hello, bytes: Buffer): void => {
      const objection = objectionTo(message);
      if (objection !== undefined) {
        reject(objection);
        return;
      }
      hello = { message, bytes };
      socket.send(encodeMessage({ type: 'challenge', nonce: nonce.toString('base64url') }));
    };
    const onProof = async (proof: Proof, { message, bytes }: { message: Hello; bytes: Buffer }): Promise<void> => {
      const dialled = [...hosts].find((relayHost) =>
        verifyProof(message.publicKey, { relayHost, nonce, hello: bytes }, proof.signature),
      );
      if (dialled === undefined) {
        const known = [...hosts].slice(0, 3).join(', ');
        reject({
          code: 'auth',
          message: `the key's proof is not for this relay, which knows itself as ${known || 'nothing reachable'}; if it is reached under another address, start it with --public-url`,
        });
        return;
      }
      const name = message.want.name ?? deriveName(message.publicKey);
      const claim = await options.registry.claim(name, message.publicKey, origin);
      if (!claim.ok) {
        const retry = claim.code === 'quota' ? { retryAfterMs: fullRetryMs } : {};
        if (!isDone) reject({ code: claim.code, message: claim.message, ...retry });
        return;
      }
      claim.displaced?.close(closeCodes.rejected, 'this relay is full, and another agent needed the place');
      if (isDone) await options.registry.release(name, claim.epoch);
      else await welcome(message, { name, epoch: claim.epoch, urls: options.urlsOf(name, dialled) });
    };
    const welcome = async (
      message: Hello,
      { name, epoch, urls }: { readonly name: string; readonly epoch: number; readonly urls: readonly string[] },
    ): Promise<void> => {
      finish();
      socket.send(
        encodeMessage({
          type: 'welcome',
          session: randomBytes(16).toString('base64url'),
          epoch,
          name,
          urls,
          resumeMs: 0,
          heartbeatMs: pingIntervalMs,
          limits: { streams: maxStreams },
        }),
      );
      const agent = createAgentSession(socket, name, epoch);
      agents.add(agent);
      void farewell(agent);
      const { accepted, replaced } = await options.registry.attach(name, epoch, agent);
      replaced?.close(closeCodes.takenOver, 'taken over by a newer connection of the same key');
      if (accepted) options.onEvent({ type: 'agent_connected', name, epoch, urls, agent: message.agent, address });
      else agent.close(closeCodes.takenOver, 'taken over by a newer connection of the same key');
    };
    const onMessage = (data: RawData, isBinary: boolean): void => {
      if (isBinary || !Buffer.isBuffer(data)) {
        drop(closeCodes.protocolError, 'data before the handshake was done');
        return;
      }
      const message = parseAgentMessage(data);
      if (message.type === 'malformed') drop(closeCodes.protocolError, message.reason);
      else if (message.type === 'hello' && hello === undefined) onHello(message, data);
      else if (message.type === 'proof' && hello !== undefined) {
        const { message: greeting, bytes } = hello;
        // One proof per challenge.
        socket.off('message', onMessage);
        onProof(message, { message: greeting, bytes }).catch(() => {
          socket.terminate();
        });
      } else if (message.type !== 'unknown') drop(closeCodes.protocolError, `${message.type} out of order`);
    };

    if (pending.size >= maxPending) {
      const [oldest] = pending.largest();
      oldest?.();
    }
    pending.add(origin, cut);
    socket.on('message', onMessage);
    // 'close' follows; without a listener the error would end the process.
    socket.on('error', () => undefined);
    socket.once('close', finish);
  };

  const farewell = async (agent: AgentSession): Promise<void> => {
    const { name, epoch } = agent;
    const reason = await agent.closed;
    agents.delete(agent);
    await options.registry.release(name, epoch);
    options.onEvent({ type: 'agent_disconnected', name, epoch, reason });
  };

  const objectionTo = (hello: Hello): Rejection | undefined => {
    if (isDraining) return { code: 'draining', message: 'this relay is stopping', retryAfterMs: drainingRetryMs };
    if (!hello.versions.includes(protocolVersion)) {
      const spoken = hello.versions.join(', ');
      return { code: 'version', message: `this relay speaks ${protocolVersion}, the agent speaks ${spoken}` };
    }
    if (options.solePublicKey !== undefined && hello.publicKey !== options.solePublicKey) {
      return { code: 'auth', message: 'this relay serves one agent only' };
    }
    const ownName = deriveName(hello.publicKey);
    const message = nameObjection(hello.want.name ?? ownName, ownName, options.reservedNames);
    return message === undefined ? undefined : { code: 'name_reserved', message };
  };

  return {
    agents,
    upgrade(request, socket, head) {
      if (isDraining) {
        const message = 'this relay is stopping';
        sendRawAnswer(socket, { status: 503, code: relayErrorCodes.offline, message, retryAfterS: 1 });
        return;
      }
      const origin = originOf(request);
      if (origin !== unknownNetwork && !isLoopbackAddress(origin) && !mayBegin(origin)) {
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
      options.webSocketServer.handleUpgrade(request, socket, head, (webSocket) => {
        greet(webSocket, request, origin);
      });
    },
    close() {
      isDraining = true;
      for (const cut of pending.all()) cut();
    },
  };
}

/** A peer that does not answer the close frame must not keep its socket. */
function cutLater(socket: WebSocket): void {
  const timer = setTimeout(() => {
    socket.terminate();
  }, 1_000);
  socket.once('close', () => {
    clearTimeout(timer);
  });
}

export interface RelayNames {
  /** Addresses that the relay listens on. */
  readonly addresses: readonly string[];
  readonly port: number;
  readonly publicUrl: URL | undefined;
  readonly domain: string | undefined;
}

/** Default ports that URLs omit; that depends on the agent's scheme, which a relay behind a proxy does not know. */
const defaultPorts: ReadonlySet<number> = new Set([80, 443]);

/**
 * Every `host[:port]` under which an agent may have dialled this relay. A proof for any other host was made for another relay
 * and is being passed on. Loopback names are included only for a peer on this machine (`isLocalPeer`), since every machine has
 * a relay of that name.
 */
export function acceptedHosts(options: RelayNames, isLocalPeer: boolean): ReadonlySet<string> {
  const hosts = new Set<string>();
  const addWithPort = (name: string): void => {
    hosts.add(`${name}:${options.port}`);
    if (defaultPorts.has(options.port)) hosts.add(name);
  };
  if (options.publicUrl !== undefined) hosts.add(options.publicUrl.host);
  if (options.domain !== undefined) {
    hosts.add(options.domain);
    addWithPort(options.domain);
    if (options.publicUrl !== undefined && options.publicUrl.port !== '') {
      hosts.add(`${options.domain}:${options.publicUrl.port}`);
    }
  }
  for (const address of options.addresses.flatMap(expandWildcard)) {
    if (isLocalPeer || !isLoopbackAddress(address)) addWithPort(inUrl(address).toLowerCase());
  }
  if (isLocalPeer) for (const name of ['localhost', '127.0.0.1', '[::1]']) addWithPort(name);
  return hosts;
}

function expandWildcard(address: string): string[] {
  if (!isWildcardAddress(address)) return [address];
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .map((entry) => entry.address);
}
