import { envelopeKeys } from './envelope-keys.ts';
import type { Span } from './json/locate-members.ts';
import { NameTable, unclear } from './json/name-table.ts';
import { backslash, JsonScanner, openBrace, quote, smallN } from './json/scan.ts';

const zero = 0x30;

/** Messages that nest deeper are left to JSON.parse. */
const maxDepth = 64;

/** Most digits of a whole number that is always exact in JavaScript. */
const maxDigits = 15;

const versionTwo: Buffer = Buffer.from('"2.0"');

/** The members of a message by which it is told apart. */
const framing = nameTable(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);

/** Members of `params` that decide how a message is served, or are changed on the way to the server. */
const decisive = nameTable([
  '_meta',
  'progressToken',
  'name',
  'uri',
  'taskId',
  'requestId',
  'level',
  'protocolVersion',
]);

const inMeta = nameTable([...envelopeKeys, 'progressToken']);

interface Name {
  readonly text: string;
  /** Another bit for each name of a table. */
  readonly bit: number;
}

function nameTable(names: readonly string[]): NameTable<Name> {
  return new NameTable(new Map(names.map((text, index) => [text, { text, bit: 1 << index }])));
}

/** The methods of nearly all messages: comparing takes a few nanoseconds, decoding a string a hundred. */
const usualMethods = ['tools/call', 'notifications/progress', 'notifications/message', 'resources/read'];
const usualMethodBytes: readonly Buffer[] = usualMethods.map((method) => Buffer.from(method));

/** The parts of a JSON-RPC message that a bridge needs (JSON-RPC 2.0 §4 and §5, as restricted by MCP). */
export interface Envelope {
  readonly id: string | number | undefined;
  /** Where the id is written; undefined if the message was changed there, or before, since it was read. */
  readonly idSpan?: Span | undefined;
  /** Undefined in a response. */
  readonly method: string | undefined;
  readonly failed: boolean;
  /** Whether there may be a `params._meta`. */
  readonly mayHaveMeta: boolean;
  /** `params.progressToken` of a `notifications/progress`. */
  readonly progressToken: string | number | undefined;
  /** `params._meta.progressToken`, to which the progress of a request refers. */
  readonly requestToken: string | number | undefined;
}

/**
 * Reads the envelope of a message in the usual notation: on one line, with plain strings or whole numbers as id and progress
 * token, and no relevant name twice, with an escape or in other capitals, so that all parsers read the same. The whole message is
 * checked, but hardly any values are created: parsing 200 bytes takes twice as long and leaves a dozen objects, most of which are not
 * needed.
 * @param text valid UTF-8.
 * @returns what JSON.parse would find; undefined for another notation, or if it is not a message.
 */
export function envelopeOf(text: Buffer): Envelope | undefined {
  const found = new EnvelopeReader();
  const scanner = new JsonScanner(text);
  let at = scanner.enterObject(scanner.skipSpaces(0));
  while (scanner.isInObject(at)) {
    const nameEnd = scanner.skipString(at);
    const start = scanner.skipColon(nameEnd);
    at = start === -1 ? -1 : scanner.nextName(found.readMember(scanner, at, nameEnd, start));
  }
  return at !== -1 && scanner.skipSpaces(at + 1) === text.length && found.isMessage() ? found : undefined;
}

class EnvelopeReader implements Envelope {
  id: string | number | undefined;
  idSpan: Span | undefined;
  method: string | undefined;
  failed = false;
  mayHaveMeta = false;
  progressToken: string | number | undefined;
  requestToken: string | number | undefined;
  /** The bits of the names that have been found. */
  #found = 0;
  #foundInParams = 0;
  #foundInMeta = 0;

