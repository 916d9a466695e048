import { describe, expect, test } from 'vitest';
import { Globs } from '../../src/policy/glob.ts';

describe('a glob matches', () => {
  test.each([
    ['read_file', 'read_file', true],
    ['read_file', 'read_files', false],
    ['read_file', 'Read_file', false],
    ['read_*', 'read_', true],
    ['read_*', 'read_file\nwrite', true],
    ['read_*', 'xread_file', false],
    ['*_file', 'read_file', true],
    ['*_file', 'read_file_file', true],
    ['*_file', 'read_file2', false],
    ['*', '', true],
    ['*', 'anything/at:all', true],
    ['', '', true],
    ['', 'a', false],
    ['a*b*c', 'aXbXbXc', true],
    ['a*b*c', 'acb', false],
    ['a**c', 'abc', true],
    ['?', 'a', true],
    ['?', '', false],
    ['?', '😀', true],
    ['??', '😀', false],
    ['*??', 'a😀', true],
    ['a.c', 'abc', false],
    ['[ab]', 'a', false],
    ['[ab]', '[ab]', true],
    // One letter, and the same with a combining accent: no normalisation.
    ['caf\u00e9', 'cafe\u0301', false],
    ['file:///srv/*', 'file:///srv/a/b', true],
  ])('%j, %j: %j', (glob, name, expected) => {
    expect(new Globs([glob]).match(name)).toBe(expected);
  });

  test('where one of several does', () => {
    const globs = new Globs(['a', 'b*']);
    expect(['a', 'b', 'bc', 'c'].map((name) => globs.match(name))).toEqual([true, true, true, false]);
    expect([...globs.literals]).toEqual(['a']);
  });

  test('nothing where there is none', () => {
    expect(new Globs([]).match('')).toBe(false);
  });

  test('a long name in time that is not exponential in the number of stars', () => {
    const began = performance.now();
    expect(new Globs([`${'*a'.repeat(50)}b`]).match('a'.repeat(16_000))).toBe(false);
    expect(performance.now() - began).toBeLessThan(2000);
  });
});
