import { describe, expect, test } from 'vitest';
import { encodeHead, parseRequestHead, parseResponseHead } from '../../../../src/tunnel/relay/protocol/heads.ts';

const parseRequest = (text: string) => parseRequestHead(Buffer.from(text));
const parseResponse = (text: string) => parseResponseHead(Buffer.from(text));
const withValue = (value: string) => encodeHead({ status: 200, headers: ['a', value] });

/** Literals: other implementations write and read these. */
describe('pins of the heads', () => {
  test.each([
    '{"method":"GET","path":"/","headers":[]}',
    '{"method":"POST","path":"/mcp?a=b%20c","headers":["host","files.relay.example","accept","a","accept","b"]}',
    '{"method":"M-SEARCH","path":"*","headers":["__proto__","x","x-name","caf\u00e9"]}',
  ])('a request: %s', (text) => {
    const head = parseRequest(text);
    expect(head).toEqual(JSON.parse(text));
    expect(head === undefined ? undefined : encodeHead(head)?.toString()).toBe(text);
  });

  test.each([
    '{"status":200,"headers":[]}',
    '{"status":599,"headers":["Content-Type","text/plain","set-cookie","a=b","set-cookie","c=d"]}',
  ])('a response: %s', (text) => {
    const head = parseResponse(text);
    expect(head).toEqual(JSON.parse(text));
    expect(head === undefined ? undefined : encodeHead(head)?.toString()).toBe(text);
  });

  test('fields of later versions are ignored', () => {
    expect(parseRequest('{"method":"GET","path":"/","headers":[],"trailers":[]}')).toEqual({
      method: 'GET',
      path: '/',
      headers: [],
    });
    expect(parseResponse('{"status":200,"headers":[],"reason":"OK"}')).toEqual({ status: 200, headers: [] });
  });
});

describe('hostile input', () => {
  test.each(['', '{', 'null', '[]', '1', '"GET"', '\u0000', '{}', '{"__proto__":{"status":200,"headers":[]}}'])(
    '%j is no head',
    (text) => {
      expect([parseRequest(text), parseResponse(text)]).toEqual([undefined, undefined]);
    },
  );

  test('bytes that are not UTF-8 do not throw', () => {
    expect(parseRequestHead(Buffer.from([0xff, 0xfe, 0x7b]))).toBeUndefined();
    expect(parseResponseHead(Buffer.from([0xff, 0xfe, 0x7b]))).toBeUndefined();
  });

  const noHeaders = [undefined, null, {}, 'a', ['a'], ['a', 'b', 'c'], ['a', 1], ['a', null], [['a', 'b']], [1, 'a']];

  test.each([
    { method: 1 },
    { method: undefined },
    { path: 7 },
    { path: null },
    ...noHeaders.map((headers) => ({ headers })),
  ])('a request with %j', (change) => {
    const head = { method: 'GET', path: '/', headers: ['a', 'b'] };
    expect(parseRequest(JSON.stringify(head))).toEqual(head);
    expect(parseRequest(JSON.stringify({ ...head, ...change }))).toBeUndefined();
  });

  test.each([
    { status: 199 },
    { status: 100 },
    { status: 101 },
    { status: 600 },
    { status: -200 },
    { status: 200.5 },
    { status: '200' },
    { status: null },
    { status: undefined },
    ...noHeaders.map((headers) => ({ headers })),
  ])('a response with %j', (change) => {
    const head = { status: 200, headers: ['a', 'b'] };
    expect(parseResponse(JSON.stringify(head))).toEqual(head);
    expect(parseResponse(JSON.stringify({ ...head, ...change }))).toBeUndefined();
  });
});

test('a head has at most 65,528 bytes, in UTF-8', () => {
  const others = '{"status":200,"headers":["a",""]}'.length;
  expect(withValue('x'.repeat(65_528 - others))).toHaveLength(65_528);
  expect(withValue('x'.repeat(65_529 - others))).toBeUndefined();
  expect(withValue('\u00e9'.repeat((65_530 - others) / 2))).toBeUndefined();
});

const withHeaders = (count: number): string => JSON.stringify({ status: 200, headers: Array(2 * count).fill('a') });

test('a head has at most 1,024 headers', () => {
  expect(parseResponse(withHeaders(1_024))?.headers).toHaveLength(2_048);
  expect(parseResponse(withHeaders(1_025))).toBeUndefined();
});
