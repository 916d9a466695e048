// Replaces the files of dist that only export a package of others, by a bundle of that package and all that it needs, and
// writes the licences of what is in them beside them. Run by `npm run build` after tsc.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { rolldown } from 'rolldown';

const files = ['dist/platform/process/execa.js', 'dist/cli/commander.js'];
const licencesFile = 'dist/third-party-licences.txt';

/** Bundles the file in its place, and tells the modules that are in it. @param {string} file */
async function bundle(file) {
  const bundled = await rolldown({ input: file, platform: 'node', logLevel: 'warn' });
  // Names of classes and functions stand in messages of errors.
  const { output } = await bundled.write({ file, format: 'esm', minify: true, keepNames: true });
  await bundled.close();
  return output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []));
}

const modules = (await Promise.all(files.map(bundle))).flat();

/** Folders of the packages whose files are in the bundles. */
const folders = new Set(modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id) ?? []));
const licences = [...folders].toSorted().map((folder) => {
  const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const licence = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (licence === undefined) throw new Error(`${name} is to be bundled and has no licence file`);
  return `${name} ${version}\n\n${readFileSync(join(folder, licence), 'utf8').trim()}\n`;
});
writeFileSync(licencesFile, `mcp-expose contains these packages.\n\n${licences.join('\n----\n\n')}`);
