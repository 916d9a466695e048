import { once } from 'node:events';
import { connect as dial } from 'node:net';

import { openConnection } from '../connection.js';
import { connect, openSession } from '../load.js';
import { median } from '../median.js';
import { inTurn, listOf } from '../rounds.js';
import { viaRelay } from '../tunnels.js';
import { echo } from '../works.js';
import { typicalMicroseconds } from './one-kind.js';

/** @typedef {import('../subjects.js').Bridge} Bridge */

const warmUpMs = 2000;
const rounds = 7;
const roundMs = 700;

const downloadBytes = 100 * 1000 * 1000;

/** By then all that fits has gone as far as it can, or what was in flight has been dropped. */
const settleMs = 1500;

/**
 * A client that asks for 100 MB in one result and does not read them, beside one that makes small calls in another session:
 * what these wait, to what they wait without the other.
 * @type {import('../row.js').Case}
 */
export const tunnelFairness = {
  name: 'tunnel-fairness',
  async run({ note }) {
    const outcome = await inTurn([viaRelay], rounds, async (subject) => {
      const bridge = await subject.start({ options: ['--max-message', '128MiB'] });
      const client = await connect(bridge);
      const measure = async () => typicalMicroseconds(await client.run(echo, { inFlight: 1, ms: roundMs }));
      await client.run(echo, { inFlight: 1, ms: warmUpMs });
      return {
        async measure() {
          const idle = await measure();
          const endDownload = await stallDownload(bridge);
          const beside = await measure();
          await endDownload();
          return { idle, beside };
        },
        async end() {
          client.close();
          await bridge.end();
        },
      };
    });
    const idle = outcome.of(viaRelay).map((round) => round.idle);
    const beside = outcome.of(viaRelay).map((round) => round.beside);
    note(`idle in µs: ${listOf(idle)}, beside a stalled download: ${listOf(beside)}`);
    return [
      {
        what: 'call beside a stalled download, p50',
        unit: 'µs',
        floor: median(idle),
        floorName: 'idle',
        ours: median(beside),
        limit: { of: 'ratio', max: 2 },
      },
    ];
  },
};

/**
 * Asks for a large result and stops reading when it begins to come. Resolves when it stands still, with what ends it.
 * @param {Bridge} bridge
 */
async function stallDownload(bridge) {
  const first = openConnection(bridge);
  const session = await openSession(bridge, first);
  const socket = dial({ host: bridge.hostname, port: Number(bridge.port) });
  socket.on('error', () => {});
  const call = { name: 'big', arguments: { bytes: downloadBytes } };
  const message = JSON.stringify({ jsonrpc: '2.0', id: session.nextId(), method: 'tools/call', params: call });
  /** @type {import('../connection.js').Connection} */
  const unread = {
    async exchange(parts) {
      for (const part of parts) socket.write(part, 'latin1');
      const [head] = await once(socket, 'data');
      socket.pause();
      return { status: Number(String(head).split(' ', 2)[1]), header: () => undefined, body: head };
    },
    close: () => socket.destroy(),
  };
  const { status } = await session.post(unread, message);
  if (status !== 200) throw new Error(`the download was answered with ${status}`);
  await settle();
  return async () => {
    const { bytesRead, readyState } = socket;
    unread.close();
    await session.end(first);
    first.close();
    await settle();
    if (readyState !== 'open') throw new Error(`the download was ended after ${bytesRead} bytes`);
  };
}

function settle() {
  return new Promise((resolve) => setTimeout(resolve, settleMs));
}
