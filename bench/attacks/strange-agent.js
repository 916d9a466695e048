// An agent with a key of its own that speaks the tunnel's protocol as far as an attack needs it.
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';

const protocol = 'mcp-expose.v1';

/**
 * A WebSocket at the relay's tunnel, open or on its way; errors are left to `close`.
 * @param {string} relayUrl
 * @param {string | undefined} origin the address that a proxy would name
 */
export function dial(relayUrl, origin) {
  const headers = origin === undefined ? {} : { 'x-forwarded-for': origin };
  const url = `${relayUrl.replace(/^http/, 'ws')}/_mcp-expose/v1/tunnel`;
  const socket = new WebSocket(url, [protocol], { headers, perMessageDeflate: false });
  socket.on('error', () => {});
  return socket;
}

/**
 * Dials with a new key and goes through the handshake.
 * @param {string} relayUrl
 * @param {{ name?: string, origin?: string | undefined }} [options]
 * @returns {Promise<{ socket: WebSocket, answer: string, name: string }>} the type of the relay's last message, or `closed`,
 * and the name that it gave
 */
export async function joinAsStranger(relayUrl, { name: wish, origin } = {}) {
  // Key objects that were generated can deadlock when they are exported: src/tunnel/relay/protocol/identity.ts.
  const { publicKey, privateKey } = generateKeyPairSync('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  // RFC 8410: the raw key is the end of its SubjectPublicKeyInfo.
  const x = publicKey.subarray(-32).toString('base64url');
  const want = wish === undefined ? {} : { name: wish };
  const hello = JSON.stringify({ type: 'hello', versions: [protocol], agent: 'stranger', publicKey: x, want });
  const socket = dial(relayUrl, origin);
  socket.once('open', () => socket.send(hello));
  const [answer, name] = await new Promise((resolve) => {
    socket.once('close', () => resolve(['closed', '']));
    socket.on('message', (data, isBinary) => {
      if (isBinary || !Buffer.isBuffer(data)) return;
      const { type, nonce, name: given } = JSON.parse(data.toString());
      if (type !== 'challenge') return resolve([String(type), String(given)]);
      const digest = createHash('sha256').update(hello).digest();
      const payload = [Buffer.from(`${protocol}\0${new URL(relayUrl).host}`), Buffer.from(nonce, 'base64url'), digest];
      const signature = sign(null, Buffer.concat(payload), privateKey).toString('base64url');
      socket.send(JSON.stringify({ type: 'proof', signature }));
    });
  });
  return { socket, answer, name };
}

/**
 * Ends a connection; resolves when it is gone.
 * @param {WebSocket} socket
 */
export async function leave(socket) {
  if (socket.readyState === WebSocket.CLOSED) return;
  socket.close();
  await once(socket, 'close');
}
