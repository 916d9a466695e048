import { expect, test } from 'vitest';
import { showEvent } from '../../src/cli/expose-command.ts';
import { ExposeError } from '../../src/errors.ts';
import { createTerminal } from './terminal.ts';

const publicUrl = 'https://k3v9.relay.example/mcp';

test('a tunnel that is down for good is told with its reason and what still works', () => {
  const terminal = createTerminal();
  showEvent(terminal.output, { type: 'tunnel', state: 'down', publicUrl, reason: 'the name was taken over' });
  expect(terminal.stderr()).toBe(
    'mcp-expose: tunnel down: the name was taken over\nmcp-expose: the public URL is lost, the local URL still works\n',
  );
});

test.each([
  [{ state: 'up' }, `mcp-expose: tunnel up at ${publicUrl}\n`],
  [{ state: 'reconnecting', reason: 'lost' }, 'mcp-expose: tunnel reconnecting: lost\n'],
] as const)('of one that comes back nothing else is said: %j', (change, text) => {
  const terminal = createTerminal();
  showEvent(terminal.output, { type: 'tunnel', publicUrl, ...change });
  expect(terminal.stderr()).toBe(text);
});

test('the event for scripts keeps its shape', () => {
  const terminal = createTerminal({ json: true });
  terminal.output.event({ event: 'ready' });
  showEvent(terminal.output, { type: 'tunnel', state: 'down', publicUrl, reason: 'x' });
  expect(terminal.stdout()).toBe(`{"event":"ready"}\n{"event":"tunnel","state":"down","publicUrl":"${publicUrl}"}\n`);
});

test('a changed configuration is told, with what is broken in it', () => {
  const terminal = createTerminal();
  const description = { name: 'x', version: '1', era: 'legacy', protocolVersion: '2025-11-25', tools: 2 } as const;
  const servers = [
    { name: 'files', path: '/files/mcp', description, translatedFor: undefined, error: undefined },
    {
      name: 'git',
      path: '/git/mcp',
      description: undefined,
      translatedFor: undefined,
      error: new ExposeError('upstream_silent', 'no answer'),
    },
  ];
  showEvent(terminal.output, { type: 'servers', publicUrl: null, localUrl: 'http://127.0.0.1:7801', servers });
  expect(terminal.stderr()).toBe(
    'mcp-expose: the configuration has changed: 1 of 2 servers, 2 tools, MCP 2025-11-25 only\nmcp-expose: warning: git: no answer\n',
  );
});

test('what one of several servers says stands behind its name', () => {
  const terminal = createTerminal();
  showEvent(terminal.output, { type: 'stderr', line: 'hello', server: 'files' });
  showEvent(terminal.output, { type: 'stderr', line: 'hello' });
  expect(terminal.stderr()).toBe('[files] hello\n[server] hello\n');
});

test('what auto has looked at is told, a line for each that did not do', () => {
  const terminal = createTerminal();
  const attempts = [
    { provider: 'cloudflared', outcome: 'skipped', reason: 'cloudflared is not installed' },
    { provider: 'ngrok', outcome: 'skipped', reason: 'ngrok has no token' },
    { provider: 'srv.us', outcome: 'trying' },
    { provider: 'srv.us', outcome: 'failed', reason: 'it was not up after 6 s' },
    { provider: 'pinggy', outcome: 'up' },
  ] as const;
  for (const attempt of attempts) showEvent(terminal.output, { type: 'attempt', ...attempt });
  expect(terminal.stderr().trimEnd().split('\n')).toEqual([
    'mcp-expose: cloudflared: not installed',
    'mcp-expose: ngrok: has no token',
    'mcp-expose: srv.us: it was not up after 6 s',
  ]);
});
