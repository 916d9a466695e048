// Writes the table of docs/eras.md: `npm run docs`. test/e2e/era-table.test.ts proves each cell with a client and a server, and
// holds the page to this table.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * One cell: whether it works, and what a user should know besides. None: the server has no such thing.
 * @typedef {{ works: boolean, words?: string } | undefined} Cell
 */

/** @typedef {{ feature: string, cells: readonly [Cell, Cell, Cell, Cell] }} Row */

/** The columns: the era of the client and that of the server. */
export const pairs = /** @type {const} */ ([
  { client: 'legacy', server: 'legacy' },
  { client: 'legacy', server: 'modern' },
  { client: 'modern', server: 'legacy' },
  { client: 'modern', server: 'modern' },
]);

/** @param {string} [words] @returns {Cell} */
const yes = (words) => ({ works: true, words });
/** @param {string} words @returns {Cell} */
const no = (words) => ({ works: false, words });

/** @type {readonly Row[]} */
export const rows = [
  { feature: 'tools, resources, prompts', cells: [yes(), yes(), yes(), yes()] },
  { feature: 'a call that asks the user', cells: [yes(), yes(), yes(), yes()] },
  {
    feature: 'a call that asks several times, one after the other',
    cells: [yes(), yes('up to 10 rounds'), yes(), yes()],
  },
  { feature: 'a call that asks the user, the model and for the roots, at once', cells: [yes(), yes(), yes(), yes()] },
  {
    feature: 'a prompt that asks the user',
    cells: [yes(), yes(), yes(), yes()],
  },
  {
    feature: 'a question outside of a call',
    cells: [yes(), undefined, no('refused; roots: from `--root`, or asked with the next call'), undefined],
  },
  { feature: 'progress', cells: [yes(), yes(), yes(), yes()] },
  { feature: 'log messages that the client asks for', cells: [yes(), yes(), yes(), yes()] },
  {
    feature: 'log messages that nobody asked for',
    cells: [yes(), undefined, no('dropped: the revision forbids them'), undefined],
  },
  { feature: 'news of changed lists', cells: [yes(), yes(), yes(), yes()] },
  { feature: 'news of changed resources', cells: [yes(), yes(), yes(), yes()] },
  { feature: 'cancellation', cells: [yes(), yes(), yes(), yes()] },
  {
    feature: 'an answer that is picked up after the connection was lost',
    cells: [yes(), yes(), no('the revision has no such thing'), no('the revision has no such thing')],
  },
  { feature: 'output that is no object', cells: [undefined, yes('in a member `result`'), undefined, yes()] },
  {
    feature: 'how long a list may be cached',
    cells: [undefined, no('dropped: the era has no such thing'), no('not at all'), yes()],
  },
  {
    feature: 'tools that must run as a task',
    cells: [yes('the client has to know tasks'), undefined, yes('as a plain call, or as below'), undefined],
  },
  {
    feature: 'a call that becomes a task, for clients that know tasks',
    cells: [yes(), no('the call takes longer'), yes(), yes()],
  },
];

const page = new URL('../docs/eras.md', import.meta.url);
const begin = '<!-- Written by scripts/eras-table.js; test/e2e/era-table.test.ts proves it. -->\n\n';
const end = '\n<!-- End of what is written. -->';

/** @param {Cell} cell */
function show(cell) {
  if (cell === undefined) return '–';
  return [cell.works ? 'yes' : 'no', ...(cell.words === undefined ? [] : [cell.words])].join(': ');
}

/** @returns {string} the table in Markdown */
export function erasTable() {
  const head = ['', ...pairs.map(({ client, server }) => `${client} client, ${server} server`)];
  const body = rows.map(({ feature, cells }) => [feature, ...cells.map(show)]);
  return [head, head.map(() => '---'), ...body].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

/** @param {string} text of the page @returns {string} the page with the table */
export function withErasTable(text) {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from === -1 || to === -1) throw new Error('docs/eras.md has no place for the table');
  return text.slice(0, from + begin.length) + erasTable() + text.slice(to);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(page, withErasTable(readFileSync(page, 'utf8')));
}
