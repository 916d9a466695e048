import { describe, expect, test } from 'vitest';
import { excerpt, quote, sanitize, toSingleLine } from '../../../src/platform/text/sanitize.ts';

describe('text from outside', () => {
  test.each([
    ['sequences that paint', '\u001B[31mred\u001B[0m', 'red'],
    ['sequences that name the window', '\u001B]0;faked\u0007red', 'red'],
    ['control characters', 'a\u0000b\u0007c\u007Fd\u0085e\r\nf', 'abcdef'],
    ['what turns the direction of writing', 'a\u202Eb\u2066c\u200Fd', 'abcd'],
  ])('loses %s', (_what, text, kept) => {
    expect(sanitize(text)).toBe(kept);
  });

  test.each(['', 'plain', 'a\tb', 'é€😀', '\u{10FFFF}'])('keeps %j', (text) => {
    expect(sanitize(text)).toBe(text);
  });
});

describe('an excerpt', () => {
  test('is the whole of what is short enough', () => {
    for (const text of ['', 'x', 'x'.repeat(10)]) expect(excerpt(text, 10)).toBe(text);
  });

  test('is the beginning of what is not', () => {
    expect(excerpt('0123456789a', 10)).toBe('0123456789');
  });

  test('counts what is shown', () => {
    expect(excerpt(`${'\u0007\u001B[31m'.repeat(2)}0123456789a`, 10)).toBe('0123456789');
  });

  test('ends with no half of a character', () => {
    expect(excerpt(`${'x'.repeat(8)}😀😀`, 10)).toBe(`${'x'.repeat(8)}😀`);
    expect(excerpt(`${'x'.repeat(9)}😀`, 10)).toBe('x'.repeat(9));
    // The same where its place is not the end of what is shown, but of what is looked at.
    expect(excerpt(`${'\u0007'.repeat(39)}😀`, 10)).toBe('');
  });

  test('of a text of any length costs what the shown part does', () => {
    expect(excerpt(`${'\u0007'.repeat(39)}x`, 10)).toBe('x');
    expect(excerpt(`${'\u0007'.repeat(40)}x`, 10)).toBe('');
  });

  test('stays on one line', () => {
    expect(excerpt('a\r\nb\u0085c', 10)).toBe('abc');
  });
});

describe('remote text in a single line', () => {
  test.each([
    ['line breaks', 'a\r\nb\u2028c', 'a b c'],
    ['what moves the cursor', 'a\u001B[2Kb', 'a [2Kb'],
    ['what turns the direction of writing', 'a\u202Eb', 'a b'],
    ['half of a character', 'a\uD800b', 'a b'],
    ['space around it', ' \n a ', 'a'],
  ])('has no %s', (_what, text, kept) => {
    expect(toSingleLine(text)).toBe(kept);
  });

  test('is cut, and says so', () => {
    expect(toSingleLine('x'.repeat(500))).toBe('x'.repeat(500));
    expect(toSingleLine('x'.repeat(501))).toBe(`${'x'.repeat(499)}…`);
    // The half of a character at the cut goes too.
    expect(toSingleLine(`${'x'.repeat(498)}😀${'x'.repeat(9)}`)).toBe(`${'x'.repeat(498)} …`);
  });
});

test('a quoted text shows what would be invisible', () => {
  expect(quote('a"\u001b\u202e\u2028\u{E0041}é')).toBe(String.raw`"a\"\u001b\u202e\u2028\udb40\udc41é"`);
});
