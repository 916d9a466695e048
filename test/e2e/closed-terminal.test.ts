// The terminal is closed under mcp-expose: it ends as it does by SIGTERM, and takes everything along.
import { expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { processesWithMark } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { startOnTerminal } from '../harness/terminal.ts';

const expose = ['--tunnel', 'none', '--', ...fixture('echo')];
const relay = ['relay', '--host', '127.0.0.1', '--port', '0'];

test.each<[string, string[], RegExp, NodeJS.Signals[], number]>([
  ['a server that is shared', expose, /press Ctrl\+C to stop/, ['SIGHUP'], 129],
  ['one that is told so twice, by shell and system,', expose, /press Ctrl\+C to stop/, ['SIGHUP', 'SIGHUP'], 129],
  // Without a terminal, the signal would be for the file.
  ['one that writes an audit file', ['--audit', '/dev/null', ...expose], /press Ctrl\+C to stop/, ['SIGHUP'], 129],
  ['one that outlives its terminal, and is ended later,', expose, /press Ctrl\+C to stop/, ['SIGTERM'], 143],
  ['a server that is starting', ['--tunnel', 'none', '--', ...fixture('silent')], /starting/, ['SIGHUP'], 129],
  ['a relay', relay, /relay ready/, ['SIGHUP'], 129],
])('%s ends with its exit code', async (_what, args, shown, signals, code) => {
  const terminal = startOnTerminal(args);
  await terminal.waitFor(shown);
  expect(await terminal.hangUp(...signals)).toBe(code);
  await eventually(() => expect(processesWithMark(terminal.mark).map(({ command }) => command)).toEqual([]));
});
