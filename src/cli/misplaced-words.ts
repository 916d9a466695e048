import { Option, type Command } from './commander.ts';

import { ExposeError } from '../errors.ts';
import { specOf } from '../expose/option-table.ts';
import { redactCommand, redactUrl, redactWord, redactWords, shellQuote } from '../platform/text/redact.ts';

/** An option as it was given: `['--port', '1']` or `['--port=1']`. */
interface GivenOption {
  readonly long: string;
  readonly words: readonly string[];
  readonly value: string;
}

/** The known options, up to the first word that is neither an option nor its value, and the words from there on. */
interface Reading {
  readonly given: readonly GivenOption[];
  readonly rest: readonly string[];
}

/** The command line, as `main` has split it. */
export interface CommandLine {
  readonly program: Command;
  /** The words before the first `--`. */
  readonly own: readonly string[];
  /** The words after it. */
  readonly serverCommand: readonly string[];
}

const serverOptions: ReadonlySet<string> = new Set(['--stdio', '--http', '--sse', '--config']);

/** The programs that usually start MCP servers, or a file. */
const looksLikeCommand =
  /^(?:npx|npm|pnpm|yarn|bunx?|deno|node|tsx|uvx?|pipx?|python[\d.]*|docker|podman|java|dotnet|go|cargo|ruby|php|bash|sh|mcp-.*)$|^[.~]{0,2}\/|\.(?:[cm]?[jt]s|py|sh|exe|cmd|jar)$/;

/** `--`, and the dashes into which word processors change it. */
const dashes = /^[-–—]+$/;

/**
 * Rejects words in the place of options, usually because of a forgotten `--`, and shows the corrected command line. Values
 * that may be secret are not shown.
 * @throws ExposeError `usage`.
 */
export function refuseMisplacedWords({ program, own, serverCommand }: CommandLine): void {
  const { given, rest } = readOptions(program, own);
  const [word, ...after] = rest;
  const last = given.at(-1);
  if (word === undefined || given.some(({ long }) => long === '--help' || long === '--version')) return;
  const subcommand = program.commands.find((command) => command.name() === word);
  if (subcommand !== undefined) {
    const stray = argumentsOf(subcommand, after)[subcommand.registeredArguments.length];
    if (stray !== undefined) throw unexpected(stray, [`mcp-expose ${word} --help`]);
    return;
  }
  const stdio = given.find(({ long }) => long === '--stdio');
  if (word.startsWith('-') && !dashes.test(word)) {
    // After --stdio, this is a word of a command without quotes. Otherwise it is an unknown option.
    const isOfCommand = stdio !== undefined && !/\s/.test(stdio.value) && (last === stdio || !word.startsWith('--'));
    if (!isOfCommand) return;
  }
  if (word === 'help' || word === 'version') {
    const topic = program.commands.some((command) => command.name() === after[0]) ? `${after[0]} ` : '';
    throw unexpected(word, [`mcp-expose ${topic}--${word}`]);
  }
  if (last !== undefined && isHalfOfValue(last, word, given)) {
    throw new ExposeError('usage', `unexpected argument after the value of ${last.long}`, {
      hints: [
        'put a value with blanks in quotes, as in: --upstream-header "Authorization: Bearer …"',
        'write the command of the server after --, as in: mcp-expose -- npx -y @modelcontextprotocol/server-filesystem .',
      ],
    });
  }
  const isServerKnown = given.some(({ long }) => serverOptions.has(long) && long !== '--stdio');
  if (isServerKnown) throw unexpected(word, ['mcp-expose --help lists the options']);
  const others = given.filter((option) => option !== stdio);
  if (stdio === undefined && /^https?:\/\//i.test(word)) {
    const option = /\/sse\/?$/.test(word) ? '--sse' : '--http';
    throw unexpected(word, [`did you mean: ${commandLine(others, [option, redactUrl(word)])}`]);
  }
  if (stdio === undefined && /\.jsonc?$/i.test(word)) {
    throw unexpected(word, [`did you mean: ${commandLine(others, ['--config', word])}`]);
  }
  const command = [
    ...(stdio === undefined ? [] : [stdio.value]),
    ...rest.filter((part, at) => at > 0 || !dashes.test(part)),
    ...(serverCommand.length === 0 ? [] : ['--', ...serverCommand]),
  ];
  const corrected = `write -- before the command: ${commandLine(others, serverPart(command))}`;
  const mine = ownOptionsIn(program, command);
  if (mine.given.length === 0) throw unexpected(word, [corrected]);
  const names = mine.given.map(({ long }) => long).join(', ');
  const split = commandLine([...others, ...mine.given], serverPart(mine.rest));
  throw unexpected(word, [corrected, `or, to give ${names} to mcp-expose: ${split}`]);
}

