/*
 * Everything that mcp-expose prints goes through this file. The rules:
 *
 * - Standard output has only the result: the summary on a terminal, one line otherwise, one JSON object per line with
 *   --json. Everything else goes to standard error after `mcp-expose: `, in lower case and without full stops.
 * - Lines of a server's standard error follow `[server] `, or its name if there are several.
 * - Almost every message contains text of servers, relays or agents. So control characters and line breaks are removed from
 *   text output, before colours are added; JSON escapes them.
 * - Without a terminal there are no questions, colours, spinners or boxes.
 * - The token is shown once, when it is new.
 * - If nobody reads a stream, lines are dropped instead of buffered, and their number is printed when it is read again.
 */
import { styleText } from 'node:util';

import { ExposeError, isOutOfFiles } from '../errors.ts';
import { sanitize } from '../platform/text/sanitize.ts';
import { createLineWriter } from './line-writer.ts';

/** The part of a spinner that is used here. */
export interface Spinner {
  text: string;
  clear(): unknown;
  stop(): unknown;
}

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: boolean;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: NodeJS.ProcessEnv;
}

export type Style = 'bold' | 'cyan' | 'green' | 'red' | 'yellow' | 'dim';

/** A part of a line, with or without a style. */
export type Part = string | readonly [style: Style, text: string];

export interface Output {
  /** Whether both streams are a terminal, without --json and --quiet. */
  readonly interactive: boolean;
  readonly json: boolean;
  /** Prints a line of the result, whole or in parts. */
  result(...parts: readonly Part[]): void;
  /** Resolves when the result has been passed on; with false if nobody reads it. For results of any length. */
  written(): Promise<boolean>;
  /** Prints a JSON event, with --json only. Events before `ready`, or before the error in its place, are printed after it. */
  event(event: Readonly<Record<string, unknown>>): void;
  /** A message that --quiet suppresses. */
  note(message: string): void;
  warning(message: string): void;
  /** The words of an alert, whose event is separate. */
  alert(message: string): void;
  /** A line that a server printed. @param server its name, if there are several. */
  serverLine(line: string, server?: string): void;
  /** A message that only --verbose shows. */
  detail(message: string): void;
  /** A message that --quiet does not suppress. */
  essential(message: string): void;
  error(error: unknown): void;
  /**
   * Shows a question, whose answer is typed after its last line. That line is shown again below what is printed meanwhile.
   * @returns a function to be called when the question is over.
   */
  question(lines: readonly string[]): () => void;
  /** Shows a spinner with this text, or changes its text; only on a terminal. */
  progress(text: string): Promise<void>;
  endProgress(): void;
}

/** The events with the result of a start, which scripts read from the first line. */
const outcomes = new Set(['ready', 'error', 'closed']);

/** Most events that are kept until the result of a start; further ones are dropped. */
const maxEarlyEvents = 1000;

