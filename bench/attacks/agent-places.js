// Agents with a key each that take every place for agents, and come back as soon as they are sent away.
import { runAttack } from './attack.js';
import { joinAsStranger } from './strange-agent.js';

const places = 1200;
const atATime = 50;

let open = 0;
await runAttack({
  perSecond: 100,
  begin: async (attack) => {
    for (let begun = 0; begun < places; begun += atATime) {
      // oxlint-disable-next-line no-await-in-loop
      await Promise.all(Array.from({ length: atATime }, () => join(attack)));
    }
  },
  strike: (attack) => (open < places ? join(attack) : undefined),
});

/** @param {import('./attack.js').Attack} attack */
async function join({ url, origin, count }) {
  open += 1;
  const { socket, answer } = await joinAsStranger(url, { origin });
  count(answer);
  const gone = () => (open -= 1);
  if (answer === 'welcome') socket.once('close', gone);
  else gone();
}
