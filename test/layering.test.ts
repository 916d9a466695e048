// The architecture's import rules, re-derived from the sources, so that they hold whatever the lint configuration says.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { projectRoot } from './harness/program.ts';

interface Rule {
  /** Parts of src that may be imported, as `mcp` (all of it) or `tunnel/relay` (that folder). */
  readonly values: readonly string[];
  /** Parts of which only types may be imported. */
  readonly types?: readonly string[];
  readonly packages?: readonly string[];
  readonly packageTypes?: readonly string[];
}

/** design/architecture.md, "Who may import whom". Node's builtins are free to all. */
const rules: Readonly<Record<string, Rule>> = {
  errors: { values: [] },
  version: { values: [] },
  platform: { values: ['errors'] },
  // Re-exports execa and nothing else, so that it can be loaded when it is needed.
  'platform/process/execa': { values: [], packages: ['execa'] },
  mcp: { values: ['platform', 'errors'] },
  policy: { values: ['mcp', 'platform', 'errors'] },
  inspect: { values: ['mcp', 'platform', 'errors'] },
  auth: { values: ['platform', 'errors'] },
  // Loaded with an identity provider only.
  'auth/oidc/identity-provider': { values: ['auth', 'platform', 'errors'], packages: ['openid-client'] },
  bridge: { values: ['mcp', 'platform', 'errors'], types: ['policy'], packageTypes: ['execa'] },
  tunnel: { values: ['platform', 'errors'], packages: ['ws', '@ngrok/ngrok'] },
  http: { values: ['mcp', 'platform', 'errors'], types: ['auth', 'policy', 'bridge', 'inspect'] },
  expose: {
    values: ['mcp', 'policy', 'inspect', 'auth', 'bridge', 'tunnel', 'http', 'platform', 'errors', 'version'],
    packages: ['jsonc-parser'],
  },
  index: { values: ['expose', 'bridge', 'errors'] },
  cli: { values: ['expose', 'errors', 'version', 'platform/text', 'tunnel/relay'], packages: ['ora'] },
  // The same for commander, so that it is loaded from one file.
  'cli/commander': { values: [], packages: ['commander'] },
};

const maxLines = 400;

interface Import {
  readonly from: string;
  readonly typeOnly: boolean;
}

/** Comments out; strings stay, since they may hold what looks like one. */
function withoutComments(source: string): string {
  return source.replaceAll(
    /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_match, text: string | undefined) => text ?? '',
  );
}

function importsIn(code: string): Import[] {
  const found: Import[] = [];
  for (const [, keyword, names = '', from = ''] of code.matchAll(
    /^\s*(import|export)\b(?!\s*\()([^'";]*?)\bfrom\s*['"]([^'"]+)['"]/gm,
  )) {
    const braces = /\{([^}]*)\}/.exec(names)?.[1] ?? '';
    const each = braces.split(',').filter((name) => name.trim() !== '');
    const beside = names.replace(/\{[^}]*\}/, '').trim();
    const allTypes = each.length > 0 && beside === '' && each.every((name) => /^\s*type\s/.test(name));
    found.push({ from, typeOnly: /^\s*type\b/.test(names) || allTypes });
    if (keyword === undefined) throw new Error('unreachable');
  }
  for (const [, from = ''] of code.matchAll(/^\s*import\s*['"]([^'"]+)['"]/gm)) found.push({ from, typeOnly: false });
  for (const [, before, argument = ''] of code.matchAll(/(typeof\s+)?\bimport\s*\(\s*([^)]*?)\s*\)/g)) {
    const literal = /^['"]([^'"]+)['"]$/.exec(argument)?.[1];
    found.push({ from: literal ?? `a computed name (${argument})`, typeOnly: before !== undefined });
  }
  return found;
}

/** `bridge/upstream` of `bridge/upstream/stdio.ts`, `errors` of `errors.ts`. */
function partOf(file: string): string {
  const folder = path.posix.dirname(file);
  return folder === '.' ? path.posix.basename(file, '.ts') : folder;
}

function isWithin(part: string, allowed: string): boolean {
  return part === allowed || part.startsWith(`${allowed}/`);
}

