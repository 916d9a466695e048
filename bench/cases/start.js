import { openConnection } from '../connection.js';
import { initialize } from '../load.js';
import { median } from '../median.js';
import { columnsOf, inTurn } from '../rounds.js';
import { floor, ours } from '../subjects.js';

const runs = 15;

/**
 * From the start of the process to the first answered `initialize`, sent as soon as the process says that it is ready. With the
 * defaults the process that waits for the client starts when the one that was asked what it is has ended, and the floor
 * does the same; with --warm 1 both start together, and the floor starts one.
 * @type {import('../row.js').Case}
 */
export const start = {
  name: 'start',
  async run({ peers, note }) {
    const byDefault = await measureStarts(peers, { describesFirst: true });
    const warm = await measureStarts([], { options: ['--warm', '1'] });
    note(`one process after the other: floor ${range(byDefault.floor)}, ours ${range(byDefault.ours)}`);
    note(`--warm 1: floor ${range(warm.floor)}, ours ${range(warm.ours)}`);
    const limit = { of: /** @type {const} */ ('ratio'), max: 2 };
    return [
      { what: 'start to first initialize', unit: 'ms', ...columnsOf(byDefault, median), limit },
      { what: 'the same with --warm 1', unit: 'ms', ...columnsOf(warm, median), limit },
    ];
  },
};

/**
 * @param {readonly import('../subjects.js').Subject[]} peers
 * @param {import('../subjects.js').StartOptions} options
 */
function measureStarts(peers, options) {
  return inTurn([floor, ours, ...peers], runs, async (subject) => {
    // The first only brings the files into the system's cache.
    await startOnce(subject, options);
    return { measure: () => startOnce(subject, options) };
  });
}

/**
 * @param {import('../subjects.js').Subject} subject
 * @param {import('../subjects.js').StartOptions} options
 * @returns {Promise<number>} milliseconds
 */
async function startOnce(subject, options) {
  const bridge = await subject.start(options);
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
