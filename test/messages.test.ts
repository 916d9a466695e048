// The style of everything that the sources say to a user or to a client: errors, hints, warnings and answers.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseAst } from 'rolldown/parseAst';
import { describe, expect, test } from 'vitest';
import { optionEntries } from '../src/expose/option-table.ts';
import { longOf } from '../src/expose/option-spec.ts';
import { projectRoot } from './harness/program.ts';

interface Text {
  readonly file: string;
  /** With `{}` for what a template fills in. */
  readonly text: string;
}

function textsOf(file: string): Text[] {
  const found: Text[] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { type, value, quasis } = node as {
      type?: string;
      value?: unknown;
      quasis?: { value: { cooked: string } }[];
    };
    if (type === 'Literal' && typeof value === 'string') found.push({ file, text: value });
    if (type === 'TemplateLiteral')
      found.push({ file, text: (quasis ?? []).map((part) => part.value.cooked).join('{}') });
    for (const child of Object.values(node)) visit(child);
  };
  visit(parseAst(readFileSync(path.join(projectRoot, 'src', file), 'utf8'), { lang: 'ts' }, file));
  return found;
}

/** What other programs print, by which it is recognised. */
const recognised =
  /^(?:Ready to accept|Connection to host tunnel|Registered tunnel|Updated to new|Error: remote port|: Too many auth)/;

const texts = readdirSync(path.join(projectRoot, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  .flatMap(textsOf);

/** The help and the pages for browsers have sentences. */
const pages = new Set([
  path.join('cli', 'program.ts'),
  path.join('cli', 'confirm.ts'),
  path.join('expose', 'oauth.ts'),
  ...['consent-page.ts', 'authorize-endpoint.ts', 'authorization-request.ts'].map((file) =>
    path.join('auth', 'oauth', file),
  ),
]);

/** Three words or more on one line. */
const messages = texts.filter(
  ({ file, text }) =>
    /[\w{}]+ [a-z{}]+ [\w{}]+/.test(text) && !text.includes('\n') && !recognised.test(text) && !pages.has(file),
);

const faults: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['begins with a capital letter', /^(?!(?:Cloudflare|Funnel|Pinggy|HTTP|PINGGY_TOKEN|Tailscale)\b)[A-Z]/],
  ['ends with a full stop', /\S\.$/],
  ['has two spaces', /\S {2}/],
  ['says Careful', /\bcareful\b/i],
  [
    'is inverted',
    /\bthere is no(?:ne|thing)? .*(?:of (?:this|that) name|here$)|\bis no (?:name|option|URL|folder|file)\b/,
  ],
  ['has "stand" for "be"', /\bstands? (?:here|there|behind|before|below|above|twice)\b/],
  ['says what there is', /\bwhat there is\b/],
  ['uses a word of its own', /\b(?:last words|its own accord|whom|anew|beside|bears?|twin|wish(?:ed)?)\b/],
  [
    'is not plain',
    /\b(?:leave|leaving) \S+ (?:out|away)\b|\btells? (?:how|more)\b|\bsay (?:--|what)|\bthe world calls\b|\bof ours\b/,
  ],
];

describe('no message', () => {
  test('was overlooked', () => {
    expect(messages.length).toBeGreaterThan(700);
    expect(messages.map(({ text }) => text)).toEqual(
      expect.arrayContaining([
        'no server specified',
        '{} did not answer within {} s',
        'the bearer token is not valid',
        'omit --no-auth, or add --allow-unauthenticated-public if everybody may use the server',
      ]),
    );
  });

  test.each(faults)('%s', (_what, pattern) => {
    expect(messages.filter(({ text }) => pattern.test(text))).toEqual([]);
  });
});

/** Said by the command line, or by a relay, which the library does not run. */
const isElsewhere = ({ file }: Text): boolean =>
  file.startsWith(`cli${path.sep}`) || file.startsWith(path.join('tunnel', 'relay', 'server'));

describe('what the library can say', () => {
  /** Options of the programs that a hint tells to run. */
  const foreign = new Set(['--ulimit', '--https', '--operator', '--anonymous', '--allow-anonymous']);
  const known = new Set([...optionEntries().map(([, spec]) => longOf(spec)), '--verbose']);
  test('names only flags for which it has an option', () => {
    const unknown = messages
      .filter((message) => !isElsewhere(message))
      .flatMap(({ file, text }) => (text.match(/(?<![\w-])--[a-z][a-z-]*/g) ?? []).map((flag) => ({ file, flag })))
      .filter(({ flag }) => !known.has(flag) && !foreign.has(flag));
    expect(unknown).toEqual([]);
  });
});
