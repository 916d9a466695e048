import {
  enterObject,
  isInObject,
  nextName,
  skipColon,
  skipSpaces,
  skipString,
  skipValue,
} from './json/checked-scan.ts';

const quote = 0x22;
const zero = 0x30;
const backslash = 0x5c;
const smallN = 0x6e;
const openBrace = 0x7b;

/** Deeper nesting is not usual. */
const maxDepth = 64;

/** A number with so many digits is exact, whatever they are. */
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

/** Those of nearly all messages: to compare them takes a few nanoseconds, to make a string of bytes a hundred. */
const usualMethods = ['tools/call', 'notifications/progress', 'notifications/message', 'resources/read'];
const usualMethodBytes: readonly Buffer[] = usualMethods.map((method) => Buffer.from(method));

/** What tells a JSON-RPC message apart (JSON-RPC 2.0 §4 and §5, as MCP narrows it). */
export interface Envelope {
  readonly id: string | number | undefined;
  /** Undefined in a response. */
  readonly method: string | undefined;
  /** Of a response: it has an error and no result. */
  readonly failed: boolean;
  /** Whether there may be a `params._meta`. */
  readonly mayHaveMeta: boolean;
  /** `params.progressToken`, which tells of what call a notification is the progress. */
  readonly progressToken: string | number | undefined;
}

/**
 * Reads a message that is written as nearly all are: on one line, its id and its progress token plain strings or whole
 * numbers, no name that matters twice or with an escape in it. All of it is checked, and little is made a value: to parse
 * a message of 200 bytes takes twice as long and leaves a dozen objects behind, most of which nobody looks at.
 * @param text valid UTF-8.
 * @returns what JSON.parse would find, or undefined: written in another way, or no message.
 */
export function envelopeOf(text: Buffer): Envelope | undefined {
  const found = new Findings();
  let at = enterObject(text, skipSpaces(text, 0));
  while (isInObject(text, at)) {
    const nameEnd = skipString(text, at);
    const start = nameEnd === -1 ? -1 : skipColon(text, nameEnd);
    const end = start === -1 ? -1 : found.read(text, at, nameEnd, start);
    at = end === -1 ? -1 : nextName(text, end);
  }
  return at !== -1 && skipSpaces(text, at + 1) === text.length && found.isMessage() ? found : undefined;
}

class Findings implements Envelope {
  id: string | number | undefined;
  method: string | undefined;
  failed = false;
  mayHaveMeta = false;
  progressToken: string | number | undefined;
  #hasVersion = false;
  #hasParams = false;
  #hasResult = false;
  #hasError = false;

  /**
   * @param name where the name begins, with its quote; it ends at `nameEnd`.
   * @param start where its value begins.
   * @returns where that ends; -1 for what is not written in the usual way.
   */
  read(text: Buffer, name: number, nameEnd: number, start: number): number {
    if (isNamed(text, name, nameEnd, paramsName)) {
      if (this.#hasParams) return -1;
      this.#hasParams = true;
      return text[start] === openBrace ? this.#readParams(text, start) : skipValue(text, start, maxDepth);
    }
    const end = skipValue(text, start, maxDepth);
    if (end === -1) return -1;
    let isUsual = true;
    if (isNamed(text, name, nameEnd, versionName)) {
      isUsual = !this.#hasVersion && isSame(text, start, end, versionTwo);
      this.#hasVersion = true;
    } else if (isNamed(text, name, nameEnd, idName)) {
      isUsual = this.id === undefined;
      this.id = plainValue(text, start, end);
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
      // Some servers write `"error": null` beside a result.
      this.failed = text[start] !== smallN;
    } else {
      isUsual = !hasEscape(text, name, nameEnd);
    }
    return isUsual ? end : -1;
  }

  #readParams(text: Buffer, objectStart: number): number {
    let at = enterObject(text, objectStart);
    while (isInObject(text, at)) {
      const nameEnd = skipString(text, at);
      const start = nameEnd === -1 ? -1 : skipColon(text, nameEnd);
      const end = start === -1 ? -1 : skipValue(text, start, maxDepth);
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
      at = nextName(text, end);
    }
    return at === -1 ? -1 : at + 1;
  }

  isMessage(): boolean {
    if (!this.#hasVersion) return false;
    // A request with the result of another one may be meant as its answer.
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

/** What stands between the quotes; undefined where that is no string, or would have to be unescaped. */
function plainString(text: Buffer, start: number, end: number): string | undefined {
  if (text[start] !== quote || hasEscape(text, start, end)) return undefined;
  return text.toString('utf8', start + 1, end - 1);
}

/** Undefined where it is anything but a few digits. */
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
