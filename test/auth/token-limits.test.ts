import { describe, expect, test } from 'vitest';
import { areRules, checkLimits, rulesIn } from '../../src/auth/token-limits.ts';
import { ExposeError } from '../../src/errors.ts';
import { parseJson } from '../harness/parse-json.ts';

/** Of a program in JavaScript, or of another process. */
const fromJson = (json: string) => checkLimits(parseJson(json));

describe('the limits of a token', () => {
  test('all that there are', () => {
    const limits = {
      expiresInMs: 1.5,
      once: true,
      maxCalls: 3,
      readOnly: false,
      allowIps: ['203.0.113.7', '2001:db8::/32', 'anthropic'],
      allowTools: ['read_*'],
      denyTools: [],
      allowResources: ['file:///*'],
      denyResources: ['*.env'],
      allowPrompts: [],
      denyPrompts: ['ä'],
    };
    expect(checkLimits(limits)).toEqual(limits);
    expect(checkLimits({ maxCalls: undefined })).toEqual({});
  });

  test.each([
    ['{"allowTool":["a"]}', /has no limit "allowTool" for tokens/],
    ['{"__proto__":["a"]}', /has no limit "__proto__" for tokens/],
    ['{"constructor":1}', /has no limit "constructor" for tokens/],
    ['{"allowTools":"read_*"}', /the limit allowTools of a token takes a list of globs/],
    ['{"denyTools":["a",1]}', /the limit denyTools of a token takes a list of globs/],
    ['{"denyPrompts":null}', /the limit denyPrompts of a token takes a list of globs/],
    ['{"allowResources":{"0":"a","length":1}}', /the limit allowResources of a token takes a list of globs/],
    ['{"readOnly":"yes"}', /the limit readOnly of a token takes true or false/],
    ['{"once":1}', /the limit once of a token takes true or false/],
    ['{"maxCalls":0}', /the limit maxCalls of a token takes a whole number from 1/],
    ['{"maxCalls":1.5}', /the limit maxCalls of a token takes a whole number from 1/],
    ['{"expiresInMs":1e999}', /the limit expiresInMs of a token takes a number of milliseconds above 0/],
    ['{"expiresInMs":-1}', /the limit expiresInMs of a token takes a number of milliseconds above 0/],
    ['{"expiresInMs":"1h"}', /the limit expiresInMs of a token takes a number of milliseconds above 0/],
    ['{"allowIps":"203.0.113.7"}', /the limit allowIps of a token takes a list of addresses and ranges/],
    ['{"allowIps":["203.0.113.7","files"]}', /--allow-ip "files": it is neither an address nor a range/],
    ['{"allowIps":["203.0.113.7/33"]}', /it is neither an address nor a range/],
    ['{"allowIps":["openai"]}', /there is no such preset/],
  ])('%s is not valid', (json, message) => {
    expect(() => fromJson(json)).toThrow(ExposeError);
    expect(() => fromJson(json)).toThrow(message);
  });

  test.each([
    ['many globs', { denyTools: Array.from({ length: 3000 }, (_, at) => `${at}`) }],
    ['a long glob', { allowPrompts: ['x'.repeat(8192)] }],
    ['one in characters of three bytes', { allowPrompts: ['€'.repeat(2731)] }],
    [
      'all kinds together',
      { allowTools: ['x'.repeat(3000)], denyTools: ['x'.repeat(3000)], denyPrompts: ['x'.repeat(3000)] },
    ],
  ])('rules have 8 KiB: %s', (_what, limits) => {
    expect(() => checkLimits(limits)).toThrow('the limits of a token are longer than 8 KiB');
    expect(areRules(limits)).toBe(false);
  });

  test('a list that its owner changes later does not change the limits', () => {
    const allowTools = ['read_*'];
    const limits = checkLimits({ allowTools });
    allowTools.push('*');
    expect(limits).toEqual({ allowTools: ['read_*'] });
  });
});

test('limits have 8 KiB, addresses too', () => {
  const allowIps = Array.from({ length: 800 }, () => '203.0.113.7');
  expect(() => checkLimits({ allowIps })).toThrow('the limits of a token are longer than 8 KiB');
  expect(areRules({ allowIps })).toBe(false);
});

test('rules are told from other limits, and are none if they restrict nothing', () => {
  expect(rulesIn({})).toBeUndefined();
  expect(rulesIn(checkLimits({ once: true, maxCalls: 1, readOnly: false }))).toBeUndefined();
  expect(rulesIn(checkLimits({ once: true, readOnly: true }))).toEqual({ readOnly: true });
  // It allows nothing, unlike none.
  expect(rulesIn({ allowTools: [] })).toEqual({ allowTools: [] });
});

test.each([
  ['{}', true],
  ['{"allowTools":["a"],"readOnly":true}', true],
  ['{"allowTools":"a"}', false],
  ['{"readOnly":1}', false],
  ['{"readonly":true}', false],
  ['{"allowIps":["203.0.113.0/24"]}', true],
  ['{"allowIps":["somewhere"]}', false],
  ['{"allowIps":"anthropic"}', false],
  ['{"maxCalls":1}', false],
])('stored rules: %s', (json, are) => {
  expect(areRules(parseJson(json))).toBe(are);
});
