import { statSync } from 'node:fs';

import type { execa, ResultPromise } from 'execa';

import { createDeferred, settledWithin } from '../../deferred.ts';
import { sanitize } from '../../sanitize.ts';
import { messageOf } from '../../errors.ts';

import { errorResponse, parseMessages, rpcCode, type RequestId } from '../../mcp/json-rpc.ts';
import { idOfUnreadableResponse } from '../../mcp/unreadable.ts';
import { describeCommand, type ServerCommand } from './command-line.ts';
import { createLineSplitter, edgeBytes, type OverlongLine } from './line-splitter.ts';
import { defaultMaxMessageBytes } from './message-limit.ts';
import { endProcessTree } from './process-tree.ts';
import { createStderrTail } from './stderr-tail.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from './upstream.ts';
import type { Watchdog } from './watchdog.ts';

/** Input that a server has not read yet, in bytes; beyond it, messages are refused instead of kept. */
export const defaultMaxUnreadBytes: number = 64 * 1024 * 1024;

/** Input that a server has not read yet, in bytes; beyond it, no more is read from the clients that send it. */
const maxWaitingBytes = 1024 * 1024;

/** After a server's exit its last output is still in the pipe; whoever holds the pipe open longer is not waited for. */
const lastOutputMs = 50;

/** Stray lines on standard output that are reported, per child; a server that writes a log there would flood us. */
const maxReports = 10;

/** Up to this size, copying messages together costs less than handing them to the system one by one, in bytes. */
const maxJoinedBytes = 64 * 1024;

const lineBreak: Buffer = Buffer.from('\n');

/** As much of a stray line as is shown. */
const reportLength = 200;

export interface StdioUpstreamOptions {
  readonly command: ServerCommand;
  readonly cwd?: string;
  /** The whole environment of the child. */
  readonly env: Readonly<Record<string, string>>;
  /** execa's main function, imported by whoever composes, since other kinds of upstream need not pay for it. */
  readonly execa: typeof execa;
  readonly watchdog: Watchdog;
  readonly onStderr: (line: string) => void;
  readonly onWarning: (message: string) => void;
  readonly maxMessageBytes?: number;
  readonly maxUnreadBytes?: number;
  readonly graceMs?: number;
}

