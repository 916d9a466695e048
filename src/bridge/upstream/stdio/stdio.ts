import type { execa, ResultPromise } from 'execa';

import { piecesOf, type Bytes } from '../../../platform/bytes.ts';
import { createDeferred, settledWithin } from '../../../platform/deferred.ts';
import type { RpcMessage } from '../../../mcp/json-rpc.ts';
import { createTextReader, type TextReader } from '../../../mcp/json/text-reader.ts';
import type { ServerCommand } from './command-line.ts';
import { createLineSplitter } from '../../../platform/process/line-splitter.ts';
import { readInSlices, type SlicedReading } from '../../../platform/process/read-in-slices.ts';
import { createMessageDecoder } from '../message-decoder.ts';
import { defaultMaxMessageBytes } from '../../limits.ts';
import { endProcessTree } from '../../../platform/process/process-tree.ts';
import { hearingSpawnErrors } from './spawn-errors.ts';
import { startFailure } from './start-failure.ts';
import { createStderrTail } from './stderr-tail.ts';
import { createWriteWindow } from './write-window.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream.ts';
import type { Watchdog } from '../../../platform/process/watchdog.ts';

/** After a server's exit its last output is still in the pipe; whoever holds the pipe open longer is not waited for. */
const lastOutputMs = 50;

/** Up to this size, copying messages together costs less than handing them to the system one by one, in bytes. */
const maxJoinedBytes = 64 * 1024;

/** After so many turns with one message alone, the next is not expected to have company either. */
const minTurnsOfOne = 4;

const newline = 0x0a;
const lineBreak: Buffer = Buffer.from([newline]);

/** A message that goes to the server now, or at the end of this turn of the event loop. */
interface Input {
  readonly bytes: Bytes;
  /** The server's pipe has taken it. */
  readonly release: () => void;
}

/** Each on a line of its own; copied by hand, which costs less than a list of all parts. */
function joined(messages: readonly Input[], size: number): Buffer {
  const whole = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { bytes } of messages) {
    for (const piece of piecesOf(bytes)) at += piece.copy(whole, at);
    whole[at++] = newline;
  }
  return whole;
}

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
  readonly writeWindowBytes?: number;
  readonly graceMs?: number;
}

