// Measures mcp-expose against a floor in the same run: `npm run build && node bench/run.js [case…]`.
// Exit code 1 when a limit is exceeded, 2 when a measurement failed or could not be made.
import { existsSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

import { cpuPerCall } from './cases/cpu-per-call.js';
import { memory } from './cases/memory.js';
import { start } from './cases/start.js';
import { endAll } from './processes.js';
import { isOver, ratioOf } from './row.js';

/** @typedef {import('./row.js').Row} Row */

const cases = [cpuPerCall, start, memory];

const columns = [30, 12, 12, 7, 12];

process.exitCode = await main(process.argv.slice(2));

/** @param {readonly string[]} names */
async function main(names) {
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
      // One after the other: they would disturb each other.
      // oxlint-disable-next-line no-await-in-loop
      rows.push(...(await each.run({ note: (text) => console.log(`${each.name}: ${text}`) })));
    }
    printTable(rows);
    return rows.some(isOver) ? 1 : 0;
  } catch (error) {
    // What is ended in the middle of a call fails, of course.
    if (!interrupted) console.error(error);
    return 2;
  } finally {
    await endAll();
  }
}

/** @param {readonly Row[]} rows */
function printTable(rows) {
  console.log(`\n${line(['case', 'floor', 'ours', 'ratio', 'limit'])}`);
  for (const row of rows) {
    const { what, unit, floor, ours, limit } = row;
    const shownLimit = limit === undefined ? '' : limit.of === 'ratio' ? `${limit.max}×` : `${limit.max} ${unit}`;
    // A ratio to what may be zero or less says nothing.
    const ratio = limit?.of === 'ours' ? '' : ratioOf(row).toFixed(2);
    const verdict = limit === undefined ? '' : isOver(row) ? 'over' : 'ok';
    console.log(
      `${line([what, `${floor.toFixed(1)} ${unit}`, `${ours.toFixed(1)} ${unit}`, ratio, shownLimit])}  ${verdict}`,
    );
  }
}

/** @param {readonly string[]} cells */
function line([first = '', ...others]) {
  const [width = 0, ...widths] = columns;
  return first.padEnd(width) + others.map((cell, at) => cell.padStart(widths[at] ?? 0)).join('');
}

/** @param {string} reason */
function refuse(reason) {
  console.error(`bench: error: ${reason}`);
  return 2;
}
