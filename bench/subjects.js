// What is measured: each the same server behind another bridge.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort } from './free-port.js';
import { startNode } from './processes.js';

const pathOf = (/** @type {string} */ relative) => fileURLToPath(new URL(relative, import.meta.url));

/** A server for the bridges to run. @typedef {readonly [file: string, script: string]} Server */

/** @type {Server} */
export const trivialChild = [process.execPath, pathOf('trivial-child.js')];

/** The same of MCP 2026-07-28. @type {Server} */
export const trivialModernChild = [process.execPath, pathOf('trivial-modern-child.js')];

/** @type {Server} */
export const idleChild = ['/bin/sh', pathOf('idle-child.sh')];

/**
 * @typedef {object} Bridge
 * @property {number} pid of the bridge, not of its server
 * @property {number} startedAt when it was started, as `performance.now()`
 * @property {string} hostname
 * @property {string} port
 * @property {string} path of the MCP endpoint
 * @property {string} token
 * @property {() => Promise<void>} collectGarbage
 * @property {() => Promise<void>} end
 */

/**
 * @typedef {object} StartOptions
 * @property {Server} [server] the trivial child unless another is given
 * @property {boolean} [collectable] whether garbage will have to be collected
 * @property {readonly string[]} [options] of our own command line; the others have their defaults
 * @property {boolean} [describesFirst] whether the floor first starts the server to ask what it is, as ours does
 */

/**
 * @typedef {object} Subject
 * @property {string} name
 * @property {boolean} [isPeer] whether it may fail: then its column says why
 * @property {(options?: StartOptions) => Promise<Bridge>} start resolves once it says that it is ready
 */

/** @type {Subject} */
export const floor = {
  name: 'floor',
  async start({ server: [, script] = trivialChild, collectable, describesFirst = false } = {}) {
    const args = [pathOf('floor-bridge.js'), script, ...(describesFirst ? ['--describe-first'] : [])];
    const { ready, ...running } = await startNode(args, { collectable });
    return { ...running, hostname: '127.0.0.1', port: String(ready['port']), path: '/mcp', token: placeholderToken };
  },
};

/** @type {Subject} */
export const ours = {
  name: 'ours',
  async start({ server = trivialChild, collectable, options = [] } = {}) {
    const bin = pathOf('../bin/mcp-expose.js');
    const args = [bin, '--json', '--tunnel', 'none', ...options, '--', ...server];
    const { ready, ...running } = await startNode(args, { collectable });
    if (ready['event'] !== 'ready') throw new Error(`ours did not start: ${JSON.stringify(ready)}`);
    const { hostname, port, pathname: path } = new URL(String(ready['localUrl']));
    return { ...running, hostname, port, path, token: String(ready['token']) };
  },
};

/** Where no token is asked for there are as many bytes of headers to read all the same. */
const placeholderToken = `mcpx_${'x'.repeat(43)}`;

/** Other bridges, each told to do the same as ours and to be quiet: what it logs would cost it time. */
const knownPeers = [
  {
    name: 'supergateway',
    argsFor(/** @type {Server} */ server, /** @type {number} */ port) {
      const command = server.map((part) => JSON.stringify(part)).join(' ');
      const output = ['--outputTransport', 'streamableHttp', '--stateful', '--logLevel', 'none'];
      return ['--stdio', command, ...output, '--port', String(port)];
    },
  },
  {
    name: 'mcp-proxy',
    argsFor(/** @type {Server} */ server, /** @type {number} */ port) {
      return ['--host', '127.0.0.1', '--port', String(port), '--', ...server];
    },
  },
];

/**
 * The other bridges that are installed in a folder (`npm install --prefix <folder> supergateway mcp-proxy`).
 * @param {string} folder
 * @returns {Subject[]}
 * @throws when one of them is not
 */
export function peersIn(folder) {
  return knownPeers.map(({ name, argsFor }) => {
    const home = resolve(folder, 'node_modules', name);
    const { bin, version } = JSON.parse(readFileSync(resolve(home, 'package.json'), 'utf8'));
    const program = resolve(home, typeof bin === 'string' ? bin : bin[name]);
    return {
      name: `${name} ${version}`,
      isPeer: true,
      async start({ server = trivialChild, collectable } = {}) {
        const port = await freePort();
        const { ready: _, ...running } = await startNode([program, ...argsFor(server, port)], { port, collectable });
        return { ...running, hostname: '127.0.0.1', port: String(port), path: '/mcp', token: placeholderToken };
      },
    };
  });
}
