import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ApprovalCommand } from '../../src/expose/approval-command.ts';
import type { ApprovalCall } from '../../src/expose/options.ts';
import { createWatchdog } from '../../src/platform/process/watchdog.ts';
import { eventually } from '../harness/eventually.ts';
import { parseJson } from '../harness/parse-json.ts';
import { temporaryDirectory } from '../harness/program.ts';

const call: ApprovalCall = {
  caller: 'anna',
  client: undefined,
  clientInfo: { name: 'test', version: '0' },
  tool: 'rm',
  arguments: { path: "/a b'c", n: 9_007_199_254_740_992 },
  argumentsJson: `{"path":"/a b'c","n":9007199254740993}`,
};

const watchdog = createWatchdog();
afterAll(() => watchdog.close());

/** A program that runs this code with `input`, the JSON that it gets; `file` is for what it leaves behind. */
function program(code: string): { command: ApprovalCommand; file: string; stderr: string[] } {
  const folder = temporaryDirectory('test');
  const script = path.join(folder, 'decides here.js');
  const file = path.join(folder, 'file');
  writeFileSync(
    script,
    `import fs from 'node:fs';\nconst file = ${JSON.stringify(file)};\nconst input = () => fs.readFileSync(0, 'utf8');\n${code}`,
  );
  writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
  const stderr: string[] = [];
  const command = new ApprovalCommand({
    command: `"${process.execPath}" "${script}"`,
    watchdog,
    onStderr: (line) => stderr.push(line),
  });
  return { command, file, stderr };
}

const never = new AbortController().signal;

/** Whether a process runs; a zombie does not. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('gets the call as one JSON object, and approves it by exit code 0', async () => {
  const { command, file } = program(`fs.writeFileSync(file, input());`);
  expect(await command.decide(call, never)).toBe(true);
  expect(readFileSync(file, 'utf8')).toBe(
    `{"tool":"rm","caller":"anna","clientInfo":{"name":"test","version":"0"},"arguments":{"path":"/a b'c","n":9007199254740993}}\n`,
  );
  await command.decide({ ...call, argumentsJson: undefined, server: 'files', client: '::1' }, never);
  expect(readFileSync(file, 'utf8')).toBe(
    '{"tool":"rm","caller":"anna","client":"::1","clientInfo":{"name":"test","version":"0"},"server":"files"}\n',
  );
});

test.each(['process.exit(1)', 'process.exit(3)', "process.kill(process.pid, 'SIGKILL')", "throw new Error('broken')"])(
  'refuses by %s',
  async (code) => {
    const { command } = program(code);
    expect(await command.decide(call, never)).toBe(false);
  },
);

test('its standard error is passed on by line', async () => {
  const { command, stderr } = program(`console.error('no\\u001b[2J way'); console.log('not this'); process.exit(1);`);
  await command.decide(call, never);
  expect(stderr).toEqual(['no way']);
});

test('may decide without reading, however long the arguments are', async () => {
  const { command } = program('process.exit(0)');
  expect(await command.decide({ ...call, argumentsJson: JSON.stringify('x'.repeat(4_000_000)) }, never)).toBe(true);
});

test('gets none of our variables but the safe ones', async () => {
  process.env['MCP_EXPOSE_SECRET_OF_TEST'] = 'secret';
  process.env['API_KEY_OF_TEST'] = 'secret';
  const { command, file } = program('fs.writeFileSync(file, JSON.stringify(process.env));');
  await command.decide(call, never);
  delete process.env['MCP_EXPOSE_SECRET_OF_TEST'];
  delete process.env['API_KEY_OF_TEST'];
  const text = readFileSync(file, 'utf8');
  expect(text).not.toContain('secret');
  expect(text).toContain('"PATH"');
});

test('is ended when the question is withdrawn, also if it ignores that, with what it has started', async () => {
  const { command, file } = program(`
    import { spawn } from 'node:child_process';
    process.on('SIGTERM', () => {});
    const child = spawn('sleep', ['600'], { stdio: 'ignore' });
    fs.writeFileSync(file + '.new', JSON.stringify([process.pid, child.pid]));
    fs.renameSync(file + '.new', file);
    setInterval(() => {}, 1000);
  `);
  const question = new AbortController();
  const decision = command.decide(call, question.signal);
  await eventually(() => expect(existsSync(file)).toBe(true));
  const pids = parseJson<number[]>(readFileSync(file, 'utf8'));
  expect(pids.map((pid) => isRunning(pid))).toEqual([true, true]);
  question.abort();
  await command.close();
  expect(await decision).toBe(false);
  await eventually(() => expect(pids.map((pid) => isRunning(pid))).toEqual([false, false]));
});

test('cannot be run: the decision fails', async () => {
  const command = new ApprovalCommand({ command: '/does/not/exist -v', watchdog, onStderr() {} });
  await expect(command.decide(call, never)).rejects.toThrow('ENOENT');
});

const create = (command: string) => () => new ApprovalCommand({ command, watchdog, onStderr() {} });

test('is not a line for the shell', () => {
  expect(create('grep -q yes | true')).toThrow(
    'the command of --approve-command has shell syntax, but is run without a shell',
  );
  expect(create('')).toThrow('the command of --approve-command is empty');
  expect(create('"a')).toThrow('the command of --approve-command has an opening " that is never closed');
});
