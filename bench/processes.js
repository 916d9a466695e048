// Starts what is measured, and ends it. Nothing started here outlives the bench.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

/** How long a process may take to say that it is ready, to collect its garbage and to end when asked, in milliseconds. */
const readyTimeoutMs = 20_000;
const collectTimeoutMs = 10_000;
const endTimeoutMs = 8000;

/** Between two looks whether a port can be connected to, in milliseconds. */
const portIntervalMs = 5;

/** As much of a process's standard error as is shown when it fails. */
const stderrLength = 2000;

/**
 * @typedef {object} Running
 * @property {number} pid
 * @property {number} startedAt when it was started, as `performance.now()`
 * @property {Record<string, unknown>} ready its first line of output, where that is waited for
 * @property {() => Promise<void>} collectGarbage resolves when it has; for a process that was started `collectable`
 * @property {() => Promise<void>} end ends it; resolves when it is gone
 */

/** @type {Set<() => Promise<void>>} */
const endings = new Set();

/**
 * @typedef {object} RunOptions
 * @property {number} [port] where it listens when it is ready; without, its first line of output says so, a JSON object
 * @property {boolean | undefined} [collectable] for Node programs
 * @property {'ignore' | 'pipe'} [stdin] a pipe for a program that ends with its input; nothing comes through it
 * @property {Record<string, string>} [env] in addition to that of the bench
 */

/**
 * Runs a Node program and waits until it is ready.
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<Running>}
 */
export function startNode(args, options = {}) {
  const preload = ['--expose-gc', '--import', new URL('collect-garbage.js', import.meta.url).href];
  return startProgram(process.execPath, options.collectable === true ? [...preload, ...args] : args, options);
}

/**
 * Runs a program and waits until it is ready.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<Running>}
 */
export async function startProgram(command, args, { port, collectable = false, stdin = 'ignore', env = {} } = {}) {
  const startedAt = performance.now();
  const line = [command, ...args].join(' ');
  const stdio = /** @type {const} */ ([stdin, 'pipe', 'pipe', collectable ? 'pipe' : 'ignore']);
  const child = spawn(command, args, { env: { ...ownEnvironment, ...env }, stdio: [...stdio] });
  const { stdout } = child;
  const collected = child.stdio[3];
  let stderr = '';
  child.stderr?.on('data', (chunk) => (stderr = (stderr + chunk).slice(-stderrLength)));
  const exited = new Promise((resolve) => {
    child.once('exit', resolve);
    child.once('error', resolve);
  });
  const { pid } = child;
  if (pid === undefined || stdout === null) throw new Error(`cannot run ${command}`);

  /** @type {Promise<void> | undefined} */
  let ended;
  const end = () => {
    ended ??= (async () => {
      child.kill('SIGTERM');
      const startTimeout = setTimeout(() => child.kill('SIGKILL'), endTimeoutMs);
      await exited;
      clearTimeout(startTimeout);
      endings.delete(end);
    })();
    return ended;
  };
  endings.add(end);

  async function collectGarbage() {
    if (!(collected instanceof Readable)) throw new Error(`${line} was not started to collect garbage when told`);
    child.kill('SIGUSR2');
    await once(collected, 'data', { signal: AbortSignal.timeout(collectTimeoutMs) });
  }

  /** @type {NodeJS.Timeout | undefined} */
  let startTimeout;
  try {
    const ready = await new Promise((resolve, reject) => {
      // Goes on reading after the first line, so that the process never waits for us.
      const lines = createInterface({ input: stdout });
      lines.on('line', () => {});
      if (port === undefined) lines.once('line', (first) => resolve(JSON.parse(first)));
      else void untilListening(port, () => child.exitCode === null).then(() => resolve({}));
      const fail = (/** @type {string} */ what) => reject(new Error(`${line} ${what}\n${stderr}`));
      void exited.then(() => fail('ended before it was ready'));
      startTimeout = setTimeout(() => fail(`was not ready within ${readyTimeoutMs} ms`), readyTimeoutMs);
    });
    return { pid, startedAt, ready, collectGarbage, end };
  } catch (error) {
    await end();
    throw error;
  } finally {
    clearTimeout(startTimeout);
  }
}

/** Ends everything that is still running. */
export async function endAll() {
  await Promise.all([...endings].map((end) => end()));
}

/** Settings of the user's own would change what is measured. */
const ownEnvironment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('MCP_EXPOSE_') && name !== 'NODE_OPTIONS'),
);

/**
 * @param {number} port
 * @param {() => boolean} isWanted
 */
async function untilListening(port, isWanted) {
  while (isWanted()) {
    // One after the other: the next only when this one is refused.
    /* oxlint-disable no-await-in-loop */
    if (await canConnect(port)) return;
    await new Promise((resolve) => setTimeout(resolve, portIntervalMs));
    /* oxlint-enable no-await-in-loop */
  }
}

/** @param {number} port @returns {Promise<boolean>} */
function canConnect(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}
