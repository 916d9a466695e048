import { spawn, type ChildProcess } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';

import { createDeferred, settledWithin } from '../../../platform/deferred.ts';
import { messageOf } from '../../../errors.ts';
import type { Bytes } from '../../../platform/bytes.ts';
import { createLineSplitter } from '../../../platform/process/line-splitter.ts';
import { endProcessTree } from '../../../platform/process/process-tree.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';
import type { HostEnvironment } from '../../host-environment.ts';

/** Time for a program to end after SIGTERM, in milliseconds; then it is killed. */
const defaultGraceMs = 5000;

/** The same for what it has left running, in milliseconds. */
const groupGraceMs = 500;

/** Time to read the rest of its output when nothing of it is left, in milliseconds. */
const restMs = 1000;

/** Longest line that is read, in bytes; the output of other programs has no limit. */
const defaultMaxLineBytes: number = 64 * 1024;

/** How many of the last lines are kept to tell why it ended. */
const maxLastLines = 3;

export type OutputName = 'stdout' | 'stderr';

export interface TunnelProcessOptions {
  readonly environment: Pick<HostEnvironment, 'env' | 'watchdog'>;
  readonly file: string;
  readonly args: readonly string[];
  /** Variables to pass although their names look like secrets: a name, or a prefix followed by `*`. */
  readonly passedOn?: readonly string[];
  /** The same for variables not to pass. */
  readonly withheld?: readonly string[];
  /** Variables for this program alone, such as the credential for its service. */
  readonly variables?: ReadonlyMap<string, string>;
  /** Values to hide in its output, in addition to the secrets in its environment. */
  readonly secrets?: readonly string[];
  /** Lines that are no use to people: they are not kept as last lines. */
  readonly isChatter?: (line: string) => boolean;
  readonly onLine: (line: string, output: OutputName) => void;
  /** False to give it an empty input. Default: its input stays open. */
  readonly hasInput?: boolean;
  /** Time to end after SIGTERM, in milliseconds. Default: what a tunnel needs to sign off from its service. */
  readonly graceMs?: number;
  /** Longest line that is read, in bytes. */
  readonly maxLineBytes?: number;
}

export interface TunnelProcess {
  /** Resolves when it has ended and all of its output was read, or when it could not be started. */
  readonly ended: Promise<ProcessEnd>;
  /** The last lines of its output, safe to show. */
  lastWords(): readonly string[];
  /** Ends it and its descendants; resolves when nothing is left. Safe to call twice. */
  close(): Promise<void>;
}

export interface ProcessEnd {
  /** `code 1`, `SIGKILL`. */
  readonly how: string;
  /** Exit code; null unless it exited by itself. */
  readonly code: number | null;
  /** Why it could not be started, as the system's error code, for example ENOENT. */
  readonly startError?: string;
}

/**
 * Starts the program of a tunnel in its own process group, without our own variables in its environment, and reads both of its
 * outputs line by line. No shell is involved.
 */
