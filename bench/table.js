import { isMissed, ratioOf } from './row.js';

/** @typedef {import('./row.js').Row} Row */

const firstWidth = 42;
const width = 13;

/** What cannot be told in a cell stands below the table. */
const marks = 'abcdefghijklmnopqrstuvwxyz';

/**
 * The results as a table for a terminal or, with `markdown`, for a page.
 * @param {readonly Row[]} rows
 * @param {{ peers: readonly string[], markdown: boolean }} options
 * @returns {string}
 */
export function renderTable(rows, { peers, markdown }) {
  /** @type {string[]} */
  const notes = [];
  const head = ['work', 'floor', 'ours', 'ratio', 'limit', '', ...peers];
  const body = rows.map((row) => [
    row.what,
    row.floor === undefined ? '' : [row.floorName, numberOf(row.floor, row.unit)].join(' ').trim(),
    numberOf(row.ours, row.unit),
    // A ratio to what may be zero or less says nothing.
    row.floor === undefined || row.limit?.of === 'ours' ? '' : ratioOf(row).toFixed(2),
    limitOf(row),
    row.limit === undefined ? '' : isMissed(row) ? 'missed' : 'ok',
    ...peers.map((peer) => {
      const value = row.peers?.get(peer);
      if (value === undefined) return '';
      if (typeof value === 'number') return numberOf(value, row.unit);
      notes.push(`${peer}, ${row.what}: ${value}`);
      return `failed (${marks[notes.length - 1]})`;
    }),
  ]);
  const lines = markdown
    ? [head, ['---', ...head.slice(1).map(() => '--:')], ...body].map((cells) => `| ${cells.join(' | ')} |`)
    : [head, ...body].map(([first = '', ...cells]) =>
        [first.padEnd(firstWidth), ...cells.map((cell, at) => cell.padStart(widthOf(head[at + 1])))].join('').trimEnd(),
      );
  const explained = notes.map((note, at) => `${markdown ? '- ' : ''}(${marks[at]}) ${note}`);
  return [...lines, ...(notes.length > 0 ? ['', ...explained] : [])].join('\n');
}

/** @param {string | undefined} title */
function widthOf(title = '') {
  return Math.max(width, title.length + 2);
}

/** @param {Row} row */
function limitOf({ limit, unit }) {
  if (limit === undefined) return '';
  const of = limit.of === 'ratio' ? '×' : ` ${unit}`;
  return 'max' in limit ? `≤ ${limit.max}${of}` : `≥ ${limit.min}${of}`;
}

/** Three digits or more, of what is not zero. @param {number} value @param {string} unit */
function numberOf(value, unit) {
  const digits = value === 0 || Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit.startsWith('/') ? unit : ` ${unit}`}`;
}
