import { openConnection } from '../connection.js';
import { connect, openSession } from '../load.js';
import { neededKibibytes } from '../readings.js';
import { columnsOf, inTurn } from '../rounds.js';
import { floor, idleChild, ours } from '../subjects.js';
import { echo } from '../works.js';

/** @typedef {import('../subjects.js').Bridge} Bridge */
/** @typedef {import('../row.js').Row} Row */

const inFlight = 32;

/** By then everything is compiled, and what is kept for later use is there. */
const warmUpCalls = 20_000;
const manyCalls = 100_000;

const warmUpSessions = 100;
const idleSessions = 200;
const warmUpDroppedSessions = 500;
const droppedSessions = 1000;

/**
 * What is compiled late, and pages that are not quite full, make so much. 40 bytes kept of each call would be twice it.
 */
const noGrowthOverCalls = 2048;

/** The same; a twelfth of what the dropped sessions would hold if none of them was forgotten. */
const noGrowthOverSessions = 4096;

/**
 * What a bridge keeps in memory: for a session that nobody uses, and when calls are answered and sessions forgotten.
 * Resident memory after forced collections; that of the servers does not count.
 * @type {import('../row.js').Case}
 */
export const memory = {
  name: 'memory',
  async run({ peers, note }) {
    const perSession = await inTurn([ours, ...peers], 1, async (subject) => ({
      measure: () => measureIdleSessions(subject),
    }));
    // Side by side: memory, unlike time, is not disturbed by what else runs.
    const [ofFloor, ofOurs] = await Promise.all([measureCalls(floor), measureCalls(ours)]);
    const [before, after] = await measureDroppedSessions();
    note(`dropped sessions: ${(before / 1024).toFixed(1)} MiB before, ${(after / 1024).toFixed(1)} MiB after`);
    return [
      {
        what: 'memory per idle session',
        unit: 'KiB',
        ...columnsOf(perSession, ([kibibytes = Number.NaN]) => kibibytes),
        limit: { of: 'ours', max: 64 },
      },
      {
        what: `memory after ${warmUpCalls} calls`,
        unit: 'MiB',
        floor: ofFloor.before / 1024,
        ours: ofOurs.before / 1024,
      },
      {
        what: `its growth over ${manyCalls} calls`,
        unit: 'KiB',
        floor: ofFloor.after - ofFloor.before,
        ours: ofOurs.after - ofOurs.before,
        limit: { of: 'ours', max: noGrowthOverCalls },
      },
      {
        what: `growth over ${droppedSessions} dropped sessions`,
        unit: 'KiB',
        ours: after - before,
        limit: { of: 'ours', max: noGrowthOverSessions },
      },
    ];
  },
};

/** @param {import('../subjects.js').Subject} subject @returns {Promise<number>} KiB per session */
async function measureIdleSessions(subject) {
  const options = ['--max-sessions', String(2 * (warmUpSessions + idleSessions))];
  const bridge = await subject.start({ server: idleChild, collectable: true, options });
  await leaveSessions(bridge, warmUpSessions);
  const before = await neededKibibytes(bridge);
  await leaveSessions(bridge, idleSessions);
  const after = await neededKibibytes(bridge);
  await bridge.end();
  return (after - before) / idleSessions;
}

/** @param {import('../subjects.js').Subject} subject @returns {Promise<{ before: number, after: number }>} KiB */
async function measureCalls(subject) {
  const bridge = await subject.start({ collectable: true });
  const client = await connect(bridge);
  await client.run(echo, { inFlight, calls: warmUpCalls });
  const before = await neededKibibytes(bridge);
  await client.run(echo, { inFlight, calls: manyCalls });
  const after = await neededKibibytes(bridge);
  client.close();
  await bridge.end();
  return { before, after };
}

/** More sessions than may be open: each new one takes the place of the one that was left longest ago. */
async function measureDroppedSessions() {
  const bridge = await ours.start({ server: idleChild, collectable: true });
  await leaveSessions(bridge, warmUpDroppedSessions);
  const before = await neededKibibytes(bridge);
  await leaveSessions(bridge, droppedSessions);
  const after = await neededKibibytes(bridge);
  await bridge.end();
  return /** @type {const} */ ([before, after]);
}

/**
 * Opens sessions, one after the other, as clients do that crash: they close their connection and no session.
 * @param {Bridge} bridge
 * @param {number} count
 */
async function leaveSessions(bridge, count) {
  for (let session = 0; session < count; session++) {
    const connection = openConnection(bridge);
    // oxlint-disable-next-line no-await-in-loop
    await openSession(bridge, connection);
    connection.close();
  }
}
