import { escapable, hexDigits, marks } from './string-bytes.ts';
import { readStrings, startOfString, type StringReader } from './string-reader.ts';

// Goes through a JSON text (RFC 8259) that stands on one line, byte by byte and without making values of it. What is
// passed over is checked as a parser would. Each function takes the place where something begins and returns the one
// behind it, or -1: there is something else, or white space that is no blank.

/** A text to go through, valid UTF-8. */
export interface Line {
  readonly text: Buffer;
  /** Made when the first long string is met. */
  strings?: StringReader;
}

const blank = 0x20;
const quote = 0x22;
const plus = 0x2b;
const comma = 0x2c;
const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;
const nine = 0x39;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const smallE = 0x65;
const smallF = 0x66;
const smallN = 0x6e;
const smallT = 0x74;
const smallU = 0x75;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** A string that is longer is read faster with others than byte by byte, in bytes. */
const shortStringBytes = 64;

/** Makes a capital letter small. */
const smallBit = 0x20;

const trueWord: Buffer = Buffer.from('true');
const falseWord: Buffer = Buffer.from('false');
const nullWord: Buffer = Buffer.from('null');

export function skipBlanks(text: Buffer, from: number): number {
  let at = from;
  while (at < text.length && text[at] === blank) at++;
  return at;
}

/** @returns where the first name of the object is, or the brace that ends it. */
export function enterObject(text: Buffer, at: number): number {
  return text[at] === openBrace ? skipBlanks(text, at + 1) : -1;
}

/** @param at what `enterObject` or `nextName` has returned. */
export function isInObject(text: Buffer, at: number): boolean {
  return at !== -1 && text[at] !== closeBrace;
}

/** From behind a name to its value. */
export function skipColon(text: Buffer, from: number): number {
  const at = skipBlanks(text, from);
  return text[at] === colon ? skipBlanks(text, at + 1) : -1;
}

/** From behind a value: where the next name of the object is, or the brace that ends it. */
export function nextName(text: Buffer, from: number): number {
  const at = skipBlanks(text, from);
  if (text[at] === closeBrace) return at;
  if (text[at] !== comma) return -1;
  const next = skipBlanks(text, at + 1);
  return text[next] === quote ? next : -1;
}

/** @param maxDepth how deep arrays and objects may nest in it. */
export function skipValue(line: Line, at: number, maxDepth: number): number {
  const { text } = line;
  switch (text[at]) {
    case quote:
      return skipString(line, at);
    case openBrace:
      return maxDepth === 0 ? -1 : skipObject(line, at, maxDepth - 1);
    case openBracket:
      return maxDepth === 0 ? -1 : skipArray(line, at, maxDepth - 1);
    case smallT:
      return skipWord(text, at, trueWord);
    case smallF:
      return skipWord(text, at, falseWord);
    case smallN:
      return skipWord(text, at, nullWord);
    default:
      return skipNumber(text, at);
  }
}

export function skipString(line: Line, start: number): number {
  const { text } = line;
  if (text[start] !== quote) return -1;
  const near = Math.min(text.length, start + 1 + shortStringBytes);
  let at = start + 1;
  for (; at < near; at++) {
    const byte = text[at] ?? 0;
    if (marks[byte] === 0) continue;
    if (byte === quote) return at + 1;
    const length = byte === backslash ? lengthOfEscape(text, at + 1) : 0;
    if (length === 0) return -1;
    at += length;
  }
  line.strings ??= readStrings(text);
  const end = line.strings.endOf(at, startOfString());
  return end === -1 || end >= text.length ? -1 : end + 1;
}

function skipObject(line: Line, start: number, maxDepth: number): number {
  const { text } = line;
  let at = enterObject(text, start);
  while (isInObject(text, at)) {
    const nameEnd = skipString(line, at);
    const value = nameEnd === -1 ? -1 : skipColon(text, nameEnd);
    const end = value === -1 ? -1 : skipValue(line, value, maxDepth);
    at = end === -1 ? -1 : nextName(text, end);
  }
  return at === -1 ? -1 : at + 1;
}

function skipArray(line: Line, start: number, maxDepth: number): number {
  const { text } = line;
  let at = skipBlanks(text, start + 1);
  if (text[at] === closeBracket) return at + 1;
  for (;;) {
    const end = skipValue(line, at, maxDepth);
    if (end === -1) return -1;
    at = skipBlanks(text, end);
    if (text[at] === closeBracket) return at + 1;
    if (text[at] !== comma) return -1;
    at = skipBlanks(text, at + 1);
  }
}

function skipWord(text: Buffer, start: number, word: Buffer): number {
  for (let at = 0; at < word.length; at++) if (text[start + at] !== word[at]) return -1;
  return start + word.length;
}

/** RFC 8259 §6. */
function skipNumber(text: Buffer, start: number): number {
  const first = text[start] === minus ? start + 1 : start;
  let at = text[first] === zero ? first + 1 : skipDigits(text, first);
  if (at !== -1 && text[at] === point) at = skipDigits(text, at + 1);
  if (at !== -1 && ((text[at] ?? 0) | smallBit) === smallE) {
    const sign = text[at + 1];
    at = skipDigits(text, sign === plus || sign === minus ? at + 2 : at + 1);
  }
  return at;
}

function skipDigits(text: Buffer, start: number): number {
  let at = start;
  for (; at < text.length; at++) {
    const byte = text[at] ?? 0;
    if (byte < zero || byte > nine) break;
  }
  return at === start ? -1 : at;
}

/** Of what stands behind a backslash, in bytes; 0 where that is no escape. */
function lengthOfEscape(text: Buffer, at: number): number {
  const byte = text[at] ?? 0;
  if (escapable[byte] === 1) return 1;
  if (byte !== smallU) return 0;
  for (let digit = at + 1; digit <= at + 4; digit++) if (hexDigits[text[digit] ?? 0] !== 1) return 0;
  return 5;
}
