import type { RawData, WebSocket } from 'ws';
import { abortReason } from '../../../platform/deadline.ts';
import { isBaseUrl, parseRelayMessage } from '../protocol/parse-message.ts';
import type { Identity } from '../protocol/identity.ts';
import type { Hello, Reject, Welcome } from '../protocol/protocol.ts';
import { closeCodes, encodeMessage, protocolVersion } from '../protocol/protocol.ts';

export interface AgentHandshakeOptions {
  readonly socket: WebSocket;
  readonly identity: Identity;
  /** `host[:port]` as dialled; it is signed. */
  readonly relayHost: string;
  /** Name and version of this program. */
  readonly agent: string;
  readonly name?: string;
  /** As in `Hello`. */
  readonly replica?: string | undefined;
  /** The session that was lost and can be resumed. */
  readonly lost?: { readonly session: string; readonly received: number } | undefined;
  readonly signal: AbortSignal;
}

export type AgentHandshakeResult<Session> =
  | { readonly type: 'welcome'; readonly session: Session }
  | Reject
  /** The welcome contains the invalid public URL `url`. */
  | { readonly type: 'bad_url'; readonly url: string }
  /** The peer is not a relay of this protocol. */
  | { readonly type: 'failed'; readonly reason: string }
  /** The peer has closed the connection, or it was lost. */
  | { readonly type: 'closed'; readonly code: number; readonly reason: string };

/**
 * The agent's side of the handshake on an open socket, which may be paused: hello, challenge, proof, welcome. Resolves with what
 * `onWelcome` returns, the relay's refusal, or the failure; in the latter cases the socket is closed. Rejects only when
 * `signal` aborts.
 * @param onWelcome is called in the turn in which the welcome arrives, since bytes of the pipe may follow in the same packet.
 * Returns why the welcome cannot be used, or the session.
 */
export async function agentHandshake<Session extends object>(
  options: AgentHandshakeOptions,
  onWelcome: (welcome: Welcome) => Session | string,
): Promise<AgentHandshakeResult<Session>> {
  const { socket, signal } = options;
  signal.throwIfAborted();
  const hello = Buffer.from(encodeMessage(createHello(options)));
  return await new Promise((resolve, reject) => {
    const settle = (): void => {
      socket.off('message', onMessage);
      socket.off('close', onClose);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (reason: string): void => {
      settle();
      // Without the reason, which may be longer than a close frame allows: ws would throw.
      socket.close(closeCodes.protocolError);
      resolve({ type: 'failed', reason });
    };
    const onAbort = (): void => {
      settle();
      socket.terminate();
      reject(abortReason(signal));
    };
    const onClose = (code: number, reason: Buffer): void => {
      settle();
      resolve({ type: 'closed', code, reason: reason.toString() });
    };
    const onMessage = (data: RawData, isBinary: boolean): void => {
      if (isBinary || !Buffer.isBuffer(data)) {
        fail('it sent data before the handshake was done');
        return;
      }
      const message = parseRelayMessage(data);
      switch (message.type) {
        case 'challenge': {
          const nonce = Buffer.from(message.nonce, 'base64url');
          const signature = options.identity.sign({ relayHost: options.relayHost, nonce, hello });
          socket.send(encodeMessage({ type: 'proof', signature }));
          break;
        }
        case 'welcome': {
          const badUrl = message.urls.find((url) => !isBaseUrl(url));
          if (badUrl !== undefined) {
            settle();
            socket.close(closeCodes.protocolError);
            resolve({ type: 'bad_url', url: badUrl });
            break;
          }
          const session = onWelcome(message);
          if (typeof session === 'string') {
            fail(session);
            break;
          }
          settle();
          resolve({ type: 'welcome', session });
          break;
        }
        case 'reject':
          settle();
          socket.close(closeCodes.normal);
          resolve(message);
          break;
        case 'malformed':
          fail(`it sent a ${message.reason}`);
          break;
        case 'ack':
        case 'goaway':
        case 'notice':
        case 'unknown':
          break;
      }
    };
    socket.on('message', onMessage);
    socket.on('close', onClose);
    signal.addEventListener('abort', onAbort);
    socket.resume();
    socket.send(hello, { binary: false });
  });
}

function createHello(options: AgentHandshakeOptions): Hello {
  return {
    type: 'hello',
    versions: [protocolVersion],
    agent: options.agent,
    publicKey: options.identity.publicKey,
    want: {
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.replica === undefined ? {} : { replica: options.replica }),
    },
    resume: options.lost ?? { session: '', received: 0 },
  };
}
