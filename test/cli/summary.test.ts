import { describe, expect, test, vi } from 'vitest';
import { countOf, limitsText, summaryLines, whatIsExposed } from '../../src/cli/summary.ts';
import { ExposeError } from '../../src/errors.ts';
import type { Exposed, ServerReport } from '../../src/expose/options.ts';
import { parseJson } from '../harness/parse-json.ts';
import { createTerminal } from './terminal.ts';

const token = 'mcpx_secret';

function report(name: string, changes: Partial<ServerReport> = {}): ServerReport {
  const description = { name, version: '0.6.2', era: 'legacy', protocolVersion: '2025-11-25', tools: 13 } as const;
  return { name, path: '/mcp', description, translatedFor: 'modern', error: undefined, ...changes };
}

/** The usual server, which calls itself something else. */
function describedAs(changes: Partial<NonNullable<ServerReport['description']>>): ServerReport {
  const { description } = report('secure-filesystem');
  if (description === undefined) throw new Error('it has a description');
  return report('secure-filesystem', { description: { ...description, ...changes } });
}

function exposed(changes: Partial<Exposed> = {}): Exposed {
  return {
    publicUrl: 'https://k3v9.relay.example/mcp',
    localUrl: 'http://127.0.0.1:7801/mcp',
    token,
    tokens: { list: () => [], add: () => '', revoke: () => false, rotate: () => undefined },
    pairingCode: undefined,
    identityProvider: undefined,
    provider: 'relay',
    foundNoTunnel: false,
    tunnel: undefined,
    notice: undefined,
    servers: [report('secure-filesystem')],
    close: () => Promise.resolve(),
    reopenAudit() {},
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
    expect(shown).toMatch(
      /^ {2}➜ {2}Exposes: +secure-filesystem 0\.6\.2 · 13 tools · MCP 2025-11-25, newer clients by translation$/m,
    );
    expect(shown).toContain('press Ctrl+C to stop');
    expect(shown).not.toContain('Careful');
  });

  test('not the user’s own token, but where it came from', () => {
    const shown = summary({}, 'MCP_EXPOSE_TOKEN');
    expect(shown).not.toContain(token);
    expect(shown).toContain('the one from MCP_EXPOSE_TOKEN');
  });

  test('that everybody is let in without a token', () => {
    expect(summary({ token: null, tokens: undefined })).toMatch(
      /Token: +none, everybody who can connect can use the server/,
    );
  });

  test('how to get a public URL where there is none', () => {
    expect(summary({ publicUrl: null })).toMatch(/Public: +none; --tunnel auto looks for a tunnel/);
    expect(summary({ publicUrl: null, token: null, tokens: undefined })).toMatch(
      /Public: +none; without a token, no tunnel is opened/,
    );
    expect(summary({ publicUrl: null, foundNoTunnel: true })).toMatch(/Public: +none, no tunnel could be opened;/);
  });

  test('a public URL that could not be checked as one, and pastes none that another answers', () => {
    const tunnel = { operator: 'x', readsTraffic: true, headers: {}, expiresAt: undefined };
    const unchecked = summary({ tunnel: { ...tunnel, isVerified: false, isTrusted: true } });
    expect(unchecked).toMatch(
      /Public: +https:\/\/k3v9\.relay\.example\/mcp \(could not be checked from here, see above\)/,
    );
    expect(config(unchecked).mcpServers).toMatchObject({
      'secure-filesystem': { url: 'https://k3v9.relay.example/mcp' },
    });
    const foreign = summary({ tunnel: { ...tunnel, isVerified: false, isTrusted: false } });
    expect(foreign).toMatch(/Public: .* \(leads to another server, see above\)/);
    expect(config(foreign).mcpServers).toMatchObject({ 'secure-filesystem': { url: 'http://127.0.0.1:7801/mcp' } });
  });

  test('when the public URL ends', () => {
    const tunnel = {
      operator: 'Pinggy',
      readsTraffic: true,
      headers: {},
      expiresAt: Date.now() + 3_600_000,
      isVerified: true,
      isTrusted: true,
    };
    expect(summary({ tunnel })).toMatch(/Until: +\d\d:\d\d, in 60 minutes; then the URL changes/);
    expect(summary()).not.toContain('Until:');
  });

  test('the header that a client needs beside the token', () => {
    const tunnel = {
      operator: 'x',
      readsTraffic: true,
      headers: { 'x-skip': '1' },
      expiresAt: undefined,
      isVerified: true,
      isTrusted: true,
    };
    const headers = { Authorization: `Bearer ${token}`, 'x-skip': '1' };
    expect(config(summary({ tunnel })).mcpServers).toMatchObject({ 'secure-filesystem': { headers } });
    expect(config(summary({ tunnel, token: null, tokens: undefined })).mcpServers).toMatchObject({
      'secure-filesystem': { headers: { 'x-skip': '1' } },
    });
  });

  test('what users of this tunnel must know', () => {
    expect(summary({ notice: 'this path is not encrypted' })).toMatch(/Note: +this path is not encrypted/);
  });

  test('what a server calls itself, without what could rewrite the screen', () => {
    const changes = { name: 'a\u001b[2J\n  ➜  Token: b', version: '\u001b]8;;https://evil\u0007\u202e1' };
    expect(summary({ servers: [describedAs(changes)] })).toMatch(
      /Exposes: +a ➜ {2}Token: b 1 · 13 tools · MCP 2025-11-25, newer clients by translation$/m,
    );
  });

  test('a server without a version without a gap', () => {
    expect(summary({ servers: [describedAs({ version: '', tools: 1 })] })).toMatch(
      /Exposes: +secure-filesystem · 1 tool · MCP 2025-11-25, newer clients by translation$/m,
    );
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
    expect(config(summary({ token: null, tokens: undefined, publicUrl: null }))).toEqual({
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
    expect(Object.keys(config(summary({ servers: [report(name)] })).mcpServers)).toEqual([key]);
  });
});

