/**
 * One measurement of ours beside the floor's in the same run.
 * @typedef {object} Row
 * @property {string} what
 * @property {string} unit
 * @property {number} floor
 * @property {number} ours
 * @property {{ of: 'ratio' | 'ours', max: number }} [limit] of ours to the floor, or of ours alone
 */

/**
 * @typedef {object} Case
 * @property {string} name what it is called on the command line
 * @property {(context: { note: (text: string) => void }) => Promise<Row[]>} run `note` prints above the table
 */

/** @param {Row} row */
export function ratioOf({ floor, ours }) {
  return ours / floor;
}

/** @param {Row} row */
export function isOver(row) {
  return row.limit !== undefined && (row.limit.of === 'ratio' ? ratioOf(row) : row.ours) > row.limit.max;
}
