import { describe, expect, test } from 'vitest';
import { toRequestHeaders, toResponseHeaders } from '../../../../src/tunnel/relay/server/headers.ts';

function toHeaders(...rawHeaders: string[]) {
  return toRequestHeaders({
    method: 'POST',
    path: '/mcp',
    rawHeaders: ['Host', 'relay.example', ...rawHeaders],
    scheme: 'https',
    remoteAddress: '::ffff:10.1.2.3',
  });
}

test('the whole block, as a literal', () => {
  expect(toHeaders('Authorization', 'Bearer x', 'Accept', 'a', 'Accept', 'b', 'Content-Length', '2')).toEqual({
    ok: true,
    hasBody: true,
    headers: {
      ':method': 'POST',
      ':scheme': 'https',
      ':authority': 'relay.example',
      ':path': '/mcp',
      authorization: 'Bearer x',
      accept: ['a', 'b'],
      'content-length': '2',
      'x-forwarded-for': '10.1.2.3',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'relay.example',
    },
  });
});

test('headers of the connection and those that Connection names are dropped, whatever their case', () => {
  const result = toHeaders(
    'Connection',
    'X-Secret, close',
    'X-SECRET',
    '1',
    'Keep-Alive',
    '5',
    'TE',
    'trailers',
    'Upgrade',
    'h2c',
    'Proxy-Authorization',
    'x',
    'Proxy-Connection',
    'x',
    'Trailer',
    'x',
    'Transfer-Encoding',
    'chunked',
    'X-Kept',
    '1',
    'Forwarded',
    'for=x',
    'X-Forwarded-Prefix',
    '/x',
    'X-Real-IP',
    '6.6.6.6',
  );
  expect(Object.keys(result.ok ? result.headers : {})).toEqual([
    ':method',
    ':scheme',
    ':authority',
    ':path',
    'x-kept',
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-forwarded-host',
  ]);
});

test.each(['Authorization', 'Host', 'Content-Type', 'Origin', 'Content-Length', 'Referer', 'Range'])(
  'two %s headers are refused by name',
  (name) => {
    expect(toHeaders(name, 'a', name.toUpperCase(), 'a')).toEqual({
      ok: false,
      status: 400,
      message: `the request has more than one ${name.toLowerCase()} header`,
    });
  },
);

test.each(['gzip', 'gzip, chunked', 'identity', 'chunked, chunked'])('Transfer-Encoding: %s is refused', (coding) => {
  expect(toHeaders('Transfer-Encoding', coding)).toMatchObject({ ok: false, status: 501 });
});

test.each(['', 'a b', 'a/b', 'a,b', 'user@host'])('the host %j is refused', (host) => {
  const result = toRequestHeaders({
    method: 'GET',
    path: '/',
    rawHeaders: ['Host', host],
    scheme: 'http',
    remoteAddress: '',
  });
  expect(result).toMatchObject({ ok: false, status: 400 });
});

test('conditional lists are joined', () => {
  const result = toHeaders('If-None-Match', '"a"', 'If-None-Match', '"b"');
  expect(result).toMatchObject({ ok: true, headers: { 'if-none-match': '"a", "b"' } });
});

describe('event streams', () => {
  test.each([
    [undefined, 'no-transform'],
    ['no-cache', 'no-cache, no-transform'],
    ['no-cache, No-Transform', 'no-cache, No-Transform'],
    ['x-no-transformers', 'x-no-transformers, no-transform'],
  ])('Cache-Control %s becomes %s', (before, after) => {
    const headers = {
      'content-type': 'Text/Event-Stream;charset=utf-8',
      ...(before === undefined ? {} : { 'cache-control': before }),
    };
    const result = toResponseHeaders(headers);
    expect(result.get('cache-control')).toBe(after);
    expect(result.get('x-accel-buffering')).toBe('no');
  });

  test('other types are left alone', () => {
    expect([...toResponseHeaders({ ':path': '/', 'content-type': 'text/plain', connection: 'x' })]).toEqual([
      ['content-type', 'text/plain'],
    ]);
  });
});