/** The correction of a command that was quoted as one word after `--`; empty if it was not. */
export function unquotedCommandHints({ program, own, serverCommand }: CommandLine): readonly string[] {
  const [command = '', ...args] = serverCommand;
  if (args.length > 0 || !/\s/.test(command.trim())) return [];
  return withMaskHint([
    `write it without the quotes: ${commandLine(readOptions(program, own).given, serverPart([command]))}`,
  ]);
}

/** The options of the main program that were given before a command, as they would be written after it. */
export function writtenOptions(program: Command, own: readonly string[], longs: readonly string[]): string {
  const given = readOptions(program, own).given.filter(({ long }) => longs.includes(long));
  return given.flatMap(redactOption).map(shellQuote).join(' ');
}

function readOptions(command: Command, words: readonly string[]): Reading {
  const known = [...command.options, new Option('-h, --help')];
  const given: GivenOption[] = [];
  for (let at = 0; at < words.length;) {
    const word = words[at] ?? '';
    const [name, attached] = word.startsWith('--') ? word.split(/=(.*)/s) : [word];
    const option = known.find(({ long, short }) => name === long || name === short);
    if (option === undefined) return { given, rest: words.slice(at) };
    const length = option.required && attached === undefined ? 2 : 1;
    const value = attached ?? words[at + 1] ?? '';
    given.push({ long: option.long ?? '', words: words.slice(at, at + length), value });
    at += length;
  }
  return { given, rest: [] };
}

/** The words of a command that are no options; up to an option that is not known. */
function argumentsOf(command: Command, words: readonly string[]): string[] {
  const found: string[] = [];
  let [word, ...after] = readOptions(command, words).rest;
  while (word !== undefined && (!word.startsWith('-') || dashes.test(word))) {
    found.push(word);
    [word, ...after] = readOptions(command, after).rest;
  }
  return found;
}

/** The options of mcp-expose among the words of a command, and the other words. */
function ownOptionsIn(program: Command, command: readonly string[]): Reading {
  const given: GivenOption[] = [];
  const rest: string[] = [];
  const end = command.includes('--') ? command.indexOf('--') : command.length;
  for (let at = 0; at < end;) {
    const [option] = at === 0 ? [] : readOptions(program, command.slice(at, end)).given;
    if (option === undefined || option.long === '--help' || option.long === '--version') rest.push(command[at++] ?? '');
    else {
      given.push(option);
      at += option.words.length;
    }
  }
  return { given, rest: [...rest, ...command.slice(end)] };
}

/** Options whose value may contain a secret: words that may be the rest of the value are not shown. */
function isHalfOfValue({ long, value }: GivenOption, word: string, given: readonly GivenOption[]): boolean {
  if (long === '--upstream-header') return true;
  if (long !== '--env') return false;
  return given.some((other) => serverOptions.has(other.long)) || value.endsWith('=') || !looksLikeCommand.test(word);
}

/** The words of the server's command; the first may be a whole command in one text. */
function serverPart([first = '', ...rest]: readonly string[]): string[] {
  if (!/["'\\$`|&;<>()*~#]|^\w+=/.test(first)) return ['--', ...redactWords([...first.trim().split(/\s+/), ...rest])];
  return ['--stdio', redactCommand([first, ...rest.map(shellQuote)].join(' '))];
}

/** As a user would type it. */
function commandLine(given: readonly GivenOption[], server: readonly string[]): string {
  return ['mcp-expose', ...given.flatMap(redactOption), ...server].map(shellQuote).join(' ');
}

function redactOption({ long, words, value }: GivenOption): string[] {
  if (words.length === 2 && value === '') return [...words];
  const shown = redactValue(long, value);
  return words.length === 2 ? [long, shown] : words[0]?.includes('=') === true ? [`${long}=${shown}`] : [...words];
}

/** The value of an option of mcp-expose, with possible secrets replaced. */
export function redactValue(long: string, value: string): string {
  const secrecy = specOf(long)?.secrecy;
  if (secrecy === 'command') return redactCommand(value);
  if (secrecy === 'url') return redactUrl(value);
  // A reference to an environment variable is not a secret.
  if (long === '--upstream-header' && /^[\w-]+:\s*(?:\w+ )?\$\{env:\w+\}$/.test(value)) return value;
  if (long === '--upstream-header') return value.replace(/^(?:([\w-]+:).*|.*)$/s, '$1 …').trim();
  return redactWord(value);
}

function unexpected(word: string, hints: readonly string[]): ExposeError {
  return new ExposeError('usage', `unexpected argument: ${shellQuote(redactCommand(word))}`, {
    hints: withMaskHint(hints),
  });
}

function withMaskHint(hints: readonly string[]): readonly string[] {
  const isMasked = hints.some((hint) => hint.includes('…'));
  return isMasked ? [...hints, '… replaces a possible secret: write your own value'] : hints;
}
