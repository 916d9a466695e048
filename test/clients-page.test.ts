// Every snippet of docs/clients.md can be read, and leads to the same URL with a credential.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { startExpose } from './harness/expose.ts';
import { fixture, projectRoot } from './harness/program.ts';

const page = readFileSync(path.join(projectRoot, 'docs', 'clients.md'), 'utf8');
const snippets = [...page.matchAll(/^## (.+)$|^```(json|sh|toml|yaml)\n([\s\S]*?)^```$/gm)].reduce<
  { client: string; kind: string; text: string }[]
>((found, [, heading, kind = '', text = '']) => {
  const client = heading ?? found.at(-1)?.client ?? '';
  return [...found, { client, kind: heading === undefined ? kind : '', text }];
}, []);
const url = 'https://share.example/mcp';
const credential = /TOKEN|\$\{AUTH\}|mcp-token/;

/** The part of TOML that the page uses: a table, and strings in it. */
function readToml(text: string): unknown {
  const [heading = '', ...lines] = text.trim().split('\n');
  const [, name = ''] = /^\[([\w.]+)\]$/.exec(heading) ?? [];
  if (name === '') throw new Error(`it begins with no table: ${heading}`);
  const pairs = lines.map((line) => {
    const [, key = '', value = ''] = /^(\w+) = (".*")$/.exec(line) ?? [];
    return [key, JSON.parse(value)] as const;
  });
  return { [name]: Object.fromEntries(pairs) };
}

const read: Readonly<Record<string, (text: string) => unknown>> = {
  json: (text) => JSON.parse(text),
  yaml: (text) => parseYaml(text),
  toml: readToml,
  sh: (text) => execFileSync('sh', ['-c', `printf '%s\\n' ${text}`], { encoding: 'utf8' }).split('\n'),
};

test.each(snippets.filter(({ kind }) => kind !== ''))(
  '$client: $kind with the URL and a credential',
  ({ kind, text }) => {
    const whole = JSON.stringify(read[kind]?.(text));
    expect(whole).toContain(url);
    expect(whole).toMatch(credential);
  },
);

test.each([
  'Claude Code',
  'Claude Desktop',
  'claude.ai',
  'ChatGPT',
  'Cursor',
  'VS Code',
  'Codex',
  'Gemini CLI',
  'Windsurf',
  'Zed',
  'Goose',
  'Continue',
  'LibreChat',
  'OpenAI API',
  'Anthropic API',
  'MCP Inspector',
])('%s has a section, and a row of the table says what it can do', (client) => {
  expect(page).toContain(`\n## ${client}\n`);
  const [table = ''] = /^\| client[\s\S]*?\n\n/m.exec(page) ?? [];
  expect(table).toContain(`[${client.replace('MCP Inspector', 'Inspector')}](#`);
});

test('it says what was not seen', () => {
  expect(page).toContain('The hosted services were not available for tests.');
});

test('each client of the table has a section', () => {
  const [table = ''] = /^\| client[\s\S]*?\n\n/m.exec(page) ?? [];
  const anchors = [...table.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
  const sections = new Set(
    snippets.map(({ client }) =>
      client
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
  expect(anchors.length).toBeGreaterThan(12);
  expect(anchors.filter((anchor) => !sections.has(anchor ?? ''))).toEqual([]);
});

test('the command with curl gets the answer of the server', async () => {
  const exposed = await startExpose({ server: fixture('echo') });
  const { text = '' } = snippets.findLast(({ kind }) => kind === 'sh') ?? {};
  const command = text.replaceAll(url, exposed.localUrl).replaceAll('TOKEN', exposed.token);
  expect(execFileSync('sh', ['-c', command], { encoding: 'utf8' })).toContain('fixture-echo');
});
