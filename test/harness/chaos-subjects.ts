// What a storm is let loose on: mcp-expose in front of the chaos fixture, by each of its ways to a server.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { harmConnections, harmProcesses, type Actor } from './chaos-actors.ts';
import { startCuttingProxy } from './chaos-proxy.ts';
import { within } from './eventually.ts';
import { startExpose, type Exposed, type ExposeOptions } from './expose.ts';
import { atEnd } from './lifetime.ts';
import { parseJson } from './parse-json.ts';
import { killIfAlive } from './processes.ts';
import { cleanEnvironment, fixture, projectRoot, temporaryDirectory } from './program.ts';

/** Few enough that sessions have to give way to others, and that a small machine can run as many servers. */
const maxSessions = '14';
/** A session whose client hung up before it knew of it is nobody's: only time ends it. */
const idleTimeout = '3s';
const bounds = ['--max-sessions', maxSessions, '--idle-timeout', idleTimeout];

export const subjects = [
  'a process for each session',
  'one process for all',
  'an HTTP server',
  'an HTTP server that has one session for all',
  'an SSE server',
] as const;
export type Subject = (typeof subjects)[number];

export interface ChaosWorld {
  readonly exposed: Exposed;
  /** Whether sessions share a server, and so its log messages. */
  readonly isShared: boolean;
  /** Processes when there is no session: the spare one, or the one for all. */
  readonly processesAtRest: number;
  /** Connections to servers then, as few and as many: an HTTP server is looked at over one of its own. */
  readonly childrenAtRest: readonly [number, number];
  /** Harms what mcp-expose depends on until the storm is over. */
  harm(actor: Omit<Actor, 'pauseMs'>): Promise<void>;
  /** What is counted where that has worked. */
  readonly mustHappen: readonly string[];
  /** Every call that reached a server, as the session's marker and the call's number. */
  executed(): string[];
  /** Where mcp-expose writes its readings, see fixtures/chaos-readings.js. */
  readonly readings: string;
}

/** @param token the credential of callers, so that none is printed. */
export async function startSubject(subject: Subject, token: string): Promise<ChaosWorld> {
  const directory = temporaryDirectory();
  const executedFile = path.join(directory, 'executed');
  const readings = path.join(directory, 'readings');
  const preload = pathToFileURL(path.join(projectRoot, 'fixtures', 'chaos-readings.js')).href;
  const isShared = subject === 'one process for all' || subject === 'an HTTP server that has one session for all';
  const isProcess = subject === 'a process for each session' || subject === 'one process for all';
  const atRest: readonly [number, number] = isProcess ? [1, 1] : isShared ? [1, 2] : [0, 1];
  const options: ExposeOptions = {
    env: { MCP_EXPOSE_TOKEN: token, NODE_OPTIONS: `--import ${preload}`, TEST_READINGS: readings },
    args: ['--tunnel', 'none', '--isolation', isShared ? 'shared' : 'session', ...bounds],
  };
  const common = {
    isShared,
    processesAtRest: isProcess ? 1 : 0,
    childrenAtRest: atRest,
    executed: () => (existsSync(executedFile) ? readFileSync(executedFile, 'utf8').split('\n').slice(0, -1) : []),
    readings,
  };
  const serverArgs = isShared ? [executedFile, 'shared'] : [executedFile];
  if (isProcess) {
    const exposed = await startExpose({ ...options, server: fixture('chaos', ...serverArgs) });
    // The fifth end within a minute is that of all who share the process.
    const pauseMs = isShared ? 2000 : 400;
    return {
      ...common,
      exposed,
      harm: (actor) => harmProcesses(exposed.mark, { ...actor, pauseMs }),
      mustHappen: ['server killed', 'failed: -32603 upstream_exited', ...(isShared ? [] : ['asked'])],
    };
  }
  const proxy = await startCuttingProxy(await startChaosHttp(serverArgs));
  const kind = subject === 'an SSE server' ? 'sse' : 'http';
  const url = `http://127.0.0.1:${proxy.port}/${kind === 'http' ? 'mcp' : 'sse'}`;
  const exposed = await startExpose({ ...options, running: { kind, url } });
  return {
    ...common,
    exposed,
    harm: (actor) => harmConnections(proxy, { ...actor, pauseMs: 300 }),
    mustHappen: ['connection cut', `failed: -32603 upstream_${kind === 'http' ? 'stream_lost' : 'exited'}`, 'asked'],
  };
}

async function startChaosHttp(serverArgs: string[]): Promise<number> {
  const mark = randomUUID();
  const [node = '', ...args] = fixture('chaos-http', ...serverArgs);
  const child = spawn(node, args, {
    env: { ...cleanEnvironment(temporaryDirectory()), TEST_RUN_MARK: mark },
    stdio: ['pipe', 'pipe', 'inherit'], // it ends with its standard input
  });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  atEnd('test', async () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) killIfAlive(child.pid);
    await gone;
  });
  const printed = new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    child.once('exit', (code) => reject(new Error(`chaos-http ended with exit code ${code}`)));
    child.once('error', reject);
  });
  return parseJson<{ port: number }>(await within(10_000, 'chaos-http to listen', printed)).port;
}