/** Starts a process and speaks MCP over its standard input and output (MCP 2025-11-25, stdio transport). */
export function createStdioUpstream(options: StdioUpstreamOptions): Upstream {
  const { command, watchdog, onWarning, maxMessageBytes = defaultMaxMessageBytes } = options;
  const decoder = createMessageDecoder({
    maxMessageBytes,
    onWarning,
    isStdout: true,
    onLate: (messages) => deliver(messages),
  });
  const writeWindow = createWriteWindow(options.writeWindowBytes);
  let child: ResultPromise<ReturnType<typeof execaOptions>> | undefined;
  let closing: Promise<void> | undefined;
  let reading: SlicedReading | undefined;
  let errorReading: SlicedReading | undefined;
  let events: UpstreamEvents | undefined;
  let ended = false;
  let input: Input[] = [];
  /** How many messages were sent in this turn of the event loop, and in how many turns before there was one alone. */
  let sentInTurn = 0;
  let turnsOfOne = minTurnsOfOne;
  const outputRead = createDeferred<void>();

  function deliver(messages: readonly RpcMessage[]): void {
    for (const message of messages) {
      if (ended) return;
      const admitted = message.kind === 'response' ? decoder.admit(message) : message;
      if (admitted !== undefined) events?.onMessage(admitted);
    }
  }

  function start(given: UpstreamEvents): void {
    events = given;
    const stderr = createStderrTail(options.onStderr);
    /** Of a line that is not complete yet. */
    let reader: TextReader | undefined;
    const output = createLineSplitter({
      maxBytes: maxMessageBytes,
      onPart(part) {
        if (part === undefined) reader = undefined;
        else (reader ??= createTextReader()).push(part);
      },
      onLine(line) {
        const findings = reader?.end();
        reader = undefined;
        deliver(findings === undefined ? decoder.read(line) : decoder.read(line, { findings }));
      },
      onOverlong: (line, isOver) => deliver(decoder.overlong(line, isOver)),
    });

    function finish(reason: Omit<UpstreamEnd, 'stderr'>): void {
      if (ended) return;
      reading?.finish();
      errorReading?.finish();
      const rest = output.flush();
      // What the server did not finish to write: the calls that wait for it are told of its end.
      if (rest !== undefined) deliver(decoder.readLast(rest));
      ended = true;
      outputRead.resolve();
      writeWindow.end();
      stderr.end();
      given.onClose({ ...reason, stderr: stderr.text() });
    }

    const file = command.kind === 'argv' ? command.file : command.line;
    const notStarted = (cause: unknown): void =>
      finish({ ...startFailure(command, options.cwd, cause), code: 'upstream_not_started' });
    const args = command.kind === 'argv' ? command.args : [];
    let started: NonNullable<typeof child>;
    let systemReason: unknown;
    try {
      started = hearingSpawnErrors(
        () => options.execa(file, args, execaOptions(options)),
        (cause) => void (systemReason ??= cause),
      );
    } catch (cause) {
      // Arguments that no program can be given, or what the system tells a moment later.
      setImmediate(() => notStarted(systemReason ?? cause));
      return;
    }
    child = started;
    if (started.pid === undefined) {
      void started.then(({ cause }) => notStarted(cause));
      return;
    }
    watchdog.guard(started.pid);
    reading = readInSlices(started.stdout, output.push);
    errorReading = readInSlices(started.stderr, stderr.push);
    // A server that has closed its output can answer nothing any more.
    started.stdout.once('end', () => void close());
    // A server that is gone or has closed its input; its exit tells the rest.
    started.stdin.on('error', () => {});
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

  function endTurn(): void {
    turnsOfOne = sentInTurn === 1 ? turnsOfOne + 1 : 0;
    sentInTurn = 0;
    flush();
  }

  /** All that has not gone to the server yet goes in one system call. */
  function flush(): void {
    const stdin = child?.stdin;
    const messages = input;
    input = [];
    if (stdin === undefined || messages.length === 0) return;
    let size = 0;
    for (const { bytes } of messages) size += bytes.length + 1;
    if (size <= maxJoinedBytes) {
      stdin.write(joined(messages, size), () => {
        for (const { release } of messages) release();
      });
    } else {
      stdin.cork();
      for (const { bytes, release } of messages) {
        for (const piece of piecesOf(bytes)) stdin.write(piece);
        stdin.write(lineBreak, release);
      }
      stdin.uncork();
    }
  }

  async function end(): Promise<void> {
    const pid = child?.pid;
    if (child === undefined || pid === undefined) return;
    const { exitCode, signalCode, stdin, stdout, stderr } = child;
    // A paused output would keep the server from writing its last words, and so from ending.
    reading?.resume();
    const hasExited = exitCode !== null || signalCode !== null;
    const exited = hasExited ? undefined : new Promise((resolve) => child?.once('exit', resolve));
    await endProcessTree({
      pid,
      exited,
      // The way in which MCP asks a server to go (2025-11-25, stdio, shutdown).
      ask() {
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
    send(message) {
      const { bytes } = message;
      if (ended || events === undefined) return false;
      // It did not start, which `onClose` is about to tell, with the reason.
      if (child?.pid === undefined) return true;
      const release = child.stdin.writable ? writeWindow.add(bytes.length + 1) : false;
      if (release === false) return false;
      decoder.sent(message);
      input.push({ bytes, release });
      if (++sentInTurn === 1) {
        setImmediate(endTurn);
        // Where they come one by one, the server has it while we are still tidying up behind it.
        if (turnsOfOne >= minTurnsOfOne) flush();
      }
      return true;
    },
    isWritable: writeWindow.isWritable,
    whenWritable: writeWindow.whenWritable,
    pause: () => reading?.pause(),
    resume: () => reading?.resume(),
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
