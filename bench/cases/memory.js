import { connect } from '../load.js';
import { residentMebibytes } from '../processes.js';
import { floor, ours } from '../subjects.js';

const fewCalls = 1000;
const manyCalls = 10_000;

/** Memory is given back some time after the last call: the lowest of several readings counts. */
const readings = 20;
const readingIntervalMs = 500;

/**
 * How much more resident memory a bridge holds, once idle, after many calls than after few.
 * @type {import('../row.js').Case}
 */
export const memory = {
  name: 'memory',
  async run({ note }) {
    // Side by side: memory, unlike time, is not disturbed by what else runs.
    const [floorUse, ourUse] = await Promise.all([measure(floor), measure(ours)]);
    note(`floor ${describe(floorUse)}`);
    note(`ours ${describe(ourUse)}`);
    return [
      {
        what: `idle memory after ${fewCalls} calls`,
        unit: 'MiB',
        floor: floorUse.afterFew,
        ours: ourUse.afterFew,
      },
      {
        what: `its growth until ${manyCalls} calls`,
        unit: 'MiB',
        floor: floorUse.afterMany - floorUse.afterFew,
        ours: ourUse.afterMany - ourUse.afterFew,
        limit: { of: 'ours', max: 10 },
      },
    ];
  },
};

/** @param {import('../subjects.js').Subject} subject */
async function measure(subject) {
  const bridge = await subject.start();
  const client = await connect(bridge);
  const atStart = residentMebibytes(bridge.pid);
  await client.call(fewCalls);
  const afterFew = await idleMebibytes(bridge.pid);
  await client.call(manyCalls - fewCalls);
  const afterMany = await idleMebibytes(bridge.pid);
  client.close();
  await bridge.end();
  return { atStart, afterFew, afterMany };
}

/** @param {number} pid */
async function idleMebibytes(pid) {
  let lowest = residentMebibytes(pid);
  for (let reading = 0; reading < readings; reading++) {
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => setTimeout(resolve, readingIntervalMs));
    lowest = Math.min(lowest, residentMebibytes(pid));
  }
  return lowest;
}

/** @param {Awaited<ReturnType<typeof measure>>} use */
function describe({ atStart, afterFew, afterMany }) {
  const [start, few, many] = [atStart, afterFew, afterMany].map((value) => value.toFixed(1));
  return `${start} MiB at the start, ${few} after ${fewCalls} calls, ${many} after ${manyCalls}`;
}