  /**
   * @param name where the name of the member begins, with its quote; it ends at `nameEnd`.
   * @param start where its value begins.
   * @returns where the value ends; -1 for an unusual notation.
   */
  readMember(scanner: JsonScanner, name: number, nameEnd: number, start: number): number {
    const { text } = scanner;
    const found = framing.find(text, name, nameEnd);
    if (found === undefined) return scanner.skipValue(start, maxDepth);
    if (found === unclear || (this.#found & found.bit) !== 0) return -1;
    this.#found |= found.bit;
    if (found.text === 'params' && text[start] === openBrace) return this.#readParams(scanner, start);
    const end = scanner.skipValue(start, maxDepth);
    if (end === -1) return -1;
    let isUsual = true;
    if (found.text === 'jsonrpc') {
      isUsual = isSame(text, start, end, versionTwo);
    } else if (found.text === 'id') {
      this.id = plainValue(text, start, end);
      this.idSpan = { start, end };
      isUsual = this.id !== undefined;
    } else if (found.text === 'method') {
      this.method = methodAt(text, start, end);
      isUsual = this.method !== undefined;
    } else if (found.text === 'error') {
      // Some servers add `"error": null` to a result.
      this.failed = text[start] !== smallN;
    }
    return isUsual ? end : -1;
  }

  #readParams(scanner: JsonScanner, objectStart: number): number {
    const { text } = scanner;
    let at = scanner.enterObject(objectStart);
    while (scanner.isInObject(at)) {
      const nameEnd = scanner.skipString(at);
      const start = scanner.skipColon(nameEnd);
      if (start === -1) return -1;
      const found = decisive.find(text, at, nameEnd);
      if (found === unclear || (found !== undefined && (this.#foundInParams & found.bit) !== 0)) return -1;
      this.#foundInParams |= found?.bit ?? 0;
      const isMeta = found?.text === '_meta';
      const end =
        isMeta && text[start] === openBrace ? this.#readMeta(scanner, start) : scanner.skipValue(start, maxDepth);
      if (end === -1) return -1;
      if (isMeta) {
        this.mayHaveMeta = true;
      } else if (found?.text === 'progressToken') {
        this.progressToken = plainValue(text, start, end);
        if (this.progressToken === undefined) return -1;
      }
      at = scanner.nextName(end);
    }
    return at === -1 ? -1 : at + 1;
  }

  #readMeta(scanner: JsonScanner, objectStart: number): number {
    const { text } = scanner;
    let at = scanner.enterObject(objectStart);
    while (scanner.isInObject(at)) {
      const nameEnd = scanner.skipString(at);
      const start = scanner.skipColon(nameEnd);
      const end = start === -1 ? -1 : scanner.skipValue(start, maxDepth);
      if (end === -1) return -1;
      const found = inMeta.find(text, at, nameEnd);
      if (found === unclear || (found !== undefined && (this.#foundInMeta & found.bit) !== 0)) return -1;
      this.#foundInMeta |= found?.bit ?? 0;
      if (found?.text === 'progressToken') {
        this.requestToken = plainValue(text, start, end);
        if (this.requestToken === undefined) return -1;
      }
      at = scanner.nextName(end);
    }
    return at === -1 ? -1 : at + 1;
  }

  isMessage(): boolean {
    if (!this.#has('jsonrpc')) return false;
    // A request that also has a result may be meant as a response.
    if (this.method !== undefined) return !this.#has('result') && !this.#has('error');
    return this.id !== undefined && this.failed !== this.#has('result');
  }

  #has(name: string): boolean {
    return (this.#found & (framing.get(name)?.bit ?? 0)) !== 0;
  }
}

function isNamed(text: Buffer, start: number, end: number, name: Buffer): boolean {
  return isSame(text, start + 1, end - 1, name);
}

function isSame(text: Buffer, start: number, end: number, bytes: Buffer): boolean {
  if (end - start !== bytes.length) return false;
  for (let at = 0; at < bytes.length; at++) if (text[start + at] !== bytes[at]) return false;
  return true;
}

function hasEscape(text: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (text[at] === backslash) return true;
  return false;
}

function methodAt(text: Buffer, start: number, end: number): string | undefined {
  for (let usual = 0; usual < usualMethods.length; usual++) {
    const bytes = usualMethodBytes[usual];
    if (bytes !== undefined && isNamed(text, start, end, bytes)) return usualMethods[usual];
  }
  return plainString(text, start, end);
}

function plainValue(text: Buffer, start: number, end: number): string | number | undefined {
  return text[start] === quote ? plainString(text, start, end) : wholeNumber(text, start, end);
}

/** The content of a string; undefined for other values, and for a string with an escape. */
function plainString(text: Buffer, start: number, end: number): string | undefined {
  if (text[start] !== quote || hasEscape(text, start, end)) return undefined;
  return text.toString('utf8', start + 1, end - 1);
}

/** Undefined for anything but a few digits. */
function wholeNumber(text: Buffer, start: number, end: number): number | undefined {
  if (end - start > maxDigits) return undefined;
  let number = 0;
  for (let at = start; at < end; at++) {
    const digit = (text[at] ?? 0) - zero;
    if (digit < 0 || digit > 9) return undefined;
    number = number * 10 + digit;
  }
  return number;
}