/** Starts a process and speaks MCP over its standard input and output (MCP 2025-11-25, stdio transport). */
export function createStdioUpstream(options: StdioUpstreamOptions): Upstream {
  const { command, watchdog } = options;
  const { maxMessageBytes = defaultMaxMessageBytes, maxUnreadBytes = defaultMaxUnreadBytes } = options;
  let child: ResultPromise<ReturnType<typeof execaOptions>> | undefined;
  let closing: Promise<void> | undefined;
  let ended = false;
  let input: Buffer[] = [];
  let inputBytes = 0;
  const outputRead = createDeferred<void>();
  let waiting: (() => void)[] = [];

  function unreadBytes(): number {
    return (child?.stdin.writableLength ?? 0) + inputBytes;
  }

  function isWritable(): boolean {
    return ended || child?.stdin.writable !== true || unreadBytes() < maxWaitingBytes;
  }

  function goOn(): void {
    if (!isWritable()) return;
    const released = waiting;
    waiting = [];
    for (const callback of released) callback();
  }

  function start(events: UpstreamEvents): void {
    const stderr = createStderrTail(options.onStderr);
    const output = createLineSplitter({
      maxBytes: maxMessageBytes,
      onLine: readLine,
      onOverlong: readOverlong,
    });
    let reports = 0;

    function readLine(line: Buffer): void {
      if (ended || line.length === 0) return;
      const message = parseMessages(line);
      if (message.kind === 'batch') {
        for (const single of message.messages) events.onMessage(single);
      } else if (message.kind !== 'fault') {
        events.onMessage(message);
      } else {
        reportStray(line, message.reason);
        const id = idOfUnreadableResponse(line.subarray(0, edgeBytes), line.subarray(-edgeBytes));
        failAnswer(id, `the server's answer cannot be read: ${message.reason}`, 'message_unreadable');
      }
    }

    function reportStray(line: Buffer, reason: string): void {
      if (reports++ < maxReports) {
        const shown = sanitize(line.toString('utf8', 0, reportLength));
        const rest = reports === maxReports ? '; further ones are not reported' : '';
        options.onWarning(
          `the server wrote a line to stdout that is not a JSON-RPC message (${reason}), it was skipped: ${shown}${rest}`,
        );
      }
    }

    function readOverlong({ size, head, tail }: OverlongLine): void {
      const limit = `${maxMessageBytes} bytes that a message may have`;
      options.onWarning(`the server wrote a line of ${size} bytes to stdout, more than the ${limit}; it was dropped`);
      const message = `the server's answer of ${size} bytes is larger than the ${limit}`;
      failAnswer(idOfUnreadableResponse(head, tail), message, 'message_too_large');
    }

    /** The request whose answer it was fails, and nothing else. */
    function failAnswer(id: RequestId | undefined, message: string, reason: string): void {
      if (id !== undefined) readLine(errorResponse({ id, code: rpcCode.internalError, message, data: { reason } }));
    }

    function finish(reason: Omit<UpstreamEnd, 'stderr'>): void {
      if (ended) return;
      const rest = output.flush();
      // What the server did not finish to write: the calls that wait for it are told of its end.
      if (rest !== undefined && parseMessages(rest).kind === 'fault') reportStray(rest, 'it is not complete');
      else if (rest !== undefined) readLine(rest);
      ended = true;
      outputRead.resolve();
      goOn();
      stderr.end();
      events.onClose({ ...reason, stderr: stderr.text() });
    }

    const file = command.kind === 'argv' ? command.file : command.line;
    const notStarted = (cause: unknown): void =>
      finish({ reason: startFailure(options, cause), code: 'upstream_not_started' });
    let started: NonNullable<typeof child>;
    try {
      started = options.execa(file, command.kind === 'argv' ? command.args : [], execaOptions(options));
    } catch (cause) {
      // Arguments that no program can be given; told as late as every other failure to start.
      queueMicrotask(() => notStarted(cause));
      return;
    }
    child = started;
    if (started.pid === undefined) {
      void started.then(({ cause }) => notStarted(cause));
      return;
    }
    watchdog.guard(started.pid);
    started.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    started.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // A server that has closed its output can answer nothing any more.
    started.stdout.once('end', () => void close());
    // A server that is gone or has closed its input; its exit tells the rest.
    started.stdin.on('error', () => {});
    for (const event of ['drain', 'close'] as const) started.stdin.on(event, goOn);
    started.once('exit', (exitCode, signal) => {
      const reason: Omit<UpstreamEnd, 'stderr'> = {
        reason: exitCode === null ? `the server was ended by ${signal}` : `the server exited with code ${exitCode}`,
        code: 'upstream_exited',
        ...(exitCode === null ? {} : { exitCode }),
        ...(signal === null ? {} : { signal }),
      };
      started.once('close', () => finish(reason));
      setTimeout(() => finish(reason), lastOutputMs);
      void close();
    });
  }

  /** Also after an exit of the server's own accord: what it started may still be running. */
  function close(): Promise<void> {
    closing ??= end();
    return closing;
  }

  /** Messages that came in one turn of the event loop go to the server in one system call. */
  function flush(): void {
    const stdin = child?.stdin;
    if (stdin !== undefined && input.length > 0) {
      if (inputBytes <= maxJoinedBytes) {
        stdin.write(Buffer.concat(input, inputBytes));
      } else {
        stdin.cork();
        for (const part of input) stdin.write(part);
        stdin.uncork();
      }
    }
    input = [];
    inputBytes = 0;
  }

  async function end(): Promise<void> {
    const pid = child?.pid;
    if (child === undefined || pid === undefined) return;
    const { exitCode, signalCode, stdin, stdout, stderr } = child;
    // A paused output would keep the server from writing its last words, and so from ending.
    stdout.resume();
    const exited =
      exitCode !== null || signalCode !== null
        ? Promise.resolve()
        : new Promise((resolve) => child?.once('exit', resolve));
    await endProcessTree({
      pid,
      exited,
      endInput() {
        flush();
        stdin.end();
      },
      ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
    });
    watchdog.release(pid);
    // It has been, unless the kernel keeps the process in spite of SIGKILL.
    await settledWithin(outputRead.promise, 2 * lastOutputMs);
    for (const stream of [stdin, stdout, stderr]) stream.destroy();
  }

  return {
    start,
    send({ bytes }) {
      if (ended || child?.stdin.writable !== true || unreadBytes() > maxUnreadBytes) return false;
      input.push(bytes, lineBreak);
      inputBytes += bytes.length + 1;
      if (input.length === 2) setImmediate(flush);
      return true;
    },
    isWritable,
    whenWritable(callback) {
      if (isWritable()) callback();
      else waiting.push(callback);
    },
    pause: () => void child?.stdout.pause(),
    resume: () => void child?.stdout.resume(),
    close,
  };
}

function execaOptions({ command, cwd, env }: StdioUpstreamOptions) {
  return {
    shell: command.kind === 'shell',
    ...(cwd === undefined ? {} : { cwd }),
    env,
    extendEnv: false,
    // A group of its own, so that all of it can be ended, and Ctrl+C in the terminal reaches only us.
    detached: process.platform !== 'win32',
    cleanup: false,
    buffer: false,
    reject: false,
    encoding: 'buffer',
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    windowsHide: true,
  } as const;
}

function startFailure({ command, cwd }: StdioUpstreamOptions, cause: unknown): string {
  const shown = describeCommand(command);
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const why = (): string => {
    // The system says the same of a missing folder as of a missing program.
    if (cwd !== undefined && !isFolder(cwd)) return `there is no folder ${cwd}`;
    if (code === 'ENOENT') return `there is no command ${command.kind === 'argv' ? command.file : shown}`;
    if (code === 'EACCES' && command.kind === 'argv' && isFolder(command.file)) return `${command.file} is a folder`;
    if (code === 'EACCES') return `${shown} may not be executed`;
    return `${shown}: ${messageOf(cause)}`;
  };
  return `the server did not start: ${why()}`;
}

/** Never throws: a path that cannot be looked at is no folder to us. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
