// docs/tunnels.md, whose table is written from the capabilities in the code.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { tunnelsTable, withTable } from '../scripts/tunnels-table.js';
import { capabilities, type Capabilities } from '../src/tunnel/capabilities.ts';
import { defaultTunnelOrder, tunnelKinds } from '../src/tunnel/kinds.ts';

const page = readFileSync(new URL('../docs/tunnels.md', import.meta.url), 'utf8');
const ways: readonly Capabilities[] = Object.values(capabilities);

test('the table is the one that the code tells of; `npm run docs` writes it', () => {
  expect(page).toBe(withTable(page, tunnelsTable(ways)));
});

test('every way has a row, and no row is of none', () => {
  expect(new Set(ways.map(({ name }) => name))).toEqual(new Set(tunnelKinds));
});

test.each(tunnelKinds)('the page tells of %s', (kind) => {
  expect(page.match(new RegExp(`\\b${kind.replaceAll('.', String.raw`\.`)}\\b`, 'g'))?.length).toBeGreaterThan(1);
});

test('what auto tries stands there in its order', () => {
  const places = defaultTunnelOrder.map((kind) => page.indexOf(`\`${kind}\``, page.indexOf('## `auto`')));
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  expect(places).not.toContain(-1);
});

test('a table shows what there is to say of a way', () => {
  const way: Capabilities = {
    name: 'x',
    variant: 'of two',
    operator: 'somebody',
    needs: 'a program',
    account: 'needed',
    urlStable: 'with a name',
    expiresAfterMs: 120_000,
    getStreams: false,
    postStreams: false,
    maxIdleMs: 2000,
    maxBodyBytes: 3_000_000,
    maxConcurrent: 4,
    interstitial: { header: 'skip', value: '1' },
    readsTraffic: false,
    honoursProxy: true,
  };
  expect(tunnelsTable([way]).split('\n')[2]).toBe(
    '| `x` (of two) | somebody | no | a program | yes | with a name, ends after 2 minutes | buffered | requests of 3 MB, 4 requests at a time, streams that are silent for 2 s are closed; keep-alives prevent that | `skip: 1` | yes |',
  );
});
