import type { execa, ResultPromise } from 'execa';

import { piecesOf, type Bytes } from '../../../platform/bytes.ts';
import { createDeferred, settledWithin } from '../../../platform/deferred.ts';
import type { RpcMessage } from '../../../mcp/json-rpc.ts';
import { TextReader } from '../../../mcp/json/text-reader.ts';
import type { ServerCommand } from './command-line.ts';
import { createLineSplitter, type LineSplitter } from '../../../platform/process/line-splitter.ts';
import { readInSlices, type SlicedReading } from '../../../platform/process/read-in-slices.ts';
import { MessageDecoder } from '../message-decoder.ts';
import { defaultMaxMessageBytes } from '../../limits.ts';
import { endProcessTree } from '../../../platform/process/process-tree.ts';
import { hearingSpawnErrors } from './spawn-errors.ts';
import { startFailure } from './start-failure.ts';
import { createStderrTail, type StderrTail } from './stderr-tail.ts';
import { WriteWindow } from './write-window.ts';
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

type Child = ResultPromise<ReturnType<typeof execaOptions>>;

/** Starts a process and speaks MCP over its standard input and output (MCP 2025-11-25, stdio transport). */
export class StdioUpstream implements Upstream {
  readonly isWritable = (): boolean => this.#writeWindow.isWritable();
  readonly whenWritable = (callback: () => void): void => this.#writeWindow.whenWritable(callback);
  readonly pause = (): void => this.#reading?.pause();
  readonly resume = (): void => this.#reading?.resume();
  readonly #options: StdioUpstreamOptions;
  readonly #decoder: MessageDecoder;
  readonly #output: LineSplitter;
  readonly #stderr: StderrTail;
  readonly #writeWindow: WriteWindow;
  readonly #outputRead = createDeferred<void>();
  #events: UpstreamEvents | undefined;
  #child: Child | undefined;
  /** Of a line that is not complete yet. */
  #reader: TextReader | undefined;
  #reading: SlicedReading | undefined;
  #errorReading: SlicedReading | undefined;
  #input: Input[] = [];
  /** How many messages were sent in this turn of the event loop, and in how many turns before there was one alone. */
  #sentInTurn = 0;
  #turnsOfOne = minTurnsOfOne;
  #ended = false;
  #closing: Promise<void> | undefined;

