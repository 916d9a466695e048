// Measures mcp-expose against a floor in the same run:
//
//     npm run build && node bench/run.js [--peers <folder>] [--markdown] [case…]
//
// --peers measures in the same rounds the other bridges that are installed in a folder, see subjects.js.
// --markdown prints the table as a page would hold it.
// Exit code 1 when a limit is missed, 2 when a measurement failed or could not be made.
import { existsSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';

import { access } from './cases/access.js';
import { calls } from './cases/calls.js';
import { eras } from './cases/eras.js';
import { memory } from './cases/memory.js';
import { argument, latency, progressCalls, result } from './cases/one-kind.js';
import { open } from './cases/open.js';
import { start } from './cases/start.js';
import { tunnel } from './cases/tunnel.js';
import { tunnelFairness } from './cases/tunnel-fairness.js';
import { tunnelCut } from './cases/tunnel-cut.js';
import { tunnelIdle } from './cases/tunnel-idle.js';
import { tunnelTls } from './cases/tunnel-tls.js';
import { endAll } from './processes.js';
import { isMissed } from './row.js';
import { peersIn } from './subjects.js';
import { renderTable } from './table.js';

/** @typedef {import('./row.js').Row} Row */

const ofBridge = [calls, eras, access, latency, result, argument, progressCalls, open, start, memory];
const ofTunnel = [tunnel, tunnelTls, tunnelFairness, tunnelIdle, tunnelCut];
const cases = [...ofBridge, ...ofTunnel];

process.exitCode = await main();

async function main() {
  /** @type {ReturnType<typeof readArguments>} */
  let args;
  try {
    args = readArguments();
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
  const { names, peers, markdown } = args;
  const unknown = names.find((name) => !cases.some((each) => each.name === name));
  if (unknown !== undefined)
    return refuse(`no case ${unknown}, there are: ${cases.map(({ name }) => name).join(', ')}`);
  if (process.platform !== 'linux') return refuse('it reads /proc, which only Linux has');
  if (!existsSync(new URL('../dist/cli/main.js', import.meta.url))) return refuse('nothing is built: npm run build');

  let interrupted = false;
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.once(signal, () => {
      interrupted = true;
      void endAll().then(() => process.exit(2));
    });
  }
  const [cpu] = cpus();
  const gibibytes = (totalmem() / 1024 ** 3).toFixed(0);
  console.log(`${cpus().length} × ${cpu?.model.trim()}, ${gibibytes} GiB, Node ${process.version}\n`);
  try {
    const chosen = cases.filter(({ name }) => names.length === 0 || names.includes(name));
    /** @type {Row[]} */
    const rows = [];
    for (const each of chosen) {
      // One after the other: they would disturb each other. Notes go where they do not stand in a page.
      // oxlint-disable-next-line no-await-in-loop
      rows.push(...(await each.run({ peers, note: (text) => console.error(`${each.name}: ${text}`) })));
    }
    console.log(renderTable(rows, { peers: peers.map(({ name }) => name), markdown }));
    return rows.some(isMissed) ? 1 : 0;
  } catch (error) {
    // What is ended in the middle of a call fails, of course.
    if (!interrupted) console.error(error);
    return 2;
  } finally {
    await endAll();
  }
}

/** @throws when there is an option that does not exist, or a folder without the peers */
function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { peers: { type: 'string' }, markdown: { type: 'boolean', default: false } },
  });
  return {
    names: positionals,
    peers: values.peers === undefined ? [] : peersIn(values.peers),
    markdown: values.markdown,
  };
}

/** @param {string} reason */
function refuse(reason) {
  console.error(`bench: error: ${reason}`);
  return 2;
}
