// A TCP proxy that can be cut: a network that goes away for a while, without a word.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/**
 * @typedef {object} CuttingProxy
 * @property {number} port
 * @property {(ms: number) => Promise<void>} cut closes every connection at once, with what is on its way, and refuses others for
 * so long
 * @property {() => void} close
 */

/** @param {number} target the port to connect to @returns {Promise<CuttingProxy>} */
export async function startCuttingProxy(target) {
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set();
  const server = createServer({ noDelay: true }, (incoming) => {
    const outgoing = connect({ host: '127.0.0.1', port: target, noDelay: true });
    for (const [one, other] of /** @type {const} */ ([
      [incoming, outgoing],
      [outgoing, incoming],
    ])) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => {});
      one.once('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  const listen = async (/** @type {number} */ port) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await listen(0);
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;

  function close() {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
  return {
    port,
    async cut(ms) {
      close();
      await new Promise((resolve) => setTimeout(resolve, ms));
      await listen(port);
    },
    close,
  };
}
