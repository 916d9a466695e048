// The terminal is closed under mcp-expose: it ends as it does by SIGTERM, and takes everything along.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { processesWithMark } from '../harness/processes.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
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

test('a server whose input and output are redirected ends with the terminal, too, although it writes an audit file', async () => {
  const log = path.join(temporaryDirectory(), 'log');
  const terminal = startOnTerminal(['--audit', '/dev/null', ...expose], {}, log);
  await eventually(() => expect(readFileSync(log, 'utf8')).toContain('ready at'));
  expect(await terminal.hangUp('SIGHUP')).toBe(129);
});