function importProblem(file: string, { from, typeOnly }: Import): string | undefined {
  const own = partOf(file).split('/')[0] ?? '';
  const rule = rules[file.replace(/\.ts$/, '')] ?? rules[own];
  if (rule === undefined) return `${own} is not in the table of the architecture`;
  if (from.startsWith('node:')) return undefined;
  const { values, types = [], packages = [], packageTypes = [] } = rule;
  if (!from.startsWith('.')) {
    const allowed = packages.includes(from) || (typeOnly && packageTypes.includes(from));
    return allowed ? undefined : `${own} may not import ${from}`;
  }
  if (!from.endsWith('.ts')) return `${from} does not name its file`;
  const part = partOf(path.posix.join(path.posix.dirname(file), from));
  if (part.startsWith('..')) return `${from} is outside of src`;
  if (isWithin(part, own) || values.some((allowed) => isWithin(part, allowed))) return undefined;
  if (types.some((allowed) => isWithin(part, allowed))) {
    return typeOnly ? undefined : `${own} may import only types of ${part}`;
  }
  return `${own} may not import ${part}`;
}

const forbiddenOutsideCli = ['console', 'process.exit', 'process.on', 'process.once', 'process.exitCode'];

/** What is wrong with a source file; `file` is relative to src. */
function problemsIn(file: string, source: string): string[] {
  const code = withoutComments(source);
  const problems = importsIn(code)
    .map((imported) => importProblem(file, imported))
    .filter((problem) => problem !== undefined);
  if (!file.startsWith('cli/')) {
    for (const name of forbiddenOutsideCli) {
      if (new RegExp(String.raw`(?<![\w.'])${name.replaceAll('.', String.raw`\s*\.\s*`)}\b`).test(code)) {
        problems.push(`${name} outside of cli`);
      }
    }
  }
  if (/^\s*export\s+default\b|\bas\s+default\b/m.test(code)) problems.push('a default export');
  const lines = source.split('\n').length - 1;
  if (lines > maxLines) problems.push(`${lines} lines, more than ${maxLines}`);
  return problems;
}

