import { hash } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { hostname } from 'node:os';
import path from 'node:path';

import { ExposeError, messageOf, type ErrorCode } from '../../errors.ts';
import { configFolder } from '../../tunnel/config-folder.ts';

/** How long a run may take to answer, in milliseconds. */
const timeoutMs = 5000;

const isWindows = process.platform === 'win32';
const pipePrefix = '\\\\.\\pipe\\';
const machine = hash('sha256', hostname()).slice(0, 8);
const socketName = new RegExp(`^(?:mcp-expose-)?${machine}-(\\d+)(?:\\.sock)?$`);

/** What a run tells about itself. */
export interface RunDescription {
  readonly pid: number;
  /** Names of the servers that it exposes. */
  readonly servers: readonly string[];
  readonly publicUrl: string | null;
  readonly localUrl: string;
}

export interface Run extends RunDescription {
  /** Its socket. */
  readonly socket: string;
}

/**
 * The folder of the sockets, which only this user can enter: not the temporary folder, where others could make it first, nor that
 * of `XDG_RUNTIME_DIR`, which is gone after a logout. Windows has named pipes instead, which have no folder.
 */
export function socketFolder(env: NodeJS.ProcessEnv): string {
  return path.join(configFolder(env), 'run');
}

/** The path of the socket of the run with this pid, on this machine: others may share the folder. */
export function socketOf(pid: number, env: NodeJS.ProcessEnv): string {
  const name = `${machine}-${pid}`;
  return isWindows ? `${pipePrefix}mcp-expose-${name}` : path.join(socketFolder(env), `${name}.sock`);
}

/** The runs of this user. Removes the sockets that ended runs have left behind. */
export async function findRuns(env: NodeJS.ProcessEnv): Promise<Run[]> {
  const names = listNames(isWindows ? pipePrefix : socketFolder(env));
  const pids = names.flatMap((name) => socketName.exec(name)?.[1] ?? []).map(Number);
  const found = await Promise.all(pids.map((pid) => describeRun(socketOf(pid, env))));
  return found.flatMap((run) => run ?? []).toSorted((one, other) => one.pid - other.pid);
}

async function describeRun(socket: string): Promise<Run | undefined> {
  try {
    // oxlint-disable-next-line no-unsafe-type-assertion -- our own process, see control-server.ts
    return { ...((await askRun(socket, 'GET', '/run')) as RunDescription), socket };
  } catch (error) {
    if (!isWindows && isRefused(error)) rmSync(socket, { force: true });
    return undefined;
  }
}

/**
 * Sends a request to a run and returns the JSON of its answer.
 * @throws ExposeError with the run's own error, or `internal` if it does not answer.
 */
export function askRun(socketPath: string, method: string, target: string, body?: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path: target, timeout: timeoutMs }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => (text += piece));
      response.once('error', reject);
      response.once('end', () => {
        try {
          const answer: unknown = text === '' ? undefined : JSON.parse(text);
          if ((response.statusCode ?? 0) < 400) resolve(answer);
          else reject(errorIn(answer));
        } catch (cause) {
          reject(new ExposeError('internal', 'the answer of the run cannot be read', { cause }));
        }
      });
    });
    asked.once('timeout', () => asked.destroy(new Error('it does not answer')));
    asked.once('error', (cause) =>
      reject(new ExposeError('internal', `the run cannot be reached: ${messageOf(cause)}`, { cause })),
    );
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function errorIn(answer: unknown): ExposeError {
  // oxlint-disable-next-line no-unsafe-type-assertion -- our own process, see control-server.ts
  const { code, message, hints } = answer as { code: ErrorCode; message: string; hints: readonly string[] };
  return new ExposeError(code, message, { hints });
}

function isRefused(error: unknown): boolean {
  return (
    error instanceof ExposeError &&
    error.cause instanceof Error &&
    'code' in error.cause &&
    error.cause.code === 'ECONNREFUSED'
  );
}

function listNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
