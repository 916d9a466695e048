import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket, WebSocketServer } from 'ws';
import { deriveName, verifyProof } from '../link/identity.ts';
import { handshakeTimeoutMs, maxStreams, pingIntervalMs } from '../link/limits.ts';
import { parseAgentMessage } from '../link/parse-message.ts';
import type { Hello, Proof, RejectCode } from '../link/protocol.ts';
import { closeCodes, encodeMessage, protocolVersion } from '../link/protocol.ts';
import type { AgentSession } from './agent-session.ts';
import { createAgentSession } from './agent-session.ts';
import { relayErrorCodes, sendRawAnswer } from './answers.ts';
import { claimOrigin } from './claim-origin.ts';
import { isLoopbackAddress } from './known-hosts.ts';
import type { Registry } from './registry.ts';
import { nameObjection } from './reserved-names.ts';

/** Sockets that may be in the handshake at one time; each can hold one message of maxMessageBytes. */
const maxPending = 256;
/** When an agent that found the relay full may come back, in milliseconds. */
const fullRetryMs = 10_000;
/** When an agent of a draining relay may come back, in milliseconds: the time of a restart. */
const drainingRetryMs = 1_000;

/** What happened to an agent, for the operator's log. */
export type RelayEvent =
  | {
      readonly type: 'agent_connected';
      readonly name: string;
      readonly epoch: number;
      readonly urls: readonly string[];
      readonly agent: string;
      readonly address: string;
    }
  | { readonly type: 'agent_disconnected'; readonly name: string; readonly epoch: number; readonly reason: string }
  | { readonly type: 'agent_rejected'; readonly code: RejectCode; readonly message: string; readonly address: string }
  /** Something that whoever runs the relay should know. */
  | { readonly type: 'warning'; readonly message: string };

export interface AdmissionOptions {
  /** `noServer`, without compression. */
  readonly webSocketServer: WebSocketServer;
  readonly registry: Registry<AgentSession>;
  /** Hosts that a proof may be made for. */
  readonly knownHosts: (isLocalPeer: boolean) => ReadonlySet<string>;
  /** Public base URLs of a name. */
  readonly urlsOf: (name: string) => readonly string[];
  readonly reservedNames: ReadonlySet<string>;
  /** The only key that is admitted, base64url. */
  readonly solePublicKey?: string;
  readonly handshakeTimeoutMs?: number;
  readonly onEvent: (event: RelayEvent) => void;
}

export interface Admission {
  /** Takes an upgrade request for the tunnel path over. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Agents that are connected. */
  readonly agents: ReadonlySet<AgentSession>;
  /** Admits nobody any more and ends all handshakes. */
  close(): void;
}

interface Rejection {
  readonly code: RejectCode;
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** The relay's side of the handshake: WebSocket upgrade, hello, challenge, proof, name, welcome. */
export function createAdmission(options: AdmissionOptions): Admission {
  const pending = new Set<WebSocket>();
  const agents = new Set<AgentSession>();
  let isDraining = false;

  const greet = (socket: WebSocket, request: IncomingMessage): void => {
    const address = request.socket.remoteAddress ?? '';
    // Behind a proxy on this machine every peer looks local, so a forwarded connection never counts as such.
    const isForwarded = request.headers['x-forwarded-for'] !== undefined || request.headers.forwarded !== undefined;
    const hosts = options.knownHosts(isLoopbackAddress(address) && !isForwarded);
    const origin = claimOrigin(address, request.headers['x-forwarded-for']);
    const nonce = randomBytes(32);
    let hello: { readonly message: Hello; readonly bytes: Buffer } | undefined;
    let isDone = false;

    const finish = (): void => {
      isDone = true;
      clearTimeout(timer);
      pending.delete(socket);
      socket.off('message', onMessage);
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
      const isProven = [...hosts].some((relayHost) =>
        verifyProof(message.publicKey, { relayHost, nonce, hello: bytes }, proof.signature),
      );
      if (!isProven) {
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
      if (isDone) await options.registry.release(name, claim.epoch);
      else await welcome(message, name, claim.epoch);
    };
    const welcome = async (message: Hello, name: string, epoch: number): Promise<void> => {
      finish();
      const urls = options.urlsOf(name);
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

    pending.add(socket);
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
      if (pending.size >= maxPending || isDraining) {
        const message = isDraining ? 'this relay is stopping' : 'this relay has too many agents in the handshake';
        sendRawAnswer(socket, { status: 503, code: relayErrorCodes.offline, message, retryAfterS: 1 });
        return;
      }
      const offered = (request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
      if (!offered.includes(protocolVersion)) {
        const message = `this relay speaks ${protocolVersion}`;
        sendRawAnswer(socket, { status: 426, code: relayErrorCodes.badRequest, message });
        return;
      }
      options.webSocketServer.handleUpgrade(request, socket, head, (webSocket) => {
        greet(webSocket, request);
      });
    },
    close() {
      isDraining = true;
      for (const socket of pending) socket.terminate();
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
