import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  InvalidValue,
  parseCount,
  parseDomain,
  parseDuration,
  parseHeader,
  parseHttpUrl,
  parseList,
  parsePort,
  parseSize,
  parseUrl,
  parseVariable,
  parseWholeNumber,
} from '../../src/expose/option-values.ts';

/** What a parser throws at a value. */
function refusal(parse: (value: string) => unknown, value: string): unknown {
  try {
    return parse(value);
  } catch (error) {
    return error instanceof InvalidValue ? error.message : error;
  }
}

describe('a port', () => {
  test.each([
    ['0', 0],
    ['1', 1],
    ['7801', 7801],
    ['65535', 65_535],
  ])('%s', (value, port) => {
    expect(parsePort(value)).toBe(port);
  });

  test.each(['', ' ', '-1', '65536', '99999', '100000', '80.0', '0x50', '8e1', 'http', ' 80', '80 ', '+80', '８０'])(
    '%j is none',
    (value) => {
      expect(refusal(parsePort, value)).toBe('a port is a number from 0 to 65535');
    },
  );
});

describe('a count', () => {
  test.each([
    ['1', 1],
    ['32', 32],
    ['999999999', 999_999_999],
  ])('%s', (value, count) => {
    expect(parseCount(value)).toBe(count);
  });

  test.each(['', '0', '000', '-1', '1.5', '1e3', '9999999999', 'many', ' 1', 'Infinity'])('%j is none', (value) => {
    expect(refusal(parseCount, value)).toBe('it takes a whole number from 1');
  });
});

describe('a size', () => {
  test.each([
    ['1', 1],
    ['16777216', 16_777_216],
    ['1b', 1],
    ['1k', 1024],
    ['1K', 1024],
    ['1kb', 1024],
    ['1KiB', 1024],
    ['16MiB', 16_777_216],
    ['16m', 16_777_216],
    ['16 MB', 16_777_216],
    ['2g', 2_147_483_648],
    ['1GiB', 1_073_741_824],
  ])('%s', (value, bytes) => {
    expect(parseSize(value)).toBe(bytes);
  });

  test.each([
    '',
    '0',
    '0MiB',
    '-1',
    '1.5m',
    '1t',
    '1ib',
    'MiB',
    '1 0m',
    '1mm',
    '1e3',
    '0x10',
    '9999999999999',
    '999999999999g',
  ])('%j is none', (value) => {
    expect(refusal(parseSize, value)).toBe('a size is a number with KiB, MiB or GiB, such as 16MiB');
  });
});

describe('a duration', () => {
  test.each(
    [
      ['1ms', 1],
      ['500ms', 500],
      ['30', 30_000],
      ['30s', 30_000],
      ['1.5s', 1500],
      ['0.001s', 1],
      ['2m', 120_000],
      ['1h', 3_600_000],
      ['999999999ms', 999_999_999],
      ['596h', 2_145_600_000],
      ['7d', 604_800_000],
      ['24d', 2_073_600_000],
    ].map(([value, ms]) => [String(value), Number(ms)] as const),
  )('%s', (value, ms) => {
    expect(parseDuration(value)).toBe(ms);
  });

  test.each(['', '0', '0s', '0.5ms', '-1s', '1 s', '1S', 's', '1e3', '.5s', '1.s', '1w'])('%j is none', (value) => {
    expect(refusal(parseDuration, value)).toBe('a duration is a number with ms, s, m, h or d, such as 30s');
  });

  test.each(['597h', '25d', '3000000s', '9999999999'])('%j is too long', (value) => {
    expect(refusal(parseDuration, value)).toBe('the longest duration is 24d');
  });
});

describe('a URL', () => {
  test.each([
    ['https://relay.example', 'https://relay.example'],
    ['https://relay.example/', 'https://relay.example'],
    ['http://127.0.0.1:7900', 'http://127.0.0.1:7900'],
    ['http://[::1]:7900//', 'http://[::1]:7900'],
    ['wss://relay.example/x/', 'wss://relay.example/x'],
  ])('%s', (value, url) => {
    expect(parseUrl(value)).toBe(url);
  });

  test.each([
    '',
    'relay.example',
    'relay.example:7900',
    '//relay.example',
    'ftp://relay.example',
    'file:///etc',
    'http://',
    'http://a b',
    'javascript:1',
  ])('%j is none', (value) => {
    expect(refusal(parseUrl, value)).toBe('it takes a URL such as https://relay.example');
  });
});

