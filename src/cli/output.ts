/*
 * Everything that mcp-expose prints goes through this file. The rules:
 *
 * - Standard output carries the result and nothing else: the summary on a terminal, one line off a terminal, one JSON
 *   object per line with --json. All else goes to standard error behind `mcp-expose: `, without capital initials and
 *   without full stops.
 * - What a server writes to its standard error stands behind `[server] `, or its name where there are several.
 * - Words of others (servers, relays, agents) are in almost every message. What is printed for people therefore loses
 *   control characters and line breaks here, before our own colours are added; JSON escapes them.
 * - A missing terminal is never consent, and never gets colours, spinners or boxes.
 * - The token is shown once, when it is new.
 * - A stream that nobody reads costs lines, not memory: what is dropped is counted, and told when it is read again.
 */
import { styleText } from 'node:util';

import { ExposeError, isOutOfFiles } from '../errors.ts';
import { sanitize } from '../platform/text/sanitize.ts';
import { createLineWriter } from './line-writer.ts';

/** A spinner, as far as it is used here. */
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

/** A piece of a line, in a style of its own or in none. */
export type Part = string | readonly [style: Style, text: string];

export interface Output {
  /** Whether a person is watching: a terminal on both streams, and no wish for JSON or silence. */
  readonly interactive: boolean;
  readonly json: boolean;
  /** Prints a line of the result, whole or in parts. */
  result(...parts: readonly Part[]): void;
  /** Prints a JSON event, with --json only. What comes before `ready`, or the error in its place, waits for it. */
  event(event: Readonly<Record<string, unknown>>): void;
  /** Something that the user should know; not shown with --quiet. */
  note(message: string): void;
  warning(message: string): void;
  /** A server's own words. @param server its name, where there are several. */
  serverLine(line: string, server?: string): void;
  /** Only with --verbose. */
  detail(message: string): void;
  /** Something that the user cannot do without. */
  essential(message: string): void;
  error(error: unknown): void;
  /** Shows a spinner with this text, or changes its text; only on a terminal. */
  progress(text: string): Promise<void>;
  endProgress(): void;
}

/** What becomes of a start; a script learns it from the first line. */
const outcomes = new Set(['ready', 'error', 'closed']);

/** Events that wait for the outcome of a start; further ones are dropped. */
const maxEarlyEvents = 1000;

export function createOutput(options: OutputOptions): Output {
  const { json, quiet, verbose, stdout, stderr, env } = options;
  const interactive = stdout.isTTY && stderr.isTTY && !json && !quiet && !isSet(env['CI']);
  let spinner: Spinner | undefined;
  let progressText = '';
  /** Until the outcome is known: a script reads it from the first line. */
  let early: Readonly<Record<string, unknown>>[] | undefined = [];
  let earlyDropped = 0;
  // Whoever reads what we print may stop; that ends neither the sharing nor the process.
  for (const stream of [stdout, stderr]) {
    if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  }
  // A terminal that does not know its width has none, and ora would count its lines for ever.
  let wantsSpinner = interactive && stderr.columns > 0;

  const toStderr = createLineWriter(stderr, (count) => `mcp-expose: ${unread('lines', count, 'error')}`);
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
      // In one piece: who reads the outcome has what came before it, too.
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
    async progress(message) {
      progressText = oneLine(message);
      if (spinner !== undefined) spinner.text = progressText;
      if (!wantsSpinner || spinner !== undefined) return;
      // 50 ms that only a terminal has to pay; by then the start may be over, or have come further.
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

/** Nothing that moves the cursor, and no line that could be taken for another message of ours. */
function oneLine(text: string): string {
  return sanitize(text.replaceAll(/\s*[\r\n\u2028\u2029]\s*/g, ' '));
}

/** The same for a text of several lines: those after the first are set off from messages of ours. */
function indented(text: string): string {
  return text.split('\n').map(sanitize).join('\n  ');
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}

function readError(error: unknown): { code: string; message: string; hints: readonly string[] } {
  if (error instanceof ExposeError) return error;
  // Modules, too, are files.
  if (isOutOfFiles(error)) return new ExposeError('too_many_open_files', 'too many open files', { cause: error });
  return {
    code: 'internal',
    message: error instanceof Error ? error.message : String(error),
    hints: ['this is a bug in mcp-expose: please report it with the output of --verbose'],
  };
}
