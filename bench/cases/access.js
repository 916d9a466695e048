import { join } from 'node:path';

import { median } from '../median.js';
import { inTurn } from '../rounds.js';
import { ours } from '../subjects.js';
import { temporaryFolder } from '../temporary-folder.js';
import { createMeter } from './calls.js';

const rounds = 9;

/** Ours with further options. @param {string} name @param {readonly string[]} options @returns {import('../subjects.js').Subject} */
const withOptions = (name, options) => ({ name, start: (given) => ours.start({ ...given, options }) });

/**
 * What it costs to know the caller, and to restrict, count and record what it does: ours against itself without any of it.
 * @type {import('../row.js').Case}
 */
export const access = {
  name: 'access',
  async run() {
    const folder = temporaryFolder();
    const open = withOptions('open', ['--no-auth']);
    const rules = ['--deny-tool', 'nothing', '--deny-resource', 'nothing', '--max-calls', '999999999'];
    const all = withOptions('all', [...rules, '--audit', join(folder, 'audit.jsonl')]);
    const outcome = await inTurn([ours, open, all], rounds, createMeter);
    const cpuOf = (/** @type {import('../subjects.js').Subject} */ subject) =>
      median(outcome.of(subject).map(({ cpu }) => cpu));
    const row = (/** @type {string} */ what, /** @type {number} */ cpu, /** @type {number} */ max) => ({
      what,
      unit: 'µs',
      floor: cpuOf(open),
      ours: cpu,
      limit: /** @type {const} */ ({ of: 'ratio', max }),
    });
    return [
      row('CPU per call: a token, to none', cpuOf(ours), 1.03),
      row('rules, limits and audit, to none', cpuOf(all), 1.15),
    ];
  },
};
