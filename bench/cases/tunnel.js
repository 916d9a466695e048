import { connect } from '../load.js';
import { median } from '../median.js';
import { inTurn, listOf } from '../rounds.js';
import { viaProxy, viaRelay, viaSsh } from '../tunnels.js';
import { echo, largeArgument, largeResult, progress, progressSteps } from '../works.js';
import { megabytesPerSecond, perSecond, typicalMicroseconds } from './one-kind.js';

/** @typedef {import('../subjects.js').Subject} Subject */

/** As many of each before anything is measured: a slow one would be measured with code that is not compiled yet. */
const warmUpCalls = 20_000;
const warmUpMs = 1200;
const rounds = 7;
const roundMs = 500;
const inFlight = 32;

const subjects = [viaRelay, viaProxy, viaSsh];

/**
 * @type {readonly {
 *   what: string, unit: string, work: import('../load.js').Work, inFlight: number,
 *   valueOf: (tally: import('../load.js').Tally) => number, floor: Subject, limit: import('../row.js').Limit,
 * }[]}
 */
const kinds = [
  {
    what: 'tunnel: one call after the other, p50',
    unit: 'µs',
    work: echo,
    inFlight: 1,
    valueOf: typicalMicroseconds,
    floor: viaProxy,
    limit: { of: 'ratio', max: 1.3 },
  },
  {
    what: `tunnel: calls, ${inFlight} in flight`,
    unit: '/s',
    work: echo,
    inFlight,
    valueOf: perSecond,
    floor: viaProxy,
    limit: { of: 'ratio', min: 1 },
  },
  {
    what: 'tunnel: results of 1 MiB',
    unit: 'MB/s',
    work: largeResult,
    inFlight: 1,
    valueOf: megabytesPerSecond,
    floor: viaSsh,
    limit: { of: 'ratio', min: 0.9 },
  },
  {
    what: 'tunnel: arguments of 1 MiB',
    unit: 'MB/s',
    work: largeArgument,
    inFlight: 1,
    valueOf: megabytesPerSecond,
    floor: viaSsh,
    limit: { of: 'ratio', min: 0.9 },
  },
  {
    what: `tunnel: calls with ${progressSteps} progress each`,
    unit: '/s',
    work: progress,
    inFlight: 1,
    valueOf: perSecond,
    floor: viaProxy,
    limit: { of: 'ratio', min: 1.2 },
  },
];

/**
 * The speed of calls through our relay, beside those through a plain TCP reverse proxy and through `ssh -R`, each in front of
 * ours. All kinds of calls go through the same processes.
 * @type {import('../row.js').Case}
 */
export const tunnel = {
  name: 'tunnel',
  async run({ note }) {
    /** @type {Map<Subject, { bridge: import('../subjects.js').Bridge, client: import('../load.js').Client }>} */
    const started = new Map();
    /** @type {import('../row.js').Row[]} */
    const rows = [];
    /* oxlint-disable no-await-in-loop -- one at a time */
    for (const subject of subjects) {
      const bridge = await subject.start();
      const client = await connect(bridge);
      await client.run(echo, { inFlight, calls: warmUpCalls });
      started.set(subject, { bridge, client });
    }
    for (const { what, unit, work, inFlight: atATime, valueOf, floor, limit } of kinds) {
      const outcome = await inTurn(subjects, rounds, async (subject) => {
        const client = started.get(subject)?.client;
        if (client === undefined) throw new Error(`${subject.name} was not started`);
        await client.run(work, { inFlight: atATime, ms: warmUpMs });
        return { measure: async () => valueOf(await client.run(work, { inFlight: atATime, ms: roundMs })) };
      });
      for (const subject of subjects) note(`${what}, ${subject.name} in ${unit}: ${listOf(outcome.of(subject))}`);
      const valueIn = (/** @type {Subject} */ subject) => median(outcome.of(subject));
      rows.push({ what, unit, floor: valueIn(floor), floorName: floor.name, ours: valueIn(viaRelay), limit });
    }
    for (const { bridge, client } of started.values()) {
      client.close();
      await bridge.end();
    }
    /* oxlint-enable no-await-in-loop */
    return rows;
  },
};
