import { connect } from '../load.js';
import { median } from '../median.js';
import { cpuMicroseconds } from '../readings.js';
import { inTurn, listOf } from '../rounds.js';
import { ours } from '../subjects.js';
import { viaRelayOverTls } from '../tunnels.js';
import { largeArgument, largeResult } from '../works.js';

const warmUpMs = 1500;
const rounds = 7;
const roundMs = 700;

/** What the process still does when the last answer is out belongs to the calls: it gets this long, in milliseconds. */
const afterworkMs = 50;

const kinds = [
  { what: 'agent CPU per MiB of results, TLS', work: largeResult },
  { what: 'agent CPU per MiB of arguments, TLS', work: largeArgument },
];

/**
 * What the sharer's machine pays for the tunnel: the CPU time of the agent behind a wss: URL, beside that of the same program
 * without a tunnel. The relay's, the server's and that of the proxy that terminates TLS do not count.
 * @type {import('../row.js').Case}
 */
export const tunnelTls = {
  name: 'tunnel-tls',
  async run({ note }) {
    /** @type {import('../row.js').Row[]} */
    const rows = [];
    for (const { what, work } of kinds) {
      // oxlint-disable-next-line no-await-in-loop -- they would disturb each other
      const outcome = await inTurn([viaRelayOverTls, ours], rounds, (subject) => createMeter(subject, work));
      const [overTls, without] = [outcome.of(viaRelayOverTls), outcome.of(ours)];
      note(`${what} in ms: ${listOf(overTls)}, no tunnel: ${listOf(without)}`);
      const limit = /** @type {const} */ ({ of: 'ratio', max: 2 });
      rows.push({ what, unit: 'ms', floor: median(without), floorName: 'no tunnel', ours: median(overTls), limit });
    }
    return rows;
  },
};

/**
 * @param {import('../subjects.js').Subject} subject
 * @param {import('../load.js').Work} work of 1 MiB
 */
async function createMeter(subject, work) {
  const bridge = await subject.start();
  const client = await connect(bridge);
  await client.run(work, { inFlight: 1, ms: warmUpMs });
  return {
    async measure() {
      const before = cpuMicroseconds(bridge.pid);
      const { calls } = await client.run(work, { inFlight: 1, ms: roundMs });
      await new Promise((resolve) => setTimeout(resolve, afterworkMs));
      return (cpuMicroseconds(bridge.pid) - before) / 1000 / calls;
    },
    async end() {
      client.close();
      await bridge.end();
    },
  };
}