export function createOutput(options: OutputOptions): Output {
  const { json, quiet, verbose, stdout, stderr, env } = options;
  const interactive = stdout.isTTY && stderr.isTTY && !json && !quiet && !isSet(env['CI']);
  let spinner: Spinner | undefined;
  let progressText = '';
  /** The events before the result, which has to be the first line. */
  let early: Readonly<Record<string, unknown>>[] | undefined = [];
  let earlyDropped = 0;
  // If the reader of the output goes away, the process goes on.
  for (const stream of [stdout, stderr]) {
    if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  }
  // ora counts lines in an endless loop on a terminal without a width.
  let wantsSpinner = interactive && stderr.columns > 0;

  let openQuestion: string | undefined;
  const toStderr = createLineWriter(
    stderr,
    (count) => `mcp-expose: ${unread('lines', count, 'error')}`,
    (line) => (openQuestion === undefined ? `${line}\n` : `\n${line}\n${openQuestion}`),
  );
  const toStdout = createLineWriter(stdout, (count) => {
    const message = unread(json ? 'events' : 'lines', count, 'output');
    return json ? JSON.stringify({ event: 'warning', message }) : `mcp-expose: ${message}`;
  });

  function say(line: () => string): void {
    spinner?.clear();
    toStderr.write(line);
  }

  function sayAlways(line: string): void {
    spinner?.clear();
    toStderr.writeAlways(line);
  }

  function print(line: string): void {
    spinner?.clear();
    toStdout.writeAlways(line);
  }

  const styleFor = (stream: NodeJS.WriteStream): ((style: Style, text: string) => string) =>
    wantsColor(options, stream) ? styleText : (_style, text) => text;
  const mark = styleFor(stderr);
  const markResult = styleFor(stdout);

  const output: Output = {
    interactive,
    json,
    result(...parts) {
      const texts = parts.map((part) =>
        typeof part === 'string' ? oneLine(part) : markResult(part[0], oneLine(part[1])),
      );
      print(texts.join(''));
    },
    written: () => new Promise((resolve) => stdout.write('', (error) => resolve((error ?? undefined) === undefined))),
    event(event) {
      if (!json) return;
      const isOutcome = typeof event['event'] === 'string' && outcomes.has(event['event']);
      if (early !== undefined && !isOutcome) {
        if (early.length < maxEarlyEvents) early.push(event);
        else earlyDropped++;
        return;
      }
      if (!isOutcome) {
        toStdout.write(() => JSON.stringify(event));
        return;
      }
      if (earlyDropped > 0) early?.push({ event: 'warning', message: `${earlyDropped} more events were dropped` });
      // In one write, so that a reader of the result also has the events before it.
      print([event, ...(early ?? [])].map((each) => JSON.stringify(each)).join('\n'));
      early = undefined;
    },
    note(message) {
      if (!quiet) say(() => `mcp-expose: ${oneLine(message)}`);
    },
    warning(message) {
      output.event({ event: 'warning', message });
      if (!quiet) say(() => `mcp-expose: ${mark('yellow', 'warning:')} ${oneLine(message)}`);
    },
    alert(message) {
      if (!quiet) say(() => `mcp-expose: ${mark('yellow', 'alert:')} ${oneLine(message)}`);
    },
    serverLine(line, server = 'server') {
      if (!quiet) say(() => `${mark('dim', `[${oneLine(server)}]`)} ${oneLine(line)}`);
    },
    detail(message) {
      if (verbose && !quiet) say(() => `mcp-expose: ${oneLine(message)}`);
    },
    essential: (message) => sayAlways(`mcp-expose: ${oneLine(message)}`),
    error(error) {
      const { code, message, hints } = readError(error);
      output.event({ event: 'error', code, message, hints });
      sayAlways(`mcp-expose: ${mark('red', 'error:')} ${oneLine(message)}`);
      for (const hint of hints) sayAlways(`mcp-expose: hint: ${indented(hint)}`);
      if (verbose && error instanceof Error && error.stack !== undefined) sayAlways(indented(error.stack));
    },
    question(lines) {
      const shown = lines.map(oneLine);
      stderr.write(shown.join('\n'));
      openQuestion = shown.at(-1);
      return () => {
        openQuestion = undefined;
      };
    },
    async progress(message) {
      progressText = oneLine(message);
      if (spinner !== undefined) spinner.text = progressText;
      if (!wantsSpinner || spinner !== undefined) return;
      // Loading takes 50 ms, only on a terminal; by then the start may be over, or the text outdated.
      const { default: ora } = await import('ora');
      if (!wantsSpinner || spinner !== undefined) return;
      const color = wantsColor(options, stderr) && 'cyan';
      spinner = ora({ text: progressText, stream: stderr, discardStdin: false, color }).start();
    },
    endProgress() {
      wantsSpinner = false;
      spinner?.stop();
      spinner = undefined;
    },
  };
  return output;
}

function unread(what: string, count: number, stream: string): string {
  return `${count} ${what} were dropped here, since standard ${stream} was not read`;
}

/** NO_COLOR and --no-color, then FORCE_COLOR, then whether it is a terminal (https://no-color.org). */
function wantsColor({ color, json, env }: OutputOptions, stream: NodeJS.WriteStream): boolean {
  if (!color || json || isSet(env['NO_COLOR'])) return false;
  if (isSet(env['FORCE_COLOR'])) return env['FORCE_COLOR'] !== '0';
  return stream.isTTY;
}

/** Removes everything that could move the cursor or begin a line that looks like another message of mcp-expose. */
function oneLine(text: string): string {
  return sanitize(text.replaceAll(/\s*[\r\n\u2028\u2029]\s*/g, ' '));
}

/** The same for a text of several lines: those after the first are indented. */
function indented(text: string): string {
  return text.split('\n').map(sanitize).join('\n  ');
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}

function readError(error: unknown): { code: string; message: string; hints: readonly string[] } {
  if (error instanceof ExposeError) return error;
  // Modules are files too, so a lazy import can fail for this reason.
  if (isOutOfFiles(error)) return new ExposeError('too_many_open_files', 'too many open files', { cause: error });
  return {
    code: 'internal',
    message: error instanceof Error ? error.message : String(error),
    hints: ['this is a bug in mcp-expose: please report it with the output of --verbose'],
  };
}
