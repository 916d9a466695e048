import { endOfContentIn } from './string-content.ts';

// Walks over a JSON text (RFC 8259) on one line, byte by byte and without making values of it, and checks it as a parser
// would. Each function takes the index where something starts and returns the index after it, or -1: it is something
// else, or has white space other than spaces.

const space = 0x20;
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
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Up to here a string without escapes is read byte by byte, which costs less than a regular expression, in bytes. */
const shortStringBytes = 64;

/** Turns a capital letter into a small one. */
const smallBit = 0x20;

const trueWord: Buffer = Buffer.from('true');
const falseWord: Buffer = Buffer.from('false');
const nullWord: Buffer = Buffer.from('null');

export function skipSpaces(text: Buffer, from: number): number {
  let at = from;
  while (at < text.length && text[at] === space) at++;
  return at;
}

/** @returns the index of the first name of the object, or of its closing brace. */
export function enterObject(text: Buffer, at: number): number {
  return text[at] === openBrace ? skipSpaces(text, at + 1) : -1;
}

/** @param at what `enterObject` or `nextName` returned. */
export function isInObject(text: Buffer, at: number): boolean {
  return at !== -1 && text[at] !== closeBrace;
}

/** From the end of a name to its value. */
export function skipColon(text: Buffer, from: number): number {
  const at = skipSpaces(text, from);
  return text[at] === colon ? skipSpaces(text, at + 1) : -1;
}

/** @param from the end of a value. @returns the index of the next name of the object, or of its closing brace. */
export function nextName(text: Buffer, from: number): number {
  const at = skipSpaces(text, from);
  if (text[at] === closeBrace) return at;
  if (text[at] !== comma) return -1;
  const next = skipSpaces(text, at + 1);
  return text[next] === quote ? next : -1;
}

/** @param maxDepth how deep arrays and objects may nest. */
export function skipValue(text: Buffer, at: number, maxDepth: number): number {
  switch (text[at]) {
    case quote:
      return skipString(text, at);
    case openBrace:
      return maxDepth === 0 ? -1 : skipObject(text, at, maxDepth - 1);
    case openBracket:
      return maxDepth === 0 ? -1 : skipArray(text, at, maxDepth - 1);
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

export function skipString(text: Buffer, start: number): number {
  if (text[start] !== quote) return -1;
  const near = Math.min(text.length, start + 1 + shortStringBytes);
  let at = start + 1;
  for (; at < near; at++) {
    const byte = text[at] ?? 0;
    if (byte === quote) return at + 1;
    if (byte < space) return -1;
    if (byte === backslash) break;
  }
  const end = endOfContentIn(text, at);
  return text[end] === quote ? end + 1 : -1;
}

function skipObject(text: Buffer, start: number, maxDepth: number): number {
  let at = enterObject(text, start);
  while (isInObject(text, at)) {
    const nameEnd = skipString(text, at);
    const value = nameEnd === -1 ? -1 : skipColon(text, nameEnd);
    const end = value === -1 ? -1 : skipValue(text, value, maxDepth);
    at = end === -1 ? -1 : nextName(text, end);
  }
  return at === -1 ? -1 : at + 1;
}

function skipArray(text: Buffer, start: number, maxDepth: number): number {
  let at = skipSpaces(text, start + 1);
  if (text[at] === closeBracket) return at + 1;
  for (;;) {
    const end = skipValue(text, at, maxDepth);
    if (end === -1) return -1;
    at = skipSpaces(text, end);
    if (text[at] === closeBracket) return at + 1;
    if (text[at] !== comma) return -1;
    at = skipSpaces(text, at + 1);
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
