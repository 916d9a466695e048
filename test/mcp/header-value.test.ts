import { expect, test } from 'vitest';
import { decodeHeaderValue, encodeHeaderValue } from '../../src/mcp/header-value.ts';

test.each([
  ['us-west1', 'us-west1'],
  ['a b\tc', 'a b\tc'],
  ['Hello, 世界', '=?base64?SGVsbG8sIOS4lueVjA==?='],
  [' padded ', '=?base64?IHBhZGRlZCA=?='],
  ['line1\nline2', '=?base64?bGluZTEKbGluZTI=?='],
  ['=?base64?literal?=', '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?='],
  ['=?base64?literal', '=?base64?literal'],
  ['', '=?base64??='],
  ['\u007F', '=?base64?fw==?='],
  ['\uFEFFx', '=?base64?77u/eA==?='],
])('%j is written as %j, and read again', (value, header) => {
  expect([encodeHeaderValue(value), decodeHeaderValue(header)]).toEqual([header, value]);
});

test('space around a header is no part of its value', () => {
  expect([decodeHeaderValue('  x y\t'), decodeHeaderValue(' =?base64?eA==?= ')]).toEqual(['x y', 'x']);
});

test.each([
  ['too little padding', '=?base64?SGVsbG8?='],
  ['other characters', '=?base64?SGVs!!!bG8=?='],
  ['the other alphabet', '=?base64?_-8=?='],
  ['bytes that are no UTF-8', '=?base64?/w==?='],
  ['a character that a header must not have', 'größe'],
  ['a control character', 'a\u0001b'],
])('%s cannot be read', (_what, header) => {
  expect(decodeHeaderValue(header)).toBeUndefined();
});

test('markers in another case are none', () => {
  expect(decodeHeaderValue('=?BASE64?eA==?=')).toBe('=?BASE64?eA==?=');
  expect(decodeHeaderValue('=?base64?=')).toBe('=?base64?=');
});