export function startTunnelProcess(options: TunnelProcessOptions): TunnelProcess {
  const { environment, isChatter = () => false, onLine } = options;
  const { graceMs = defaultGraceMs, maxLineBytes = defaultMaxLineBytes } = options;
  const { promise: ended, resolve } = createDeferred<ProcessEnd>();
  const lastLines: string[] = [];
  const env = environmentFor(options);
  const secrets = [...secretsIn(env), ...(options.secrets ?? [])];
  let closing: Promise<void> | undefined;

  const spawned = spawnOrNothing(options, env);
  if (spawned instanceof Error) {
    resolve(notStarted(spawned));
    return { ended, lastWords: () => [], close: async () => {} };
  }
  const child = spawned;
  // Missing, despite the types of Node.js, when there were too many open files to create pipes.
  const { pid, stdin, stdout, stderr }: Partial<ChildProcess> = child;
  const gone = new Promise<void>((resolveGone) => {
    child.once('exit', () => resolveGone());
    child.once('error', () => resolveGone());
  });

  function takeLine(bytes: Bytes, from: OutputName): void {
    const line = stripVTControlCharacters(bytes.toString()).trim();
    if (line === '') return;
    if (!isChatter(line)) {
      lastLines.push(fitToShow(line, secrets));
      if (lastLines.length > maxLastLines) lastLines.shift();
    }
    onLine(line, from);
  }

  for (const [from, output] of [
    ['stdout', stdout],
    ['stderr', stderr],
  ] as const) {
    const take = (bytes: Bytes): void => takeLine(bytes, from);
    const lines = createLineSplitter({ maxBytes: maxLineBytes, onLine: take, onOverlong() {} });
    output?.on('data', (chunk: Buffer) => lines.push(chunk));
    output?.once('end', () => {
      const rest = lines.flush();
      if (rest !== undefined) takeLine(rest, from);
    });
  }
  stdin?.on('error', () => {});
  child.once('error', (error) => resolve(notStarted(error)));
  child.once('close', (code, signal) => resolve({ how: code === null ? String(signal) : `code ${code}`, code }));
  if (pid !== undefined) {
    environment.watchdog.guard(pid);
    // Descendants may hold its outputs open, but nothing more is to be read.
    void gone.then(() => close());
  }

  async function end(leader: ChildProcess, group: number): Promise<void> {
    const hasExited = leader.exitCode !== null || leader.signalCode !== null;
    await endProcessTree({
      pid: group,
      exited: hasExited ? undefined : gone,
      // Only the leader at first: it signs off from its service, and may need its children for that.
      ask: () => void leader.kill('SIGTERM'),
      graceMs,
      groupGraceMs,
    });
    // Its last output is still in the pipes; other processes that hold them open do not matter.
    await settledWithin(ended, restMs);
    stdout?.destroy();
    stderr?.destroy();
    await ended;
    environment.watchdog.release(group);
  }

  function close(): Promise<void> {
    closing ??= pid === undefined ? Promise.resolve() : end(child, pid);
    return closing;
  }

  return { ended, lastWords: () => [...lastLines], close };
}

function spawnOrNothing(
  { file, args, hasInput = true }: TunnelProcessOptions,
  env: NodeJS.ProcessEnv,
): ChildProcess | Error {
  try {
    return spawn(file, [...args], {
      // Open and empty: some programs exit at the end of their input.
      stdio: [hasInput ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
      windowsHide: true,
      env,
    });
  } catch (error) {
    // Most errors come as an event, but not all.
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

function notStarted(error: Error): ProcessEnd {
  const startError = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return { how: error.message, code: null, startError };
}

/** Our own settings, including the bearer token. */
const ownPrefix = 'MCP_EXPOSE_';

/** The environment that a shell would pass, without our own settings and without secrets that are not for its service. */
function environmentFor({
  environment,
  passedOn = [],
  withheld = [],
  variables = new Map(),
}: TunnelProcessOptions): NodeJS.ProcessEnv {
  const isPassed = (name: string): boolean =>
    !name.startsWith(ownPrefix) && !isIn(withheld, name) && (!secretName.test(name) || isIn(passedOn, name));
  const passed = Object.entries(environment.env).filter(([name]) => isPassed(name));
  return Object.fromEntries([...passed, ...variables]);
}

function isIn(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern));
}

const secretName = /TOKEN|SECRET|KEY|PASS|CREDENTIAL/i;

function secretsIn(env: NodeJS.ProcessEnv): string[] {
  return Object.entries(env).flatMap(([name, value]) =>
    secretName.test(name) && value !== undefined && value !== '' ? [value] : [],
  );
}

/** Hides the queries of URLs, which may contain keys, and credentials that programs repeat. */
function fitToShow(line: string, secrets: readonly string[]): string {
  const bare = secrets.reduce((text, secret) => text.replaceAll(secret, '…'), line);
  return excerpt(
    bare.replaceAll(/(https?:\/\/[^\s?]*)\?\S+/g, '$1?…').replaceAll(/(token["']?\s*[:=]\s*)[^\s,}]+/gi, '$1…'),
  );
}
