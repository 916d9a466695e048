import { openConnection } from '../connection.js';
import { initialize } from '../load.js';
import { median } from '../median.js';
import { columnsOf, inTurn } from '../rounds.js';
import { floor, ours } from '../subjects.js';

const runs = 15;

/**
 * From the start of the process to the first answered `initialize`, sent as soon as the process says that it is ready.
 * @type {import('../row.js').Case}
 */
export const start = {
  name: 'start',
  async run({ peers, note }) {
    const outcome = await inTurn([floor, ours, ...peers], runs, async (subject) => {
      // The first only brings the files into the system's cache.
      await startOnce(subject);
      return { measure: () => startOnce(subject) };
    });
    note(`floor ${range(outcome.floor)}, ours ${range(outcome.ours)}`);
    return [
      {
        what: 'start to first initialize',
        unit: 'ms',
        ...columnsOf(outcome, median),
        limit: { of: 'ratio', max: 2 },
      },
    ];
  },
};

/** @param {import('../subjects.js').Subject} subject @returns {Promise<number>} milliseconds */
async function startOnce(subject) {
  const bridge = await subject.start();
  const connection = openConnection(bridge);
  await initialize(bridge, connection);
  const tookMs = performance.now() - bridge.startedAt;
  connection.close();
  await bridge.end();
  return tookMs;
}

/** @param {readonly number[]} times */
function range(times) {
  return `${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)} ms`;
}