describe('a variable', () => {
  afterEach(() => vi.unstubAllEnvs());

  test.each([
    ['A=b', 'A', 'b'],
    ['A=', 'A', ''],
    ['A=b=c', 'A', 'b=c'],
    ['A=two words', 'A', 'two words'],
    ['A=line\nbreak', 'A', 'line\nbreak'],
    ['__proto__=x', '__proto__', 'x'],
  ])('%j', (value, name, content) => {
    expect([...parseVariable(value)]).toEqual([[name, content]]);
  });

  test('without a value is our own', () => {
    vi.stubEnv('MINE', 'own');
    expect([...parseVariable('MINE')]).toEqual([['MINE', 'own']]);
    vi.stubEnv('MINE', '');
    expect([...parseVariable('MINE')]).toEqual([['MINE', '']]);
  });

  test('without a value, and none of our own, is refused', () => {
    vi.stubEnv('MINE', undefined);
    expect(refusal(parseVariable, 'MINE')).toBe('there is no variable MINE to pass on; write NAME=value to set one');
  });

  test('is not shown where it is written like a value, which may be a secret', () => {
    expect(refusal(parseVariable, 'sesame')).toBe('there is no such variable to pass on; write NAME=value to set one');
  });

  test.each(['', '=b', '=', 'A\0=b', 'A=b\0c'])('%j is none', (value) => {
    expect(refusal(parseVariable, value)).toBe('it takes NAME=value, or NAME to pass on your own');
  });

  test('adds to the earlier ones, the last of a name wins, nothing earlier is changed', () => {
    const first = parseVariable('A=1');
    const second = parseVariable('B=2', first);
    const third = parseVariable('A=3', second);
    expect([...third]).toEqual([
      ['A', '3'],
      ['B', '2'],
    ]);
    expect([...first]).toEqual([['A', '1']]);
  });
});

test('a list grows, and nothing earlier is changed', () => {
  const first = parseList('a');
  expect(parseList('b', first)).toEqual(['a', 'b']);
  expect(first).toEqual(['a']);
  for (const empty of ['', ' ']) expect(refusal(parseList, empty)).toBe('it must not be empty');
});

describe('a whole number', () => {
  test.each([
    ['0', 0],
    ['12', 12],
  ])('%s', (value, count) => {
    expect(parseWholeNumber(value)).toBe(count);
  });

  test.each(['', '-1', '1.5', 'x', '1e3', '1234567890'])('%j is none', (value) => {
    expect(refusal(parseWholeNumber, value)).toBe('it takes a whole number from 0');
  });
});

describe('the URL of a server', () => {
  test.each(['http://127.0.0.1:3000/mcp', 'https://mcp.example/a/?b=c', 'HTTP://localhost'])(
    '%s stays as it is',
    (url) => {
      expect(parseHttpUrl(url)).toBe(url);
    },
  );

  test.each(['', '127.0.0.1:3000', 'ws://mcp.example', 'file:///mcp', 'stdio'])('%j is none', (value) => {
    expect(refusal(parseHttpUrl, value)).toBe('it takes a URL such as http://127.0.0.1:3000/mcp');
  });
});

describe('a domain', () => {
  test.each([
    ['mcp.example.com', 'mcp.example.com'],
    ['MCP.Example.com.', 'mcp.example.com'],
    ['box', 'box'],
    ['MCP.example:8443', 'mcp.example:8443'],
    ['mcp.example.:443', 'mcp.example:443'],
    ['192.0.2.7:80', '192.0.2.7:80'],
    ['[FD00::7]', '[fd00::7]'],
    ['[fd00::7]:8443', '[fd00::7]:8443'],
    ['xn--mgbh0fb.example', 'xn--mgbh0fb.example'],
  ])('%s', (value, domain) => {
    expect(parseDomain(value)).toBe(domain);
  });

  test.each([
    '',
    '.',
    'a..b',
    'https://mcp.example',
    'mcp.example:',
    'mcp.example:x',
    'mcp.example:99999',
    'mcp.example/x',
    'user@mcp.example',
    '[fd00::7',
    '[x]',
    'fd00::7',
    '-a.example',
    'a b',
    '*.example',
    'a'.repeat(64),
  ])('%j is none', (value) => {
    expect(refusal(parseDomain, value)).toBe(
      'it takes a host name such as mcp.example.com, without a scheme and a path',
    );
  });
});

describe('a header', () => {
  afterEach(() => vi.unstubAllEnvs());

  test('is a name and a value, and adds to those before', () => {
    const first = parseHeader('Authorization: Bearer a:b');
    expect([...parseHeader('X-Empty:', first)]).toEqual([
      ['Authorization', 'Bearer a:b'],
      ['X-Empty', ''],
    ]);
  });

  test('takes variables of the environment', () => {
    vi.stubEnv('UPSTREAM_TOKEN', 'secret');
    expect(parseHeader('Authorization: Bearer ${env:UPSTREAM_TOKEN}').get('Authorization')).toBe('Bearer secret');
  });

  test('without a name is refused, and not shown: it may be a secret', () => {
    expect(refusal(parseHeader, 'Bearer sesame')).toBe('it takes "Name: value"');
  });

  test('with a variable that is not set is refused with its name', () => {
    expect(refusal(parseHeader, 'A: ${env:NO_SUCH_VARIABLE}')).toBe(
      'there is no environment variable NO_SUCH_VARIABLE for ${env:…}',
    );
  });
});
