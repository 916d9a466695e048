// Names that are wished for and dropped at once, each by a key of its own: 40,000 a minute.
import { runAttack } from './attack.js';
import { joinAsStranger, leave } from './strange-agent.js';

const run = process.pid.toString(36);

let names = 0;
await runAttack({
  perSecond: 667,
  strike: async ({ url, origin, count }) => {
    const name = `stolen-${run}-${(names += 1)}`;
    const { socket, answer } = await joinAsStranger(url, { name, origin });
    count(answer);
    await leave(socket);
  },
});