/** The files of one circle of imports, in order; undefined where there is none. */
function circleIn(imports: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const walk = (file: string, way: readonly string[]): string[] | undefined => {
    if (way.includes(file)) return way.slice(way.indexOf(file));
    if (done.has(file)) return undefined;
    for (const imported of imports.get(file) ?? []) {
      const circle = walk(imported, [...way, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const circle = walk(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

const root = path.join(projectRoot, 'src');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll(path.sep, '/'));

describe('every file keeps to the rules', () => {
  test.each(files)('%s', (file) => {
    expect(problemsIn(file, readFileSync(path.join(root, file), 'utf8'))).toEqual([]);
  });

  test('no circle of files, types included', () => {
    const imports = new Map(
      files.map((file) => [
        file,
        importsIn(withoutComments(readFileSync(path.join(root, file), 'utf8')))
          .filter(({ from }) => from.startsWith('.'))
          .map(({ from }) => path.posix.join(path.posix.dirname(file), from)),
      ]),
    );
    expect(circleIn(imports)).toBeUndefined();
    expect(circleIn(new Map([...imports, ['errors.ts', ['index.ts']]]))).toContain('errors.ts');
  });

  test('there are files of every layer, so that none was overlooked', () => {
    const layers = new Set(files.map((file) => partOf(file).split('/')[0]));
    for (const layer of [
      'errors',
      'version',
      'mcp',
      'auth',
      'bridge',
      'tunnel',
      'http',
      'platform',
      'expose',
      'index',
      'cli',
    ]) {
      expect([...layers]).toContain(layer);
    }
  });

  test('imports are found where there are some', () => {
    const imported = [
      'expose/front-door.ts',
      'expose/servers/upstream-factory.ts',
      'tunnel/create-provider.ts',
    ].flatMap((file) => importsIn(withoutComments(readFileSync(path.join(root, file), 'utf8'))));
    expect(imported).toContainEqual({ from: '../auth/guard.ts', typeOnly: false });
    expect(imported).toContainEqual({ from: './providers/relay.ts', typeOnly: false });
    expect(imported).toContainEqual({ from: '../../bridge/restart/managed-connection.ts', typeOnly: true });
    expect(imported).toContainEqual({ from: '../../platform/process/execa.ts', typeOnly: false });
  });
});

describe('a file that does not would be caught', () => {
  test.each([
    [
      'mcp/x.ts',
      "import { createSessions } from '../bridge/session/sessions.ts';",
      'mcp may not import bridge/session',
    ],
    ['platform/net/x.ts', "import { parseMessage } from '../../mcp/json-rpc.ts';", 'platform may not import mcp'],
    ['auth/x.ts', "import type { RpcMessage } from '../mcp/json-rpc.ts';", 'auth may not import mcp'],
    ['bridge/upstream/x.ts', "import { listen } from '../../http/listener.ts';", 'bridge may not import http'],
    ['tunnel/relay/x.ts', "import {\n  parseMessage,\n} from '../../mcp/json-rpc.ts';", 'tunnel may not import mcp'],
    [
      'http/x.ts',
      "import { createSessions } from '../bridge/describe-server.ts';",
      'http may import only types of bridge',
    ],
    [
      'http/x.ts',
      "import { type PendingRequest, createChannel } from '../bridge/channel.ts';",
      'http may import only types of bridge',
    ],
    ['http/x.ts', "export { createGuard } from '../auth/guard.ts';", 'http may import only types of auth'],
    ['http/x.ts', "const g = await import('../auth/guard.ts');", 'http may import only types of auth'],
    ['bridge/x.ts', "import '../cli/output.ts';", 'bridge may not import cli'],
    ['errors.ts', "import { version } from './version.ts';", 'errors may not import version'],
    ['expose/x.ts', "import { createOutput } from '../cli/output.ts';", 'expose may not import cli'],
    ['cli/x.ts', "import { createGuard } from '../auth/guard.ts';", 'cli may not import auth'],
    ['cli/x.ts', "import { openTunnel } from '../tunnel/open-tunnel.ts';", 'cli may not import tunnel'],
    ['http/x.ts', "import express from 'express';", 'http may not import express'],
    ['bridge/x.ts', "import { execa } from 'execa';", 'bridge may not import execa'],
    ['expose/x.ts', "import { execa } from 'execa';", 'expose may not import execa'],
    ['cli/x.ts', "import { Command } from 'commander';", 'cli may not import commander'],
    ['platform/process/execa.ts', "import { memberOf } from '../../mcp/json-rpc.ts';", 'platform may not import mcp'],
    ['mcp/x.ts', "import { z } from 'zod';", 'mcp may not import zod'],
    ['mcp/x.ts', 'const m = await import(name);', 'mcp may not import a computed name (name)'],
    ['mcp/x.ts', "import { a } from './a.js';", './a.js does not name its file'],
    ['utils/x.ts', "import { a } from './a.ts';", 'utils is not in the table of the architecture'],
    ['bridge/x.ts', 'console.error("x");', 'console outside of cli'],
    ['bridge/x.ts', 'if (x) process.exit(1);', 'process.exit outside of cli'],
    ['tunnel/x.ts', "process.on('SIGINT', stop);", 'process.on outside of cli'],
    ['mcp/x.ts', 'export default function f() {}', 'a default export'],
    ['mcp/x.ts', 'export { f as default };', 'a default export'],
    ['mcp/x.ts', 'const a = 1;\n'.repeat(401), '401 lines, more than 400'],
  ])('%s: %.60s', (file, source, problem) => {
    expect(problemsIn(file, source)).toEqual([problem]);
  });

  test.each([
    ['http/x.ts', "import type { PendingRequest } from '../bridge/pending-request.ts';"],
    ['http/x.ts', "import { type PendingRequest, type MessageSink } from '../bridge/pending-request.ts';"],
    ['bridge/x.ts', "import type { ResultPromise } from 'execa';\nlet e: typeof import('execa').execa;"],
    ['bridge/upstream/x.ts', "import { memberOf } from '../../mcp/json-rpc.ts';\nimport { a } from '../session.ts';"],
    ['mcp/x.ts', "// import { x } from '../cli/main.ts'; console.log\n/* process.exit(1) */ const u = 'https://x';"],
    ['cli/x.ts', "import { createRelay } from '../tunnel/relay/server/relay.ts';\nconsole.log(1); process.exit(0);"],
    ['mcp/x.ts', "import { isUtf8 } from 'node:buffer';"],
    ['mcp/x.ts', 'const a = 1;\n'.repeat(400)],
  ])('and one that does is let pass: %s', (file, source) => {
    expect(problemsIn(file, source)).toEqual([]);
  });
});
