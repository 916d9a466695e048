import { startCuttingProxy } from '../cutting-proxy.js';
import { freePort } from '../free-port.js';
import { answerIn, connect } from '../load.js';
import { startTunnel } from '../tunnels.js';
import { largeBytes, progress } from '../works.js';

const cuts = 5;
const cutMs = 2000;
/** Before each cut: some calls have been answered since the last, and others are being answered. */
const connectedMs = 1500;
/** Of each kind. */
const inFlight = 4;

/**
 * The agent is cut off for 2 s in the middle of event streams and large results, again and again: how many calls fail, and how
 * many bytes of their answers are wrong.
 * @type {import('../row.js').Case}
 */
export const tunnelCut = {
  name: 'tunnel-cut',
  async run({ note }) {
    const relayPort = await freePort();
    const proxy = await startCuttingProxy(relayPort);
    const bridge = await startTunnel({ relayPort, url: `http://127.0.0.1:${proxy.port}` });
    const counts = { answered: 0, lost: 0, wrongBytes: 0 };
    /** @type {Set<string>} */
    const failures = new Set();
    const right = await largeTextOf(await connect(bridge));
    const over = new AbortController();

    /** @param {(client: import('../load.js').Client) => Promise<unknown>} callOnce */
    async function repeat(callOnce) {
      const client = await connect(bridge);
      /* oxlint-disable no-await-in-loop -- one after the other; the other kinds run beside it */
      while (!over.signal.aborted) {
        try {
          await callOnce(client);
          counts.answered += 1;
        } catch (error) {
          counts.lost += 1;
          failures.add(error instanceof Error ? error.message : String(error));
        }
      }
      /* oxlint-enable no-await-in-loop */
      client.close();
    }
    async function cutAgainAndAgain() {
      /* oxlint-disable no-await-in-loop -- one after the other */
      for (let cut = 0; cut < cuts; cut++) {
        await new Promise((resolve) => setTimeout(resolve, connectedMs));
        await proxy.cut(cutMs);
      }
      /* oxlint-enable no-await-in-loop */
      over.abort();
    }

    const each = Array.from({ length: inFlight });
    await Promise.all([
      cutAgainAndAgain(),
      ...each.map(() => repeat((client) => client.run(progress, { inFlight: 1, calls: 1 }))),
      ...each.map(() =>
        repeat(async (client) => {
          counts.wrongBytes += differences(await largeTextOf(client), right);
        }),
      ),
    ]);
    await bridge.end();
    proxy.close();
    note(`${counts.answered} calls answered, ${cuts} cuts with ${2 * inFlight} in flight`);
    for (const failure of failures) note(failure);
    const limit = /** @type {const} */ ({ of: 'ours', max: 0 });
    return [
      { what: 'tunnel: calls lost, cut off for 2 s', unit: 'calls', ours: counts.lost, limit },
      { what: 'tunnel: wrong bytes, cut off for 2 s', unit: 'bytes', ours: counts.wrongBytes, limit },
    ];
  },
};

/** The text of a result of 1 MiB. @param {import('../load.js').Client} client @returns {Promise<string>} */
async function largeTextOf(client) {
  let text = '';
  await client.run(
    async (session, connection) => {
      const params = `{"name":"big","arguments":{"bytes":${largeBytes}}}`;
      const call = `{"jsonrpc":"2.0","id":${session.nextId()},"method":"tools/call","params":${params}}`;
      text = answerIn(await session.post(connection, call)).result.content[0].text;
    },
    { inFlight: 1, calls: 1 },
  );
  return text;
}

/** @param {string} text @param {string} right */
function differences(text, right) {
  let count = Math.abs(text.length - right.length);
  for (let at = 0; at < Math.min(text.length, right.length); at++) if (text[at] !== right[at]) count++;
  return count;
}
