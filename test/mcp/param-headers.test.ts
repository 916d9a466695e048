import { describe, expect, test } from 'vitest';
import { paramHeaderProblem, paramHeadersOf } from '../../src/mcp/param-headers.ts';

const region = { type: 'string', 'x-mcp-header': 'Region' };
const object = (properties: object): object => ({ type: 'object', properties });

describe('the headers of a tool', () => {
  test('are those that its properties declare, however deep', () => {
    const where = object({ region, zone: { type: 'integer', 'x-mcp-header': 'Zone' }, note: { type: 'string' } });
    const schema = object({ where, dry: { type: 'boolean', 'x-mcp-header': 'dry-run' } });
    expect(paramHeadersOf(schema)).toEqual([
      { path: ['where', 'region'], header: 'mcp-param-region' },
      { path: ['where', 'zone'], header: 'mcp-param-zone' },
      { path: ['dry'], header: 'mcp-param-dry-run' },
    ]);
  });

  test.each([undefined, null, true, 'text', [], {}, object({}), { properties: null }, { properties: [region] }])(
    'are none in %j',
    (schema) => {
      expect(paramHeadersOf(schema)).toEqual([]);
    },
  );

  test('may have names that are keywords, and values that look like schemas', () => {
    const properties = {
      properties: region,
      items: { type: 'string', 'x-mcp-header': 'I', default: region, enum: [region] },
    };
    expect(paramHeadersOf(object(properties))).toEqual([
      { path: ['properties'], header: 'mcp-param-region' },
      { path: ['items'], header: 'mcp-param-i' },
    ]);
  });

  test.each([
    ['the root', { ...object({}), 'x-mcp-header': 'X' }],
    ['the items of a list', object({ list: { type: 'array', items: region } })],
    ['one of several schemas', object({ either: { anyOf: [{ type: 'null' }, region] } })],
    ['a property of one of several', { oneOf: [object({ region })] }],
    ['a condition', { ...object({}), if: object({ region }) }],
    ['a definition', { ...object({}), $defs: { region } }],
    ['any other property', { ...object({}), additionalProperties: region }],
  ])('cannot be in %s', (_where, schema) => {
    expect(paramHeadersOf(schema)).toMatchObject({ problem: expect.stringContaining('is not in a property') });
  });

  test.each(['', 'a b', 'a:b', 'a\r\nb', 'größe', 7, null, ['a'], undefined])('cannot have the name %j', (name) => {
    const schema = object({ a: { type: 'string', 'x-mcp-header': name } });
    expect(paramHeadersOf(schema)).toMatchObject({ problem: expect.stringContaining('is not a header name') });
  });

  test.each(['number', 'object', 'array', 'null', ['string', 'null'], undefined])('cannot be of type %j', (type) => {
    const schema = object({ a: { type, 'x-mcp-header': 'A' } });
    expect(paramHeadersOf(schema)).toMatchObject({ problem: expect.stringContaining('is not a string') });
  });

  test('cannot be the same twice, in whatever case', () => {
    const schema = object({ region, place: { type: 'string', 'x-mcp-header': 'REGION' } });
    expect(paramHeadersOf(schema)).toEqual({ problem: 'x-mcp-header "REGION" occurs twice' });
  });
});

describe('a call', () => {
  const declared = [
    { path: ['region'], header: 'mcp-param-region' },
    { path: ['where', 'zone'], header: 'mcp-param-zone' },
  ];
  const problem = (args: unknown, headers: Record<string, string>) =>
    paramHeaderProblem(declared, args, new Map(Object.entries(headers)));

  test.each([
    ['a string', { region: 'us' }, { 'mcp-param-region': 'us' }],
    ['an encoded string', { region: 'größe' }, { 'mcp-param-region': '=?base64?Z3LDtsOfZQ==?=' }],
    ['an empty string', { region: '' }, { 'mcp-param-region': '' }],
    ['a number', { where: { zone: 42 } }, { 'mcp-param-zone': '42' }],
    ['a number written otherwise', { where: { zone: -42 } }, { 'mcp-param-zone': '-42.0' }],
    ['a boolean', { region: true }, { 'mcp-param-region': 'true' }],
    ['neither value nor header', {}, {}],
    ['no arguments', undefined, {}],
    ['null and no header', { region: null, where: { zone: null } }, {}],
    ['a header that nobody has declared', {}, { 'mcp-param-other': 'x' }],
    ['a value of another type', { region: { a: 1 } }, { 'mcp-param-region': 'x' }],
  ])('with %s is right', (_what, args, headers) => {
    expect(problem(args, headers)).toBeUndefined();
  });

  test.each([
    ['no header', { region: 'us' }, {}, 'the header mcp-param-region is missing'],
    [
      'another value',
      { region: 'us' },
      { 'mcp-param-region': 'eu' },
      'the header mcp-param-region is not the argument region',
    ],
    ['a value in another case', { region: 'us' }, { 'mcp-param-region': 'US' }, 'is not the argument region'],
    ['a header and no value', {}, { 'mcp-param-region': 'us' }, 'is not the argument region'],
    ['a header and null', { region: null }, { 'mcp-param-region': 'null' }, 'is not the argument region'],
    ['bad base64', { region: 'Hello' }, { 'mcp-param-region': '=?base64?SGVsbG8?=' }, 'its base64 is invalid'],
    ['another number', { where: { zone: 42 } }, { 'mcp-param-zone': '43' }, 'is not the argument where.zone'],
    [
      'a number in hexadecimal',
      { where: { zone: 16 } },
      { 'mcp-param-zone': '0x10' },
      'is not the argument where.zone',
    ],
    [
      'a number beyond 2^53',
      { where: { zone: 2 ** 53 } },
      { 'mcp-param-zone': '9007199254740993' },
      'is not the argument where.zone',
    ],
    ['a boolean as a number', { region: true }, { 'mcp-param-region': '1' }, 'is not the argument region'],
  ])('with %s is wrong', (_what, args, headers, expected) => {
    expect(problem(args, headers)).toContain(expected);
  });
});
