import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createAddressList } from '../../src/auth/address-list.ts';
import { addressPresets } from '../../src/auth/address-presets.ts';
import { ExposeError } from '../../src/errors.ts';
import { projectRoot } from '../harness/program.ts';

function failureOf(value: string): ExposeError {
  try {
    createAddressList([value]);
  } catch (error) {
    if (error instanceof ExposeError) return error;
  }
  throw new Error(`${value} is accepted`);
}

test.each([
  ['192.0.2.7', ['192.0.2.7'], ['192.0.2.6', '192.0.2.8']],
  ['192.0.2.0/24', ['192.0.2.0', '192.0.2.255'], ['192.0.1.255', '192.0.3.0']],
  ['192.0.2.77/24', ['192.0.2.0', '192.0.2.255'], ['192.0.3.0']],
  ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['2001:db8::1']],
  ['2001:db8::7', ['2001:db8::7', '2001:DB8:0::7'], ['2001:db8::8', '192.0.2.7']],
  ['2001:db8::/32', ['2001:db8:ffff::1'], ['2001:db9::']],
  ['::/0', ['2001:db8::1'], []],
  ['anthropic', ['160.79.104.0', '160.79.111.255'], ['160.79.103.255', '160.79.112.0']],
  ['Anthropic', ['160.79.106.1'], ['127.0.0.1']],
])('%s allows %j and not %j', (value, allowed, others) => {
  const admits = createAddressList([value]);
  expect(allowed.map((address) => admits(address))).toEqual(allowed.map(() => true));
  expect(others.map((address) => admits(address))).toEqual(others.map(() => false));
});

test('several add up, and an empty list allows nothing', () => {
  const admits = createAddressList(['192.0.2.7', 'anthropic', '2001:db8::/32']);
  expect(['192.0.2.7', '160.79.104.1', '2001:db8::1', '192.0.2.8'].map((address) => admits(address))).toEqual([
    true,
    true,
    true,
    false,
  ]);
  expect(createAddressList([])('192.0.2.7')).toBe(false);
});

test('an address that is not known is not allowed, nor is text that is none', () => {
  const admits = createAddressList(['0.0.0.0/0', '::/0']);
  expect([undefined, '', 'localhost', '192.0.2'].map((address) => admits(address))).toEqual([
    false,
    false,
    false,
    false,
  ]);
});

describe('what is refused', () => {
  test.each([
    '',
    'localhost',
    '192.0.2',
    '192.0.2.7/33',
    '192.0.2.7/',
    '192.0.2.7/a',
    '192.0.2.7/24/24',
    '192.0.2.7-192.0.2.9',
    '192.0.2.7, 192.0.2.8',
    ' 192.0.2.7',
    '192.0.2.007',
    '2001:db8::/129',
    '2001:db8:::1',
    'fe80::1%eth0',
    '[2001:db8::7]',
    'constructor',
  ])('%j', (value) => {
    const { code, message, hints } = failureOf(value);
    expect([code, message]).toEqual([
      'usage',
      `--allow-ip ${JSON.stringify(value)}: it is neither an address nor a range of addresses`,
    ]);
    expect(hints.join()).toContain('anthropic');
  });

  test('openai, with where its list is', () => {
    const { code, message, hints } = failureOf('openai');
    expect([code, message]).toEqual(['usage', expect.stringContaining('--allow-ip openai')]);
    expect(hints.join()).toContain('https://openai.com/chatgpt-connectors.json');
  });
});

test('the documentation has the ranges and dates of the presets', () => {
  const page = readFileSync(path.join(projectRoot, 'docs', 'access.md'), 'utf8');
  for (const [name, { ranges, asOf }] of addressPresets) {
    for (const text of [`\`${name}\``, ...ranges, asOf]) expect(page).toContain(text);
  }
});
