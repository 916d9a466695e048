import type { RawData, WebSocket } from 'ws';
import { abortReason } from '../../../platform/deadline.ts';
import { isBaseUrl, parseRelayMessage } from '../protocol/parse-message.ts';
import type { Identity } from '../protocol/identity.ts';
import { Pipe } from '../protocol/pipe.ts';
import type { Hello, Reject, Welcome } from '../protocol/protocol.ts';
import { closeCodes, encodeMessage, protocolVersion } from '../protocol/protocol.ts';
import { toSingleLine } from '../../../platform/text/sanitize.ts';

export interface AgentHandshakeOptions {
  readonly socket: WebSocket;
  readonly identity: Identity;
  /** `host[:port]` as dialled; it is signed. */
  readonly relayHost: string;
  /** Name and version of this program. */
  readonly agent: string;
  readonly name?: string;
  readonly signal: AbortSignal;
}

export type AgentHandshakeResult =
  | { readonly type: 'welcome'; readonly welcome: Welcome; readonly pipe: Pipe }
  | Reject
  /** The welcome contains the invalid public URL `url`. */
  | { readonly type: 'bad_url'; readonly url: string }
  /** The peer is not a relay of this protocol, or has closed the connection. */
  | { readonly type: 'failed'; readonly reason: string };

/**
 * The agent's side of the handshake on an open socket, which may be paused: hello, challenge, proof, welcome. Resolves with the
 * live pipe, the relay's refusal, or the failure; in the latter two cases the socket is closed. Rejects only when `signal`
 * aborts.
 */
export async function agentHandshake(options: AgentHandshakeOptions): Promise<AgentHandshakeResult> {
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
    const onClose = (code: number, reason: Buffer): void =>
      fail(`it closed the connection during the handshake with ${code} ${toSingleLine(reason.toString())}`.trim());
    // All in one synchronous handler: bytes of the pipe may follow the welcome in the same packet.
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
          settle();
          const badUrl = message.urls.find((url) => !isBaseUrl(url));
          if (badUrl !== undefined) {
            socket.close(closeCodes.protocolError);
            resolve({ type: 'bad_url', url: badUrl });
            break;
          }
          resolve({ type: 'welcome', welcome: message, pipe: new Pipe(socket) });
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
        case 'cancel':
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
    want: options.name === undefined ? {} : { name: options.name },
  };
}
