// Agents that connect and say nothing: the places for handshakes are taken, and taken again when the relay frees them.
import { runAttack } from './attack.js';
import { dial } from './strange-agent.js';

const places = 512;

await runAttack({
  perSecond: 102,
  begin: async (attack) => {
    await Promise.all(Array.from({ length: places }, () => open(attack)));
  },
  strike: open,
});

/** @param {import('./attack.js').Attack} attack */
async function open({ url, origin, count }) {
  const socket = dial(url, origin);
  await new Promise((resolve) => {
    socket.once('open', () => {
      count('open');
      resolve(undefined);
    });
    socket.once('close', () => {
      count('closed');
      resolve(undefined);
    });
  });
}
