import { expect, test } from 'vitest';
import { showEvent } from '../../src/cli/expose-command.ts';
import { createTerminal } from './terminal.ts';

const publicUrl = 'https://k3v9.relay.example/mcp';

test('a tunnel that is down for good is told with its reason and what still works', () => {
  const terminal = createTerminal();
  showEvent(terminal.output, { type: 'tunnel', state: 'down', publicUrl, reason: 'the name was taken over' });
  expect(terminal.stderr()).toBe(
    'mcp-expose: tunnel down: the name was taken over\nmcp-expose: the public URL does not come back, the local URL goes on working\n',
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
