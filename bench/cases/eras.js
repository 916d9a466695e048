import { median } from '../median.js';
import { inTurn } from '../rounds.js';
import { floor, ours, trivialChild, trivialModernChild } from '../subjects.js';
import { createMeter } from './calls.js';

/** @typedef {import('../subjects.js').Subject} Subject */

const rounds = 9;

/** A bridge with this server. @param {Subject} bridge @param {string} name @param {import('../subjects.js').Server} server @returns {Subject} */
const withServer = (bridge, name, server) => ({ name, start: (given) => bridge.start({ ...given, server }) });

/**
 * What it costs that client and server are of the modern era, or of different ones.
 * @type {import('../row.js').Case}
 */
export const eras = {
  name: 'eras',
  async run() {
    const modernFloor = withServer(floor, 'floor', trivialModernChild);
    const [modern, toLegacy] = [
      withServer(ours, 'modern', trivialModernChild),
      withServer(ours, 'to legacy', trivialChild),
    ];
    const [legacy, toModern] = [
      withServer(ours, 'legacy', trivialChild),
      withServer(ours, 'to modern', trivialModernChild),
    ];
    const ofModernClients = new Set([modernFloor, modern, toLegacy]);
    const outcome = await inTurn([modernFloor, modern, toLegacy, legacy, toModern], rounds, (subject) =>
      createMeter(subject, ofModernClients.has(subject) ? 'modern' : 'legacy'),
    );
    const cpuOf = (/** @type {Subject} */ subject) => median(outcome.of(subject).map(({ cpu }) => cpu));
    const row = (/** @type {string} */ what, /** @type {Subject} */ reference, /** @type {Subject} */ subject) => ({
      what,
      unit: 'µs',
      floor: cpuOf(reference),
      ...(reference === modernFloor ? {} : { floorName: 'same era' }),
      ours: cpuOf(subject),
      limit: /** @type {const} */ ({ of: 'ratio', max: 1.5 }),
    });
    return [
      row('CPU per call: modern client and server', modernFloor, modern),
      row('modern client, legacy server', modern, toLegacy),
      row('legacy client, modern server', legacy, toModern),
    ];
  },
};
