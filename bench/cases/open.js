import { openConnection } from '../connection.js';
import { openSession } from '../load.js';
import { median } from '../median.js';
import { untilServersWait } from '../readings.js';
import { columnsOf, inTurn, listOf } from '../rounds.js';
import { ours, trivialChild } from '../subjects.js';
import { echo } from '../works.js';

const warmUps = 10;
const rounds = 40;

/** Servers that ours keeps started, so that a client does not wait for one. */
const spares = 4;

/**
 * What a client waits that comes, calls once and goes: `initialize`, `notifications/initialized`, a call and DELETE on
 * one connection. Each of our sessions has a server process of its own, taken from the spares; before each round there
 * is time to replace them. The floor has no sessions.
 * @type {import('../row.js').Case}
 */
export const open = {
  name: 'open',
  async run({ peers, note }) {
    const outcome = await inTurn([ours, ...peers], rounds, createMeter);
    note(`ours in ms, from the fastest: ${listOf(outcome.ours.toSorted((a, b) => a - b))}`);
    return [
      {
        what: 'open, call once, close, p50',
        unit: 'ms',
        ...columnsOf(outcome, median),
        limit: { of: 'ours', max: 5 },
      },
    ];
  },
};

/** @param {import('../subjects.js').Subject} subject */
async function createMeter(subject) {
  const bridge = await subject.start({ options: ['--warm', String(spares)] });
  const [, program] = trivialChild;

  async function measure() {
    await untilServersWait(bridge.pid, { program, atLeast: subject === ours ? spares : 0 });
    const connection = openConnection(bridge);
    const startedAt = performance.now();
    const session = await openSession(bridge, connection);
    await echo(session, connection);
    await session.end(connection);
    const tookMs = performance.now() - startedAt;
    connection.close();
    return tookMs;
  }

  for (let warmUp = 0; warmUp < warmUps; warmUp++) {
    // oxlint-disable-next-line no-await-in-loop
    await measure();
  }
  return { measure, end: bridge.end };
}
