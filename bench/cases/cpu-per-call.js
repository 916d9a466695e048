import { connect, inFlight } from '../load.js';
import { median } from '../median.js';
import { cpuMicroseconds } from '../processes.js';
import { floor, ours } from '../subjects.js';

/** The compiler of the measured process has settled by then. */
const warmUpCalls = 10_000;
const rounds = 9;
const callsPerRound = 8000;

/** What a process still does when the last answer is out belongs to the calls: it gets this long, in milliseconds. */
const afterworkMs = 50;

/**
 * CPU time that the bridge's process uses per `tools/call`; that of its server and of the load generator does not count.
 * @type {import('../row.js').Case}
 */
export const cpuPerCall = {
  name: 'cpu-per-call',
  async run({ note }) {
    const [floorMeter, ourMeter] = await Promise.all([createMeter(floor), createMeter(ours)]);
    /** @type {number[]} */
    const floorCosts = [];
    /** @type {number[]} */
    const ourCosts = [];
    // One at a time, in turn: what disturbs the machine for a while disturbs both.
    /* oxlint-disable no-await-in-loop */
    for (let round = 0; round < rounds; round++) {
      floorCosts.push(await floorMeter.measure());
      ourCosts.push(await ourMeter.measure());
    }
    /* oxlint-enable no-await-in-loop */
    await Promise.all([floorMeter.end(), ourMeter.end()]);
    note(`floor, each round: ${list(floorCosts)}`);
    note(`ours, each round: ${list(ourCosts)}`);
    return [
      {
        what: `CPU per call, ${inFlight} in flight`,
        unit: 'µs',
        floor: median(floorCosts),
        ours: median(ourCosts),
        limit: { of: 'ratio', max: 2 },
      },
    ];
  },
};

/** @param {import('../subjects.js').Subject} subject */
async function createMeter(subject) {
  const bridge = await subject.start();
  const client = await connect(bridge);
  await client.call(warmUpCalls);
  return {
    async measure() {
      const before = cpuMicroseconds(bridge.pid);
      await client.call(callsPerRound);
      await new Promise((resolve) => setTimeout(resolve, afterworkMs));
      return (cpuMicroseconds(bridge.pid) - before) / callsPerRound;
    },
    async end() {
      client.close();
      await bridge.end();
    },
  };
}

/** @param {readonly number[]} values */
function list(values) {
  return values.map((value) => value.toFixed(1)).join(' ');
}
