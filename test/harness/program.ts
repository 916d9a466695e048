// Runs bin/mcp-expose.js as its users do: its own home directory, a clean environment, everything it prints kept.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { within } from './eventually.ts';
import { atEnd, type Lifetime } from './lifetime.ts';
import { killIfAlive, processesWithMark } from './processes.ts';

export const projectRoot: string = fileURLToPath(new URL('../..', import.meta.url));
export const bin: string = path.join(projectRoot, 'bin', 'mcp-expose.js');

/** The command of one of our fixtures, for `server:` of `startExpose`. */
export function fixture(name: string, ...args: string[]): string[] {
  return [process.execPath, path.join(projectRoot, 'fixtures', `${name}.js`), ...args];
}

/** The command of an installed MCP server, such as mcp-server-everything. */
export function installedServer(name: string, ...args: string[]): string[] {
  return [path.join(projectRoot, 'node_modules', '.bin', name), ...args];
}

export interface ProgramOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** Where HOME and XDG_* point to; default: a new directory that is removed in the end. */
  home?: string;
  /** Found in the environment of the program and of what inherits it; see `processesWithMark`. */
  mark: string;
  /** How many files it may have open, of which Node itself takes about twenty. */
  maxOpenFiles?: number;
  /** A command that runs it, such as one that gives it another network. */
  through?: readonly string[];
  /** Without a controlling terminal. */
  hasNoTerminal?: boolean;
  lifetime?: Lifetime;
}

export interface Program {
  process: ChildProcess;
  mark: string;
  pid: number;
  home: string;
  stdout(): string;
  stderr(): string;
  /** Resolves with the match as soon as everything printed so far matches; rejects when the program has ended without it. */
  waitForStderr(pattern: RegExp, withinMs?: number): Promise<RegExpMatchArray>;
  waitForStdout(pattern: RegExp, withinMs?: number): Promise<RegExpMatchArray>;
  /** The exit code as a shell would see it, 128+n for a death by signal n; resolves when all output has been read. */
  exited: Promise<number>;
  /** Sends a signal (default SIGTERM) and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number>;
}

const signalNumbers: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

export function temporaryDirectory(lifetime: Lifetime = 'test'): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'mcp-expose-test-'));
  atEnd(lifetime, () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** What a user's shell would hand over, with nothing of this machine but the PATH. */
export function cleanEnvironment(home: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    LANG: 'C.UTF-8',
    XDG_CONFIG_HOME: path.join(home, 'config'),
    XDG_STATE_HOME: path.join(home, 'state'),
    XDG_CACHE_HOME: path.join(home, 'cache'),
    XDG_RUNTIME_DIR: path.join(home, 'runtime'),
  };
}

/** Collects a stream and lets tests wait for what appears in it. */
function watch(stream: NodeJS.ReadableStream, ended: Promise<unknown>) {
  let seen = '';
  const waiting = new Set<() => void>();
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    seen += chunk;
    for (const look of waiting) look();
  });
  const waitFor = (pattern: RegExp, withinMs = 20_000): Promise<RegExpMatchArray> => {
    const found = new Promise<RegExpMatchArray>((resolve, reject) => {
      const look = () => {
        const match = seen.match(pattern);
        if (match) {
          waiting.delete(look);
          resolve(match);
        }
      };
      waiting.add(look);
      look();
      void ended.then(() => {
        look();
        return reject(new Error(`ended without printing ${String(pattern)}; printed:\n${seen}`));
      });
    });
    return within(withinMs, () => `${String(pattern)} to be printed; so far:\n${seen}`, found);
  };
  return { seen: () => seen, waitFor };
}

/** Starts `node bin/mcp-expose.js …args`. */
export function startProgram(args: string[], options: ProgramOptions): Program {
  const { lifetime = 'test', mark } = options;
  const home = options.home ?? temporaryDirectory(lifetime);
  const command = [...(options.through ?? []), process.execPath, bin, ...args];
  const limit = ['/bin/sh', '-c', `ulimit -n ${options.maxOpenFiles}; exec "$0" "$@"`];
  const [file = '', ...rest] = options.maxOpenFiles === undefined ? command : [...limit, ...command];
  const child = spawn(file, rest, {
    cwd: options.cwd ?? projectRoot,
    env: { ...cleanEnvironment(home), TEST_RUN_MARK: mark, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A session of its own has no terminal, even if the tests run on one.
    detached: options.hasNoTerminal === true,
  });
  const exited = new Promise<number>((resolve) => {
    child.on('error', () => resolve(127));
    child.on('close', (code, signal) => resolve(code ?? 128 + (signalNumbers[signal ?? 'SIGKILL'] ?? 0)));
  });
  // A process that outlives the program may hold its output open: then only 'exit' tells of the end.
  const gone = new Promise<number>((resolve) => {
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signalNumbers[signal ?? 'SIGKILL'] ?? 0)));
    child.on('error', () => resolve(127));
  });
  const stdout = watch(child.stdout, exited);
  const stderr = watch(child.stderr, exited);
  const pid = child.pid ?? 0;

  atEnd(lifetime, async () => {
    if (child.exitCode === null && child.signalCode === null) killIfAlive(pid);
    await gone;
    for (const left of processesWithMark(mark)) killIfAlive(left.pid);
    child.stdout.destroy();
    child.stderr.destroy();
  });

  return {
    process: child,
    mark,
    pid,
    home,
    stdout: stdout.seen,
    stderr: stderr.seen,
    waitForStderr: stderr.waitFor,
    waitForStdout: stdout.waitFor,
    exited,
    stop: (signal = 'SIGTERM') => {
      killIfAlive(pid, signal);
      return within(30_000, () => `mcp-expose to end after ${signal}; it printed:\n${stderr.seen()}`, gone);
    },
  };
}
