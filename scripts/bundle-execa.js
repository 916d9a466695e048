// Replaces dist/bridge/upstream/execa.js, which imports execa, by a bundle of execa and all that it needs, and writes
// the licences of what is in it beside it. Run by `npm run build` after tsc.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { rolldown } from 'rolldown';

const file = 'dist/bridge/upstream/execa.js';
const licencesFile = 'dist/third-party-licences.txt';

const bundle = await rolldown({ input: file, platform: 'node', logLevel: 'warn' });
const { output } = await bundle.write({ file, format: 'esm' });
await bundle.close();

/** Folders of the packages whose files are in the bundle. */
const folders = new Set(
  output
    .flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []))
    .flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id) ?? []),
);
const licences = [...folders].toSorted().map((folder) => {
  const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const licence = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (licence === undefined) throw new Error(`${name} is to be bundled and has no licence file`);
  return `${name} ${version}\n\n${readFileSync(join(folder, licence), 'utf8').trim()}\n`;
});
writeFileSync(licencesFile, `mcp-expose contains these packages.\n\n${licences.join('\n----\n\n')}`);
