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

/** By then as much of it as fits is on its way. */
const settleMs = 5000;

const options = ['--max-message', '128MiB'];

/** @type {import('../subjects.js').Subject} */
const idle = { name: 'idle', start: () => viaRelay.start({ options }) };

/** With a client that asks for 100 MB in one result and reads only the beginning. @type {import('../subjects.js').Subject} */
const beside = {
  name: 'beside a stalled download',
  async start() {
    const bridge = await viaRelay.start({ options });
    const download = await stallDownload(bridge);
    return {
      ...bridge,
      async end() {
        await untilWhole(download);
        await bridge.end();
      },
    };
  },
};

/**
 * What small calls wait when another client of the same agent does not read its answer, to what they wait when there is none.
 * Each is measured in a tunnel of its own, in turn.
 * @type {import('../row.js').Case}
 */
export const tunnelFairness = {
  name: 'tunnel-fairness',
  async run({ note }) {
    const subjects = [idle, beside];
    const outcome = await inTurn(subjects, rounds, createMeter);
    for (const subject of subjects) note(`${subject.name} in µs: ${listOf(outcome.of(subject))}`);
    return [
      {
        what: 'call beside a stalled download, p50',
        unit: 'µs',
        floor: median(outcome.of(idle)),
        floorName: idle.name,
        ours: median(outcome.of(beside)),
        limit: { of: 'ratio', max: 2 },
      },
    ];
  },
};

/** @param {import('../subjects.js').Subject} subject */
async function createMeter(subject) {
  const bridge = await subject.start();
  const client = await connect(bridge);
  await client.run(echo, { inFlight: 1, ms: warmUpMs });
  return {
    measure: async () => typicalMicroseconds(await client.run(echo, { inFlight: 1, ms: roundMs })),
    async end() {
      client.close();
      await bridge.end();
    },
  };
}

/**
 * Asks for a large result in a session of its own, and stops reading when it begins to come. Resolves when it stands still.
 * @param {Bridge} bridge
 */
async function stallDownload(bridge) {
  const session = await openSession(bridge, openConnection(bridge));
  const socket = dial({ host: bridge.hostname, port: Number(bridge.port) });
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
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  return socket;
}

/** It was only waiting: reads the rest. @param {import('node:net').Socket} download */
async function untilWhole(download) {
  for await (const _ of download) if (download.bytesRead > downloadBytes) return;
  throw new Error(`the download ended after ${download.bytesRead} bytes`);
}
