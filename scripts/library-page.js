// Writes the reference of docs/library.md from the docstrings of the library: `npm run docs`. A test holds the page to it.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const page = new URL('../docs/library.md', import.meta.url);
const options = new URL('../src/expose/options.ts', import.meta.url);
const errors = new URL('../src/errors.ts', import.meta.url);
const begin = '<!-- Written by scripts/library-page.js. -->\n';

/** @param {string} text of the page @returns {string} the page with the reference as the docstrings have it now */
export function withReference(text) {
  const from = text.indexOf(begin);
  if (from === -1) throw new Error('docs/library.md has no place for the reference');
  const source = readFileSync(options, 'utf8');
  const codes = readFileSync(errors, 'utf8');
  return `${text.slice(0, from)}${begin}
## Options

\`signal\` aborts the start. The others are in groups:

${['server', 'access', 'tunnel', 'listen', 'output'].map((group) => optionGroup(source, group)).join('\n')}
## The returned object

${members(source, 'Exposed', '')}
\`tunnel\`:

${members(source, 'TunnelReport', '')}
\`identityProvider\`:

${members(source, 'IdentityProviderReport', '')}
Each of \`servers\`:

${members(source, 'ServerReport', '')}
## Events

\`output.onEvent\` is called with an object; its \`type\` is one of these.

| type | when | other members |
| --- | --- | --- |
${events(source)}

## Errors

\`expose()\` rejects with an \`ExposeError\`: \`message\`, \`hints\` (what to do), \`exitCode\` (of the command line) and \`code\`, one of
${[...codes.matchAll(/^ {2}(\w+): \d,$/gm)].map(([, code]) => `\`${code}\``).join(', ')}.
[Errors](errors.md) explains each.
`;
}

function optionGroup(source, group) {
  const name = `${group.slice(0, 1).toUpperCase()}${group.slice(1)}Options`;
  const [, about = ''] = new RegExp(String.raw`/\*\* (.*?) \*/\nexport interface ${name} `).exec(source) ?? [];
  return `### \`${group}\`\n\n${about}\n\n${members(source, name, `${group}.`)}`;
}

/** A row for each member of an interface. */
function members(source, name, prefix) {
  const start = source.indexOf(`export interface ${name} {`);
  const body = source.slice(start, source.indexOf('\n}\n', start));
  const rows = [
    ...body.matchAll(/(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?^ {2}(?:readonly )?(\w+)\??(?:: ([^;]*)|(\([^;]*));/gm),
  ].map(
    ([, comment = '', member, type, signature]) =>
      `| \`${prefix}${member}\` | \`${typeText(type ?? signature)}\` | ${sentence(comment)} |\n`,
  );
  return `| name | type | |\n| --- | --- | --- |\n${rows.join('')}`;
}

function typeText(type) {
  return type
    .replaceAll('readonly ', '')
    .replace(/ \| undefined$/, '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll('|', String.raw`\|`);
}

function sentence(comment) {
  return comment
    .replaceAll(/\s*\n\s*\*\s*/g, ' ')
    .trim()
    .replaceAll('|', String.raw`\|`);
}

/** Members of the types that events include. */
const includedMembers = new Map([
  ['Attempt', 'provider outcome reason?'],
  [
    'RequestReport',
    'caller client? clientInfo? session? method tool? resource? prompt? task? outcome code? reason? durationMs requestBytes responseBytes',
  ],
  ['ApprovalReport', 'outcome reason? server? tool caller client? clientInfo waitedMs'],
]);

function events(source) {
  const start = source.indexOf('export type ExposeEvent =');
  const union = source.slice(start, source.indexOf('\n\n', start));
  return [...union.matchAll(/\/\*\* (.*?) \*\/\s*\| \(?\{([^}]*)\}(?: & (\w+)\))?/g)]
    .map(([, when, body, more]) => {
      const names = [...body.matchAll(/readonly (\w+)(\??):/g)].map(([, name, mark]) => `\`${name}${mark}\``);
      const type = /type: '(\w+)'/.exec(body)?.[1] ?? '';
      const others = includedMembers.get(more)?.split(' ') ?? [];
      return `| \`${type}\` | ${when} | ${[...names.slice(1), ...others.map((name) => `\`${name}\``)].join(', ')} |`;
    })
    .join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(page, withReference(readFileSync(page, 'utf8')));
}
