// Writes the table of docs/tunnels.md from the capabilities of the tunnels: `npm run build && npm run docs`. A test holds
// the page to it.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const page = new URL('../docs/tunnels.md', import.meta.url);
const begin = '<!-- Written by scripts/tunnels-table.js from src/tunnel/capabilities.ts. -->\n\n';
const end = '\n<!-- End of what is written. -->';

const columns = [
  ['`--tunnel`', nameOf],
  ['carried by', (way) => way.operator],
  ['can they read it?', (way) => (way.readsTraffic ? 'yes' : 'no')],
  ['needs', (way) => way.needs ?? 'nothing'],
  ['account', (way) => (way.account === 'needed' ? 'yes' : 'no')],
  ['same URL tomorrow', stabilityOf],
  ['event streams', streamsOf],
  ['limits', limitsOf],
  ['clients must send', (way) => (way.interstitial === undefined ? '' : headerOf(way.interstitial))],
  ['`HTTPS_PROXY`', (way) => (way.honoursProxy ? 'yes' : 'no')],
];

/**
 * @param {Iterable<import('../src/tunnel/capabilities.ts').Capabilities>} ways
 * @returns {string} a Markdown table, a row for each
 */
export function tunnelsTable(ways) {
  const rows = [...ways].map((way) => columns.map(([, cell]) => cell(way)));
  return [columns.map(([heading]) => heading), columns.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |\n`)
    .join('');
}

/** @param {string} text of the page @param {string} table @returns {string} the page with this table */
export function withTable(text, table) {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from === -1 || to === -1) throw new Error('docs/tunnels.md has no place for the table');
  return text.slice(0, from + begin.length) + table + text.slice(to);
}

function nameOf({ name, variant }) {
  return `\`${name}\`${variant === undefined ? '' : ` (${variant})`}`;
}

function stabilityOf({ urlStable, expiresAfterMs }) {
  const words = urlStable === true ? 'yes' : urlStable === false ? 'no' : urlStable;
  return expiresAfterMs === undefined ? words : `${words}, ends after ${expiresAfterMs / 60_000} minutes`;
}

function streamsOf({ postStreams, getStreams }) {
  if (postStreams && getStreams) return 'yes';
  return postStreams ? 'answers to POST only' : 'buffered';
}

function limitsOf({ maxBodyBytes, maxConcurrent, maxIdleMs }) {
  return [
    ...(maxBodyBytes === undefined ? [] : [`requests of ${Math.floor(maxBodyBytes / 1_000_000)} MB`]),
    ...(maxConcurrent === undefined ? [] : [`${maxConcurrent} requests at a time`]),
    ...(maxIdleMs === undefined
      ? []
      : [`streams that are silent for ${maxIdleMs / 1000} s are closed; keep-alives prevent that`]),
  ].join(', ');
}

function headerOf({ header, value }) {
  return `\`${header}: ${value}\``;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { capabilities } = await import('../dist/tunnel/capabilities.js');
  writeFileSync(page, withTable(readFileSync(page, 'utf8'), tunnelsTable(Object.values(capabilities))));
}
