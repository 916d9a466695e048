// Starts what is measured, reads from /proc what it has used, and ends it. Nothing started here outlives the bench.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** How long a process may take to say that it is ready, and to end when asked, in milliseconds. */
const readyTimeoutMs = 20_000;
const endTimeoutMs = 8000;

/** As much of a process's standard error as is shown when it fails. */
const stderrLength = 2000;

/**
 * @typedef {object} Running
 * @property {number} pid
 * @property {number} startedAt when it was started, as `performance.now()`
 * @property {Record<string, unknown>} ready its first line of output
 * @property {() => Promise<void>} end ends it; resolves when it is gone
 */

/** @type {Set<() => Promise<void>>} */
const endings = new Set();

/**
 * Runs a Node program and waits for its first line of output, a JSON object.
 * @param {readonly string[]} args
 * @returns {Promise<Running>}
 */
export async function startNode(args) {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { env: ownEnvironment, stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr = (stderr + chunk).slice(-stderrLength)));
  const exited = new Promise((resolve) => {
    child.once('exit', resolve);
    child.once('error', resolve);
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot run ${process.execPath}`);

  /** @type {Promise<void> | undefined} */
  let ended;
  const end = () => {
    ended ??= (async () => {
      child.kill('SIGTERM');
      const impatience = setTimeout(() => child.kill('SIGKILL'), endTimeoutMs);
      await exited;
      clearTimeout(impatience);
      endings.delete(end);
    })();
    return ended;
  };
  endings.add(end);

  /** @type {NodeJS.Timeout | undefined} */
  let impatience;
  try {
    const ready = await new Promise((resolve, reject) => {
      // Goes on reading after the first line, so that the process never waits for us.
      createInterface({ input: child.stdout }).once('line', (line) => resolve(JSON.parse(line)));
      const fail = (/** @type {string} */ what) => reject(new Error(`node ${args.join(' ')} ${what}\n${stderr}`));
      void exited.then(() => fail('ended before it was ready'));
      impatience = setTimeout(() => fail(`was not ready within ${readyTimeoutMs} ms`), readyTimeoutMs);
    });
    return { pid, startedAt, ready, end };
  } catch (error) {
    await end();
    throw error;
  } finally {
    clearTimeout(impatience);
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
 * CPU time that a process has used in all its threads, in microseconds; not that of its children. The scheduler counts
 * nanoseconds per thread, where /proc/PID/stat has ticks of 10 ms. Node's threads live as long as the process.
 * @param {number} pid
 */
export function cpuMicroseconds(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const used = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return used.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1000;
}

/** Resident memory of a process, in MiB. @param {number} pid */
export function residentMebibytes(pid) {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) / 1024;
}
