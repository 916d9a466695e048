import { describe, expect, test } from 'vitest';
import { createStderrTail, type StderrTail } from '../../../../src/bridge/upstream/stdio/stderr-tail.ts';
import { sanitize } from '../../../../src/platform/text/sanitize.ts';

function world(): { tail: StderrTail; shown: string[] } {
  const shown: string[] = [];
  return { tail: createStderrTail((line) => shown.push(line)), shown };
}

describe('lines', () => {
  test('are shown as they are complete, blank ones never', () => {
    const { tail, shown } = world();
    tail.push(Buffer.from('one\n\n  \r\ntw'));
    expect(shown).toEqual(['one']);
    tail.push(Buffer.from('o\r\n'));
    expect(shown).toEqual(['one', 'two']);
    expect(tail.text()).toBe('one\ntwo');
  });

  test('that are unfinished are shown at the end, once', () => {
    const { tail, shown } = world();
    tail.push(Buffer.from('one\nlast words'));
    tail.end();
    tail.end();
    expect(shown).toEqual(['one', 'last words']);
    expect(tail.text()).toBe('one\nlast words');
  });

  test('are kept, the last twenty', () => {
    const { tail, shown } = world();
    tail.push(Buffer.from(Array.from({ length: 30 }, (_, index) => `line ${index}\n`).join('')));
    expect(shown).toHaveLength(30);
    expect(tail.text().split('\n')).toEqual(Array.from({ length: 20 }, (_, index) => `line ${index + 10}`));
  });

  test('survive a cut inside a character', () => {
    const bytes = Buffer.from('é😀 done\n');
    for (let at = 0; at <= bytes.length; at++) {
      const { tail, shown } = world();
      tail.push(bytes.subarray(0, at));
      tail.push(bytes.subarray(at));
      expect(shown).toEqual(['é😀 done']);
    }
  });

  test('that are not UTF-8 are shown as well as can be', () => {
    const { tail, shown } = world();
    tail.push(Buffer.from([0x61, 0xff, 0x62, 0x0a]));
    expect(shown).toEqual(['a\uFFFDb']);
  });

  test('that are long are cut', () => {
    const { tail, shown } = world();
    tail.push(Buffer.from(`${'x'.repeat(5000)}\nnext\n`));
    expect(shown.map((line) => line.length)).toEqual([2000, 4]);
  });

  test('that never end do not fill the memory', () => {
    const { tail, shown } = world();
    const chunk = Buffer.alloc(64 * 1024, 'x');
    for (let count = 0; count < 200; count++) tail.push(chunk);
    expect(shown).toEqual([]);
    tail.push(Buffer.from('\nnext\n'));
    expect(shown.map((line) => line.length)).toEqual([2000, 4]);
  });
});

describe('control characters never reach the terminal', () => {
  test.each([
    ['colours', '\u001b[31mred\u001b[0m', 'red'],
    ['a cleared screen', '\u001b[2J\u001b[Hx', 'x'],
    ['a title', '\u001b]0;owned\u0007x', 'x'],
    ['a hyperlink', '\u001b]8;;https://evil.example\u0007link\u001b]8;;\u0007', 'link'],
    ['a bell', 'a\u0007b', 'ab'],
    ['text that runs backwards', 'a\u202Etxt.exe\u2066b', 'atxt.exeb'],
    ['a carriage return', 'a\rmcp-expose: faked', 'amcp-expose: faked'],
    ['backspaces', 'abc\b\b\b', 'abc'],
    ['a zero byte', 'a\0b', 'ab'],
    ['a delete', 'a\u007fb', 'ab'],
    ['a vertical tab and a form feed', 'a\u000b\u000cb', 'ab'],
    ['an escape alone', 'a\u001b', 'a'],
    ['C1 controls', 'a\u0085b\u0090c', 'abc'],
  ])('%s', (_what, line, clean) => {
    expect(sanitize(line)).toBe(clean);
  });

  test('a one-byte CSI is taken for what it is', () => {
    expect(sanitize('a\u009b31mb')).not.toMatch(/\p{Cc}/u);
  });

  test('tabs and everything printable stay', () => {
    expect(sanitize('a\tb é 😀 ➜ 中')).toBe('a\tb é 😀 ➜ 中');
  });
});
