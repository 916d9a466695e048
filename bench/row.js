/**
 * One measurement of ours beside those of others in the same run.
 * @typedef {object} Row
 * @property {string} what
 * @property {string} unit
 * @property {number} [floor] absent where the floor does not do the same
 * @property {string} [floorName] what the floor is, where it is not the floor bridge
 * @property {number} ours
 * @property {Limit} [limit]
 * @property {ReadonlyMap<string, number | string>} [peers] by name; where there is no number, what happened instead
 */

/**
 * A bound of ours, or of its ratio to the floor.
 * @typedef {{ of: 'ratio' | 'ours' } & ({ max: number } | { min: number })} Limit
 */

/**
 * @typedef {object} Case
 * @property {string} name what it is called on the command line
 * @property {(context: Context) => Promise<Row[]>} run
 */

/**
 * @typedef {object} Context
 * @property {readonly import('./subjects.js').Subject[]} peers
 * @property {(text: string) => void} note prints above the table
 */

/** @param {Row} row NaN where there is no floor */
export function ratioOf({ floor = Number.NaN, ours }) {
  return ours / floor;
}

/** Whether a row breaks its limit. A measurement that is no number does, too. @param {Row} row */
export function isMissed(row) {
  const { limit } = row;
  if (limit === undefined) return false;
  const value = limit.of === 'ratio' ? ratioOf(row) : row.ours;
  return 'max' in limit ? !(value <= limit.max) : !(value >= limit.min);
}
