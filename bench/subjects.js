// What is measured: each the same server behind another bridge.
import { fileURLToPath } from 'node:url';

import { startNode } from './processes.js';

const pathOf = (/** @type {string} */ relative) => fileURLToPath(new URL(relative, import.meta.url));

const trivialChild = pathOf('trivial-child.js');

/**
 * @typedef {object} Bridge
 * @property {number} pid of the bridge, not of its server
 * @property {number} startedAt when it was started, as `performance.now()`
 * @property {string} hostname
 * @property {string} port
 * @property {string} path of the MCP endpoint
 * @property {string} token
 * @property {() => Promise<void>} end
 */

/**
 * @typedef {object} Subject
 * @property {string} name
 * @property {() => Promise<Bridge>} start resolves once it says that it is ready
 */

/** @type {Subject} */
export const floor = {
  name: 'floor',
  async start() {
    const { ready, ...running } = await startNode([pathOf('floor-bridge.js'), trivialChild]);
    // It looks at no header, but has to read as many bytes of them as we do.
    const token = `mcpx_${'x'.repeat(43)}`;
    return { ...running, hostname: '127.0.0.1', port: String(ready['port']), path: '/mcp', token };
  },
};

/** @type {Subject} */
export const ours = {
  name: 'ours',
  async start() {
    const server = `${JSON.stringify(process.execPath)} ${JSON.stringify(trivialChild)}`;
    const bin = pathOf('../bin/mcp-expose.js');
    const { ready, ...running } = await startNode([bin, '--json', '--tunnel', 'none', '--stdio', server]);
    const { hostname, port, pathname: path } = new URL(String(ready['localUrl']));
    return { ...running, hostname, port, path, token: String(ready['token']) };
  },
};
