import { describe, expect, test } from 'vitest';
import { countOf, summaryLines } from '../../src/cli/summary.ts';
import type { Exposed } from '../../src/expose.ts';
import { parseJson } from '../harness/parse-json.ts';
import { createTerminal } from './terminal.ts';

const token = 'mcpx_secret';

function exposed(changes: Partial<Exposed> = {}): Exposed {
  return {
    publicUrl: 'https://k3v9.relay.example/mcp',
    localUrl: 'http://127.0.0.1:7801/mcp',
    token,
    provider: 'relay',
    notice: undefined,
    server: { name: 'secure-filesystem', version: '0.6.2', era: 'legacy', protocolVersion: '2025-11-25', tools: 13 },
    close: () => Promise.resolve(),
    kill() {},
    ...changes,
  };
}

function summary(changes: Partial<Exposed> = {}, tokenOrigin?: string): string {
  const terminal = createTerminal();
  for (const line of summaryLines({ exposed: exposed(changes), tokenOrigin, startedInMs: 1449 })) {
    terminal.output.result(...line);
  }
  return terminal.stdout();
}

/** The block that a user pastes. */
function config(shown: string): { mcpServers: object } {
  const lines = shown.split('\n');
  const start = lines.findIndex((line) => line.includes('Paste into your client:')) + 1;
  return parseJson<{ mcpServers: object }>(lines.slice(start, lines.indexOf('', start)).join('\n'));
}

describe('the summary shows', () => {
  test('URLs, the new token, what is exposed and how to stop', () => {
    const shown = summary();
    expect(shown).toMatch(/^ {2}mcp-expose \d+\.\d+\.\d+\S* {2}ready in 1\.4 s$/m);
    expect(shown).toMatch(/^ {2}➜ {2}Public: +https:\/\/k3v9\.relay\.example\/mcp$/m);
    expect(shown).toMatch(/^ {2}➜ {2}Local: +http:\/\/127\.0\.0\.1:7801\/mcp$/m);
    expect(shown).toMatch(/^ {2}➜ {2}Token: +mcpx_secret$/m);
    expect(shown).toMatch(/^ {2}➜ {2}Exposes: +secure-filesystem 0\.6\.2 · 13 tools$/m);
    expect(shown).toContain('press Ctrl+C to stop');
    expect(shown).not.toContain('Careful');
  });

  test('not the user’s own token, but where it came from', () => {
    const shown = summary({}, 'MCP_EXPOSE_TOKEN');
    expect(shown).not.toContain(token);
    expect(shown).toContain('the one from MCP_EXPOSE_TOKEN');
  });

  test('that everybody is let in without a token', () => {
    expect(summary({ token: null })).toMatch(/Token: +none, everybody who can connect can use the server/);
  });

  test('how to get a public URL where there is none', () => {
    expect(summary({ publicUrl: null })).toMatch(/Public: +none; --relay <url> gives one through a relay/);
  });

  test('what users of this tunnel must know', () => {
    expect(summary({ notice: 'this path is not encrypted' })).toMatch(/Careful: +this path is not encrypted/);
  });

  test('what a server calls itself, without what could rewrite the screen', () => {
    const { server } = exposed();
    const changes = { ...server, name: 'a\u001b[2J\n  ➜  Token: b', version: '\u001b]8;;https://evil\u0007\u202e1' };
    expect(summary({ server: changes })).toMatch(/Exposes: +a ➜ {2}Token: b 1 · 13 tools$/m);
  });

  test('a server without a version without a gap', () => {
    const { server } = exposed();
    expect(summary({ server: { ...server, version: '', tools: 1 } })).toMatch(/Exposes: +secure-filesystem · 1 tool$/m);
  });
});

describe('the block to paste', () => {
  test('is JSON that clients understand, with the public URL and the new token', () => {
    expect(config(summary())).toEqual({
      mcpServers: {
        'secure-filesystem': {
          type: 'http',
          url: 'https://k3v9.relay.example/mcp',
          headers: { Authorization: 'Bearer mcpx_secret' },
        },
      },
    });
  });

  test('has a place for the token where it is the user’s own', () => {
    expect(config(summary({}, 'a file'))).toMatchObject({
      mcpServers: { 'secure-filesystem': { headers: { Authorization: 'Bearer <your token>' } } },
    });
  });

  test('has no header without a token, and the local URL without a tunnel', () => {
    expect(config(summary({ token: null, publicUrl: null }))).toEqual({
      mcpServers: { 'secure-filesystem': { type: 'http', url: 'http://127.0.0.1:7801/mcp' } },
    });
  });

  test.each([
    ['My Server (beta)', 'My-Server-beta-'],
    ['a/b', 'a-b'],
    ['日本', '-'],
    ['', 'server'],
    ['"}{', '-'],
  ])('names the server %j as %s', (name, key) => {
    const { server } = exposed();
    expect(Object.keys(config(summary({ server: { ...server, name } })).mcpServers)).toEqual([key]);
  });
});

test.each([
  [0, '0 tools'],
  [1, '1 tool'],
  [2, '2 tools'],
])('%i is counted as %s', (count, text) => {
  expect(countOf(count, 'tool')).toBe(text);
});
