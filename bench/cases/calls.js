import { connect } from '../load.js';
import { median } from '../median.js';
import { cpuMicroseconds } from '../readings.js';
import { columnsOf, inTurn, listOf } from '../rounds.js';
import { floor, ours } from '../subjects.js';
import { echo } from '../works.js';

const inFlight = 32;

/** The compiler of the measured process has settled by then. */
const warmUpMs = 2000;
const rounds = 9;
const roundMs = 800;

/** What a process still does when the last answer is out belongs to the calls: it gets this long, in milliseconds. */
const afterworkMs = 50;

/**
 * Many short calls at a time. The CPU time is that of the bridge's process; its server's and the load generator's do not
 * count.
 * @type {import('../row.js').Case}
 */
export const calls = {
  name: 'calls',
  async run({ peers, note }) {
    const outcome = await inTurn([floor, ours, ...peers], rounds, createMeter);
    note(`CPU in µs, floor: ${listOf(outcome.floor.map(({ cpu }) => cpu))}`);
    note(`CPU in µs, ours: ${listOf(outcome.ours.map(({ cpu }) => cpu))}`);
    return [
      {
        what: `CPU per call, ${inFlight} in flight`,
        unit: 'µs',
        ...columnsOf(outcome, (results) => median(results.map(({ cpu }) => cpu))),
        limit: { of: 'ratio', max: 1.5 },
      },
      {
        what: `calls, ${inFlight} in flight`,
        unit: '/s',
        ...columnsOf(outcome, (results) => median(results.map(({ perSecond }) => perSecond))),
        limit: { of: 'ratio', min: 0.75 },
      },
    ];
  },
};

/** @param {import('../subjects.js').Subject} subject @param {'legacy' | 'modern'} [era] of the client */
export async function createMeter(subject, era) {
  const bridge = await subject.start();
  const client = await connect(bridge, era);
  await client.run(echo, { inFlight, ms: warmUpMs });
  return {
    async measure() {
      const before = cpuMicroseconds(bridge.pid);
      const tally = await client.run(echo, { inFlight, ms: roundMs });
      await new Promise((resolve) => setTimeout(resolve, afterworkMs));
      const cpu = (cpuMicroseconds(bridge.pid) - before) / tally.calls;
      return { cpu, perSecond: (tally.calls / tally.elapsedMs) * 1000 };
    },
    async end() {
      client.close();
      await bridge.end();
    },
  };
}
