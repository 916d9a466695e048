import type { Span } from './json/locate-members.ts';
import { backslash, JsonScanner, openBrace, quote, smallN } from './json/scan.ts';

const zero = 0x30;

/** Messages that nest deeper are left to JSON.parse. */
const maxDepth = 64;

/** Most digits of a whole number that is always exact in JavaScript. */
const maxDigits = 15;

const versionTwo: Buffer = Buffer.from('"2.0"');

const versionName: Buffer = Buffer.from('jsonrpc');
const idName: Buffer = Buffer.from('id');
const methodName: Buffer = Buffer.from('method');
const paramsName: Buffer = Buffer.from('params');
const resultName: Buffer = Buffer.from('result');
const errorName: Buffer = Buffer.from('error');
const metaName: Buffer = Buffer.from('_meta');
const progressTokenName: Buffer = Buffer.from('progressToken');

/** The methods of nearly all messages: comparing takes a few nanoseconds, decoding a string a hundred. */
const usualMethods = ['tools/call', 'notifications/progress', 'notifications/message', 'resources/read'];
const usualMethodBytes: readonly Buffer[] = usualMethods.map((method) => Buffer.from(method));

/** The parts of a JSON-RPC message that a bridge needs (JSON-RPC 2.0 §4 and §5, as restricted by MCP). */
export interface Envelope {
  readonly id: string | number | undefined;
  /** Where the id is written; undefined if the message has been changed since it was read. */
  readonly idSpan?: Span | undefined;
  /** Undefined in a response. */
  readonly method: string | undefined;
  readonly failed: boolean;
  /** Whether there may be a `params._meta`. */
  readonly mayHaveMeta: boolean;
  /** `params.progressToken` of a `notifications/progress`. */
  readonly progressToken: string | number | undefined;
}

/**
 * Reads the envelope of a message in the usual notation: on one line, with plain strings or whole numbers as id and progress
 * token, and no relevant name twice or with an escape. The whole message is checked, but hardly any values are created:
 * parsing 200 bytes takes twice as long and leaves a dozen objects, most of which are not needed.
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
  #hasVersion = false;
  #hasParams = false;
  #hasResult = false;
  #hasError = false;

  /**
   * @param name where the name of the member begins, with its quote; it ends at `nameEnd`.
   * @param start where its value begins.
   * @returns where the value ends; -1 for an unusual notation.
   */
  readMember(scanner: JsonScanner, name: number, nameEnd: number, start: number): number {
    const { text } = scanner;
    if (isNamed(text, name, nameEnd, paramsName)) {
      if (this.#hasParams) return -1;
      this.#hasParams = true;
      return text[start] === openBrace ? this.#readParams(scanner, start) : scanner.skipValue(start, maxDepth);
    }
    const end = scanner.skipValue(start, maxDepth);
    if (end === -1) return -1;
    let isUsual = true;
    if (isNamed(text, name, nameEnd, versionName)) {
      isUsual = !this.#hasVersion && isSame(text, start, end, versionTwo);
      this.#hasVersion = true;
    } else if (isNamed(text, name, nameEnd, idName)) {
      isUsual = this.id === undefined;
      this.id = plainValue(text, start, end);
      this.idSpan = { start, end };
      isUsual &&= this.id !== undefined;
    } else if (isNamed(text, name, nameEnd, methodName)) {
      isUsual = this.method === undefined;
      this.method = methodAt(text, start, end);
      isUsual &&= this.method !== undefined;
    } else if (isNamed(text, name, nameEnd, resultName)) {
      isUsual = !this.#hasResult;
      this.#hasResult = true;
    } else if (isNamed(text, name, nameEnd, errorName)) {
      isUsual = !this.#hasError;
      this.#hasError = true;
      // Some servers add `"error": null` to a result.
      this.failed = text[start] !== smallN;
    } else {
      isUsual = !hasEscape(text, name, nameEnd);
    }
    return isUsual ? end : -1;
  }

  #readParams(scanner: JsonScanner, objectStart: number): number {
    const { text } = scanner;
    let at = scanner.enterObject(objectStart);
    while (scanner.isInObject(at)) {
      const nameEnd = scanner.skipString(at);
      const start = scanner.skipColon(nameEnd);
      const end = start === -1 ? -1 : scanner.skipValue(start, maxDepth);
      if (end === -1) return -1;
      if (isNamed(text, at, nameEnd, metaName)) {
        this.mayHaveMeta = true;
      } else if (isNamed(text, at, nameEnd, progressTokenName)) {
        if (this.progressToken !== undefined) return -1;
        this.progressToken = plainValue(text, start, end);
        if (this.progressToken === undefined) return -1;
      } else if (hasEscape(text, at, nameEnd)) {
        return -1;
      }
      at = scanner.nextName(end);
    }
    return at === -1 ? -1 : at + 1;
  }

  isMessage(): boolean {
    if (!this.#hasVersion) return false;
    // A request that also has a result may be meant as a response.
    if (this.method !== undefined) return !this.#hasResult && !this.#hasError;
    return this.id !== undefined && this.failed !== this.#hasResult;
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
