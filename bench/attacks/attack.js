// What the attacks have in common: `node bench/attacks/<attack>.js <url> [--origin <address>]` attacks until it is ended.
// The first line of its output says that it is under way, the last one what has come of it.
import { parseArgs } from 'node:util';

/** @typedef {{ url: string, origin: string | undefined, count: (what: string) => void }} Attack */

/** Strikes under way at a time: beyond that the machine is what slows them, and more would only slow it further. */
const maxUnderWay = 400;

/**
 * Runs an attack: `begin` once, then `strike` so often a second, late ones made up for while the machine can.
 * @param {{ perSecond: number, begin?: (attack: Attack) => Promise<void>, strike: (attack: Attack) => unknown }} plan
 */
export async function runAttack({ perSecond, begin, strike }) {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { origin: { type: 'string' } } });
  const [url] = positionals;
  if (url === undefined) throw new Error('the URL to attack is missing');
  /** @type {Map<string, number>} */
  const counts = new Map();
  const attack = {
    url,
    origin: values.origin,
    /** @param {string} what */
    count: (what) => void counts.set(what, (counts.get(what) ?? 0) + 1),
  };
  process.once('SIGTERM', () => {
    process.stdout.write(`${JSON.stringify(Object.fromEntries(counts))}\n`, () => process.exit(0));
  });
  await begin?.(attack);
  console.log(JSON.stringify({ event: 'ready' }));
  const startedAt = performance.now();
  let struck = 0;
  let underWay = 0;
  const strikeOnce = async () => {
    underWay += 1;
    await strike(attack);
    underWay -= 1;
  };
  setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1000);
    for (; struck < due; struck += 1) {
      if (underWay >= maxUnderWay) return;
      void strikeOnce();
    }
  }, 10);
}