  constructor(options: StdioUpstreamOptions) {
    const { onWarning, maxMessageBytes = defaultMaxMessageBytes } = options;
    this.#options = options;
    this.#decoder = new MessageDecoder({
      maxMessageBytes,
      onWarning,
      isStdout: true,
      onLate: (messages) => this.#deliver(messages),
    });
    this.#output = createLineSplitter({
      maxBytes: maxMessageBytes,
      onPart: (part) => {
        if (part === undefined) this.#reader = undefined;
        else (this.#reader ??= new TextReader()).push(part);
      },
      onLine: (line) => {
        const findings = this.#reader?.end();
        this.#reader = undefined;
        this.#deliver(findings === undefined ? this.#decoder.read(line) : this.#decoder.read(line, { findings }));
      },
      onOverlong: (line, isOver) => this.#deliver(this.#decoder.overlong(line, isOver)),
    });
    this.#stderr = createStderrTail(options.onStderr);
    this.#writeWindow = new WriteWindow(options.writeWindowBytes);
  }

  start(events: UpstreamEvents): void {
    this.#events = events;
    let systemReason: unknown;
    try {
      this.#child = hearingSpawnErrors(
        () => this.#spawn(),
        (cause) => void (systemReason ??= cause),
      );
    } catch (cause) {
      // Arguments that no program can be given, or what the system tells a moment later.
      setImmediate(() => this.#finishUnstarted(systemReason ?? cause));
      return;
    }
    if (this.#child.pid === undefined) void this.#child.then(({ cause }) => this.#finishUnstarted(cause));
    else this.#follow(this.#child, this.#child.pid);
  }

  send(message: RpcMessage): boolean {
    const { bytes } = message;
    if (this.#ended || this.#events === undefined) return false;
    // It did not start, which `onClose` is about to tell, with the reason.
    if (this.#child?.pid === undefined) return true;
    const release = this.#child.stdin.writable ? this.#writeWindow.add(bytes.length + 1) : false;
    if (release === false) return false;
    this.#decoder.sent(message);
    this.#input.push({ bytes, release });
    if (++this.#sentInTurn === 1) {
      setImmediate(this.#endTurn);
      // Where they come one by one, the server has it while we are still tidying up behind it.
      if (this.#turnsOfOne >= minTurnsOfOne) this.#flush();
    }
    return true;
  }

  /** Also after an exit of the server's own accord: what it started may still be running. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  #spawn(): Child {
    const { command, execa: run } = this.#options;
    const [file, args] = command.kind === 'argv' ? [command.file, command.args] : [command.line, []];
    return run(file, args, execaOptions(this.#options));
  }

  #follow(child: Child, pid: number): void {
    this.#options.watchdog.guard(pid);
    this.#reading = readInSlices(child.stdout, this.#output.push);
    this.#errorReading = readInSlices(child.stderr, this.#stderr.push);
    // A server that has closed its output can answer nothing any more.
    child.stdout.once('end', () => void this.close());
    // A server that is gone or has closed its input; its exit tells the rest.
    child.stdin.on('error', () => {});
    child.once('exit', (exitCode, signal) => {
      const reason: Omit<UpstreamEnd, 'stderr'> = {
        reason: exitCode === null ? `the server was ended by ${signal}` : `the server exited with code ${exitCode}`,
        code: 'upstream_exited',
        ...(exitCode === null ? {} : { exitCode }),
        ...(signal === null ? {} : { signal }),
      };
      child.once('close', () => this.#finish(reason));
      setTimeout(() => this.#finish(reason), lastOutputMs);
      void this.close();
    });
  }

  #deliver(messages: readonly RpcMessage[]): void {
    for (const message of messages) {
      if (this.#ended) return;
      const admitted = message.kind === 'response' ? this.#decoder.admit(message) : message;
      if (admitted !== undefined) this.#events?.onMessage(admitted);
    }
  }

  readonly #endTurn = (): void => {
    this.#turnsOfOne = this.#sentInTurn === 1 ? this.#turnsOfOne + 1 : 0;
    this.#sentInTurn = 0;
    this.#flush();
  };

  /** All that has not gone to the server yet goes in one system call. */
  #flush(): void {
    const stdin = this.#child?.stdin;
    const messages = this.#input;
    this.#input = [];
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

  #finishUnstarted(cause: unknown): void {
    const { command, cwd } = this.#options;
    this.#finish({ ...startFailure(command, cwd, cause), code: 'upstream_not_started' });
  }

  #finish(reason: Omit<UpstreamEnd, 'stderr'>): void {
    if (this.#ended) return;
    this.#reading?.finish();
    this.#errorReading?.finish();
    const rest = this.#output.flush();
    // What the server did not finish to write: the calls that wait for it are told of its end.
    if (rest !== undefined) this.#deliver(this.#decoder.readLast(rest));
    this.#ended = true;
    this.#outputRead.resolve();
    this.#writeWindow.end();
    this.#stderr.end();
    this.#events?.onClose({ ...reason, stderr: this.#stderr.text() });
  }

  async #end(): Promise<void> {
    const child = this.#child;
    const pid = child?.pid;
    if (child === undefined || pid === undefined) return;
    const { exitCode, signalCode, stdin, stdout, stderr } = child;
    const { watchdog, graceMs } = this.#options;
    // A paused output would keep the server from writing its last words, and so from ending.
    this.#reading?.resume();
    const hasExited = exitCode !== null || signalCode !== null;
    await endProcessTree({
      pid,
      exited: hasExited ? undefined : new Promise((resolve) => child.once('exit', resolve)),
      // The way in which MCP asks a server to go (2025-11-25, stdio, shutdown).
      ask: () => {
        this.#flush();
        stdin.end();
      },
      ...(graceMs === undefined ? {} : { graceMs }),
    });
    watchdog.release(pid);
    // It has been, unless the kernel keeps the process in spite of SIGKILL.
    await settledWithin(this.#outputRead.promise, 2 * lastOutputMs);
    for (const stream of [stdin, stdout, stderr]) stream.destroy();
  }
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
