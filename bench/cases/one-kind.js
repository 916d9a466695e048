import { connect } from '../load.js';
import { median } from '../median.js';
import { cpuMicroseconds } from '../readings.js';
import { columnsOf, inTurn, listOf } from '../rounds.js';
import { floor, ours } from '../subjects.js';
import { echo, largeArgument, largeBytes, largeResult, progress, progressSteps } from '../works.js';

const warmUpMs = 1500;
const rounds = 7;
const roundMs = 700;

/** @typedef {import('../load.js').Tally} Tally */

/**
 * A case that repeats one kind of call.
 * @param {object} options
 * @param {string} options.name
 * @param {string} options.what
 * @param {string} options.unit
 * @param {import('../load.js').Work} options.work
 * @param {number} options.inFlight
 * @param {(tally: Tally) => number} options.valueOf the result of a round
 * @param {import('../row.js').Limit} options.limit
 * @returns {import('../row.js').Case}
 */
function createCase({ name, what, unit, work, inFlight, valueOf, limit }) {
  return {
    name,
    async run({ peers, note }) {
      const outcome = await inTurn([floor, ours, ...peers], rounds, async (subject) => {
        const bridge = await subject.start();
        const client = await connect(bridge);
        await client.run(work, { inFlight, ms: warmUpMs });
        return {
          async measure() {
            const before = cpuMicroseconds(bridge.pid);
            const tally = await client.run(work, { inFlight, ms: roundMs });
            return { value: valueOf(tally), cpu: (cpuMicroseconds(bridge.pid) - before) / tally.calls };
          },
          async end() {
            client.close();
            await bridge.end();
          },
        };
      });
      for (const who of /** @type {const} */ (['floor', 'ours'])) {
        const results = outcome[who];
        const cpu = median(results.map((each) => each.cpu));
        note(`${who} in ${unit}: ${listOf(results.map(({ value }) => value))}, CPU per call ${cpu.toFixed(0)} µs`);
      }
      return [{ what, unit, ...columnsOf(outcome, (results) => median(results.map(({ value }) => value))), limit }];
    },
  };
}

export const megabytesPerSecond = (/** @type {Tally} */ { calls, elapsedMs }) =>
  (calls * largeBytes) / elapsedMs / 1000;
export const perSecond = (/** @type {Tally} */ { calls, elapsedMs }) => (calls / elapsedMs) * 1000;
export const typicalMicroseconds = (/** @type {Tally} */ { latencies }) => median(latencies) * 1000;

/** One short call after the other: what a client waits for each. */
export const latency = createCase({
  name: 'latency',
  what: 'one call after the other, p50',
  unit: 'µs',
  work: echo,
  inFlight: 1,
  valueOf: typicalMicroseconds,
  limit: { of: 'ratio', max: 1.3 },
});

export const result = createCase({
  name: 'result',
  what: 'results of 1 MiB',
  unit: 'MB/s',
  work: largeResult,
  inFlight: 1,
  valueOf: megabytesPerSecond,
  limit: { of: 'ratio', min: 0.8 },
});

export const argument = createCase({
  name: 'argument',
  what: 'arguments of 1 MiB',
  unit: 'MB/s',
  work: largeArgument,
  inFlight: 1,
  valueOf: megabytesPerSecond,
  limit: { of: 'ratio', min: 0.8 },
});

export const progressCalls = createCase({
  name: 'progress',
  what: `calls with ${progressSteps} progress each`,
  unit: '/s',
  work: progress,
  inFlight: 1,
  valueOf: perSecond,
  limit: { of: 'ratio', min: 0.8 },
});