test.each([
  [{}, 'MCP 2025-11-25, newer clients by translation'],
  [{ translatedFor: undefined }, 'MCP 2025-11-25 only'],
])('with %j the revision stands there, and who gets a translation: %s', (changes, text) => {
  expect(summary({ servers: [report('files', changes)] })).toContain(` · 13 tools · ${text}\n`);
});

test.each([
  ['legacy', 'older clients by translation'],
  ['unknown', 'older clients too'],
] as const)('of a modern server, older clients get it, unless it may serve them itself: %s', (translatedFor, words) => {
  const server = describedAs({ era: 'modern', protocolVersion: '2026-07-28' });
  const shown = summary({ servers: [{ ...server, translatedFor }] });
  expect(shown).toContain(` · MCP 2026-07-28, ${words}\n`);
});

describe('several servers', () => {
  const servers = [
    report('files', { path: '/files/mcp' }),
    report('git-2', {
      path: '/git-2/mcp',
      description: undefined,
      error: new ExposeError('upstream_exited', 'the server exited with code 1 before it had answered'),
    }),
  ];
  const several = { servers, publicUrl: 'https://k3v9.relay.example', localUrl: 'http://127.0.0.1:7801' };

  test('stand one below the other, with their paths, and the broken one with its reason', () => {
    const shown = summary(several);
    expect(shown).toMatch(
      /Exposes: +\/files\/mcp {2}files 0\.6\.2 · 13 tools · MCP 2025-11-25, newer clients by translation$/m,
    );
    expect(shown).toMatch(/➜ +\/git-2\/mcp {2}the server exited with code 1 before it had answered$/m);
    expect(shown).toMatch(/Public: +https:\/\/k3v9\.relay\.example$/m);
  });

  test('have an entry each in the block to paste, but for those that do not work', () => {
    const fetching = report('fetch', { path: '/fetch/mcp' });
    expect(config(summary({ ...several, servers: [...servers, fetching], token: null, tokens: undefined }))).toEqual({
      mcpServers: {
        files: { type: 'http', url: 'https://k3v9.relay.example/files/mcp' },
        fetch: { type: 'http', url: 'https://k3v9.relay.example/fetch/mcp' },
      },
    });
    expect(config(summary({ ...several, token: null, tokens: undefined }))).toEqual({
      mcpServers: { files: { type: 'http', url: 'https://k3v9.relay.example/files/mcp' } },
    });
  });

  test('are counted, and how many of them work', () => {
    const [works, broken] = [servers.slice(0, 1), servers.slice(1)];
    const era = 'MCP 2025-11-25, newer clients by translation';
    expect(whatIsExposed([...works, ...works])).toBe(`2 servers, 26 tools, ${era}`);
    expect(whatIsExposed([...works, ...broken, ...works, ...broken])).toBe(`2 of 4 servers, 26 tools, ${era}`);
    expect(whatIsExposed(works)).toBe(`13 tools, ${era}`);
  });

  test('are counted together with each of their revisions', () => {
    const modern = describedAs({ era: 'modern', protocolVersion: '2026-07-28' });
    expect(whatIsExposed([...servers.slice(0, 1), { ...modern, translatedFor: 'unknown' }])).toBe(
      '2 servers, 26 tools, MCP 2025-11-25, newer clients by translation; MCP 2026-07-28, older clients too',
    );
  });
});

test.each([
  [0, '0 tools'],
  [1, '1 tool'],
  [2, '2 tools'],
])('%i is counted as %s', (count, text) => {
  expect(countOf(count, 'tool')).toBe(text);
});

test.each([
  [{}, ''],
  [{ readOnly: true }, 'read-only access'],
  [{ scope: 'mcp:read' }, 'read-only access'],
  [{ allowTools: ['read_*', 'list'] }, 'tools read_* list'],
  [{ denyTools: ['*delete*'], readOnly: true }, 'read-only access, all tools except *delete*'],
  [{ allowTools: [], denyTools: ['x'] }, 'no tools except x'],
  [{ allowTools: ['a', 'b', 'c', 'd', 'e', 'f'] }, 'tools a b c d and 2 more'],
  [{ allowResources: ['file:///*'], denyResources: ['*.env'] }, 'resources file:///* except *.env'],
  [{ allowIps: ['203.0.113.7', '2001:db8::/32'], expiresAt: undefined }, 'from 203.0.113.7 2001:db8::/32'],
  [{ allowIps: [] }, 'from no address'],
  [{ allowPrompts: ['p'], maxCalls: 2, calls: 1 }, 'prompts p, for 2 tool calls, 1 made'],
] as const)('limits in words: %j', (limits, words) => {
  expect(limitsText({ name: 'anna', state: 'valid', createdAt: 0, calls: 0, ...limits })).toBe(words);
});

test('the end of a token has its date, unless it is today', () => {
  vi.useFakeTimers({ toFake: ['Date'], now: new Date(2026, 10, 9, 13, 53) });
  const ends = [new Date(2026, 10, 9, 23, 5), new Date(2026, 10, 10, 13, 52), new Date(2026, 10, 10, 0, 0)];
  const words = ends.map((end) =>
    limitsText({ name: 'anna', state: 'valid', createdAt: 0, calls: 0, expiresAt: end.getTime() }),
  );
  vi.useRealTimers();
  expect(words).toEqual(['until 23:05', 'until 2026-11-10 13:52', 'until 2026-11-10 00:00']);
});
