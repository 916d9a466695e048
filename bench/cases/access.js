import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { median } from '../median.js';
import { inTurn } from '../rounds.js';
import { ours } from '../subjects.js';
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
    const folder = mkdtempSync(join(tmpdir(), 'mcp-expose-bench-'));
    const open = withOptions('open', ['--no-auth']);
    const rules = ['--deny-tool', 'nothing', '--deny-resource', 'nothing', '--max-calls', '999999999'];
    const all = withOptions('all', [...rules, '--audit', join(folder, 'audit.jsonl')]);
    try {
      const outcome = await inTurn([ours, open, all], rounds, createMeter);
      const cpuOf = (/** @type {string} */ name) => {
        const results = outcome.peers.get(name);
        if (results === undefined || typeof results === 'string') throw new Error(`${name}: ${results}`);
        return median(results.map(({ cpu }) => cpu));
      };
      const row = (/** @type {string} */ what, /** @type {number} */ cpu, /** @type {number} */ max) => ({
        what,
        unit: 'µs',
        floor: cpuOf('open'),
        ours: cpu,
        limit: /** @type {const} */ ({ of: 'ratio', max }),
      });
      return [
        row('CPU per call: a token, to none', median(outcome.ours.map(({ cpu }) => cpu)), 1.03),
        row('rules, limits and audit, to none', cpuOf('all'), 1.15),
      ];
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
