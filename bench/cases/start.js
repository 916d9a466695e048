import { initialize } from '../load.js';
import { median } from '../median.js';
import { floor, ours } from '../subjects.js';

const runs = 15;

/**
 * From the start of the process to the first answered `initialize`, sent as soon as the process says that it is ready.
 * @type {import('../row.js').Case}
 */
export const start = {
  name: 'start',
  async run({ note }) {
    /** @type {number[]} */
    const floorTimes = [];
    /** @type {number[]} */
    const ourTimes = [];
    // One at a time. The first of each only brings the files into the system's cache.
    /* oxlint-disable no-await-in-loop */
    for (let run = 0; run <= runs; run++) {
      const [floorTime, ourTime] = [await startOnce(floor), await startOnce(ours)];
      if (run === 0) continue;
      floorTimes.push(floorTime);
      ourTimes.push(ourTime);
    }
    /* oxlint-enable no-await-in-loop */
    note(`floor ${range(floorTimes)}, ours ${range(ourTimes)}`);
    return [
      {
        what: 'start to first initialize',
        unit: 'ms',
        floor: median(floorTimes),
        ours: median(ourTimes),
        limit: { of: 'ratio', max: 2 },
      },
    ];
  },
};

/** @param {import('../subjects.js').Subject} subject @returns {Promise<number>} milliseconds */
async function startOnce(subject) {
  const bridge = await subject.start();
  await initialize(bridge);
  const tookMs = performance.now() - bridge.startedAt;
  await bridge.end();
  return tookMs;
}

/** @param {readonly number[]} times */
function range(times) {
  return `${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)} ms`;
}
