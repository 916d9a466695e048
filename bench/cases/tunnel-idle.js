import { fileURLToPath } from 'node:url';

import { startNode } from '../processes.js';
import { cpuMicroseconds, neededKibibytes } from '../readings.js';

const warmUpAgents = 100;
const agents = 2000;
/** They share a process, which has to be ready within the time that any process has. */
const agentsAtATime = 500;

/** So long V8 still gives back what joining took, with collections that heartbeats do not cause, in milliseconds. */
const settleMs = 60_000;

/** Four pings of every agent, in milliseconds: a multiple of the intervals of both ends. */
const heartbeatsMs = 60_000;

const scriptOf = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}`, import.meta.url));

/**
 * What agents cost a relay that nobody calls: resident memory after forced collections, and CPU time.
 * @type {import('../row.js').Case}
 */
export const tunnelIdle = {
  name: 'tunnel-idle',
  async run({ note }) {
    const relay = await startNode([scriptOf('relay.js'), String(warmUpAgents + agents)], { collectable: true });
    const join = (/** @type {number} */ count) =>
      startNode([scriptOf('idle-agents.js'), String(relay.ready['url']), String(count)]);
    const first = await join(warmUpAgents);
    const before = await neededKibibytes(relay);
    const processes = [first];
    for (let joined = 0; joined < agents; joined += agentsAtATime) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      processes.push(await join(agentsAtATime));
    }
    const after = await neededKibibytes(relay);
    note(`${(before / 1024).toFixed(1)} MiB before, ${(after / 1024).toFixed(1)} MiB after`);
    await pause(settleMs);
    const cpuBefore = cpuMicroseconds(relay.pid);
    await pause(heartbeatsMs);
    const cpu = cpuMicroseconds(relay.pid) - cpuBefore;
    // At once: otherwise the ones that are left would notice.
    await Promise.all(processes.map(({ end }) => end()));
    await relay.end();
    return [
      {
        what: 'relay: memory per idle agent',
        unit: 'KiB',
        ours: (after - before) / agents,
        limit: { of: 'ours', max: 64 },
      },
      {
        what: `relay: heartbeats of ${agents} agents, CPU`,
        unit: '%',
        ours: (cpu / 1000 / heartbeatsMs) * 100,
        limit: { of: 'ours', max: 2 },
      },
    ];
  },
};

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
