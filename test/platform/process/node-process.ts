// Small Node processes for tests: each leads a group of its own and says when it is ready. Ended with the test.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { within } from '../../harness/eventually.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { isAlive, processInfo, type ProcessInfo } from '../../harness/processes.ts';

/** Ends by itself at last, so that a failed test leaves nothing behind for ever. */
const longestLife = 'setTimeout(() => process.exit(99), 60_000);';

export const behaviours: Readonly<Record<'endsWithInput' | 'ignoresEndOfInput' | 'ignoresSigterm', string>> = {
  /** What a server should do. */
  endsWithInput: `process.stdin.resume().on('end', () => process.exit(0));`,
  ignoresEndOfInput: longestLife,
  ignoresSigterm: `for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {}); ${longestLife}`,
};

/** A script that starts a stubborn process in the same group, and then behaves as told. Prints the other's id. */
export function withStubbornChild(behaviour: string, detached = false): string {
  const child = `${behaviours.ignoresSigterm} console.log('ready')`;
  return `
    const child = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: ${detached},
    });
    child.stdout.once('data', () => console.log(child.pid));
    child.stdout.unref?.();
    ${behaviour}
  `;
}

export interface NodeProcess {
  readonly pid: number;
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly info: ProcessInfo;
  /** The first line that it printed. */
  readonly greeting: string;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

export interface NodeProcessOptions {
  /** How many files it may have open, of which Node itself takes about twenty. */
  readonly maxOpenFiles?: number;
}

/** Starts `node -e <script>`; resolves when it has printed its first line (by default `ready`). */
export async function startNode(
  script: string,
  arguments_: readonly string[] = [],
  { maxOpenFiles }: NodeProcessOptions = {},
): Promise<NodeProcess> {
  const greets = script.includes('console.log');
  const source = greets ? script : `${script} console.log('ready');`;
  const command = [process.execPath, ...arguments_, '-e', source];
  const limited = ['/bin/sh', '-c', `ulimit -n ${maxOpenFiles}; exec "$0" "$@"`, ...command];
  const [file = '', ...rest] = maxOpenFiles === undefined ? command : limited;
  const child = spawn(file, rest, {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const pid = child.pid ?? 0;
  const exited = new Promise<Awaited<NodeProcess['exited']>>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  child.stdin.on('error', () => {});
  atEnd('test', async () => {
    killGroup(pid);
    await exited;
    child.stdout.destroy();
  });
  const greeting = await within(15_000, 'a process to say that it is ready', firstLine(child.stdout));
  return { pid, child, info: infoOf(pid), greeting, exited };
}

export function infoOf(pid: number): ProcessInfo {
  const info = processInfo(pid);
  if (info === undefined) throw new Error(`there is no process ${pid}`);
  return info;
}

/** Throws while the process lives: for `eventually`. */
export function expectGone(info: ProcessInfo): void {
  if (isAlive(info)) throw new Error(`process ${info.pid} is still there: ${info.command.join(' ').slice(0, 80)}`);
}

export function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // nobody is left in it
  }
}

async function firstLine(stream: Readable): Promise<string> {
  let seen = '';
  while (!seen.includes('\n')) {
    const [chunk]: unknown[] = await once(stream, 'data'); // oxlint-disable-line no-await-in-loop -- until the line is whole
    seen += String(chunk);
  }
  return seen.slice(0, seen.indexOf('\n'));
}
