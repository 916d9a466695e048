import { describe, expect, test } from 'vitest';
import { wrapOutputSchemas, wrapStructuredContent } from '../../../src/bridge/translate/output-schema.ts';
import { readResponse, written } from './read.ts';

function wrappedSchema(schema: string): string {
  const response = wrapOutputSchemas(readResponse(`"id":1,"result":{"tools":[{"outputSchema":${schema}}]}`), new Set());
  return written(response).slice('"id":1,"result":{"tools":[{"outputSchema":'.length, -'}]}'.length);
}

const around = (inner: string): string => `{"type":"object","properties":{"result":${inner}},"required":["result"]}`;

describe('the schema of an output that is no object', () => {
  test.each([
    ['an array', '{"type":"array","minItems":1.0}', around('{"type":"array","minItems":1.0}')],
    ['without a type', '{"anyOf":[{"type":"object"}]}', around('{"anyOf":[{"type":"object"}]}')],
    [
      'references into it',
      '{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#"}}}',
      around('{"$ref":"#/properties/result/$defs/a","$defs":{"a":{"$ref":"#/properties/result"}}}'),
    ],
    [
      'references elsewhere',
      '{"oneOf":[{"$ref":"https://x/y"},{"$ref":"#anchor"}]}',
      around('{"oneOf":[{"$ref":"https://x/y"},{"$ref":"#anchor"}]}'),
    ],
    [
      'what looks like a reference',
      '{"const":{"$ref":"#/a"},"enum":[{"$ref":"#"}]}',
      around('{"const":{"$ref":"#/a"},"enum":[{"$ref":"#"}]}'),
    ],
    [
      'a member that is called as a keyword',
      '{"type":"array","items":{"properties":{"const":{"$ref":"#/x"}}}}',
      around('{"type":"array","items":{"properties":{"const":{"$ref":"#/properties/result/x"}}}}'),
    ],
    ['an id of its own', '{"$id":"https://x","$ref":"#/a"}', around('{"$id":"https://x","$ref":"#/a"}')],
    [
      'a part with an id of its own',
      '{"items":[{"$id":"https://x","$ref":"#/a"},{"$id":"#i","$ref":"#/a"}]}',
      around('{"items":[{"$id":"https://x","$ref":"#/a"},{"$id":"#i","$ref":"#/properties/result/a"}]}'),
    ],
    [
      'recursion of 2019-09',
      '{"$schema":"https://json-schema.org/draft/2019-09/schema","items":{"allOf":[{"$ref":"#/a"}],"$recursiveRef":"#"}}',
      '{"$schema":"https://json-schema.org/draft/2019-09/schema","type":"object","properties":{"result":{"$schema":"https://json-schema.org/draft/2019-09/schema","items":{"allOf":[{"$ref":"#/properties/result/a"},{"$ref":"#/properties/result"}]}}},"required":["result"]}',
    ],
  ])('%s', (_what, schema, expected) => {
    expect(wrappedSchema(schema)).toBe(expected);
  });

  test.each(['{"type":"object"}', '{"type":"object","properties":{"a":{"$ref":"#/b"}}}', 'true', '7'])(
    'another stays: %s',
    (schema) => {
      expect(wrappedSchema(schema)).toBe(schema);
    },
  );

  test('the tools that have one are remembered', () => {
    const wrapped = new Set(['b', 'c']);
    const tools =
      '{"name":"a","outputSchema":{"type":"array"}},{"name":"b","outputSchema":{"type":"object"}},{"name":"d"},{"outputSchema":{}},7';
    wrapOutputSchemas(readResponse(`"id":1,"result":{"tools":[${tools}]}`), wrapped);
    expect([...wrapped]).toEqual(['c', 'a']);
    const failed = readResponse('"id":1,"error":{"code":1,"message":""}');
    expect(wrapOutputSchemas(failed, wrapped)).toBe(failed);
  });
});

describe('structured content', () => {
  test.each([
    [
      'a list',
      '"content":[],"structuredContent":[1.0]',
      false,
      '"content":[{"type":"text","text":"[1.0]"}],"structuredContent":{"result":[1.0]}',
    ],
    [
      'null',
      '"structuredContent":null',
      false,
      '"structuredContent":{"result":null},"content":[{"type":"text","text":"null"}]',
    ],
    [
      'with a text',
      '"content":[{"type":"text","text":"x"}],"structuredContent":1.50',
      false,
      '"content":[{"type":"text","text":"x"}],"structuredContent":{"result":1.50}',
    ],
    [
      'beside an image',
      '"content":[ {"type":"image","n":1.0} ],"structuredContent":"a"',
      false,
      '"content":[{"type":"image","n":1.0},{"type":"text","text":"\\"a\\""}],"structuredContent":{"result":"a"}',
    ],
    [
      'an object of a wrapped tool',
      '"content":[],"structuredContent":{"a":1.0}',
      true,
      '"content":[],"structuredContent":{"result":{"a":1.0}}',
    ],
  ])('%s becomes a member of an object', (_what, before, isWrapped, after) => {
    const response = readResponse(`"id":1,"result":{${before}}`);
    expect(written(wrapStructuredContent(response, isWrapped))).toBe(`"id":1,"result":{${after}}`);
  });

  test.each<[string, boolean]>([
    ['"result":{"content":[],"structuredContent":{"a":1}}', false],
    ['"result":{"content":[]}', true],
    ['"error":{"code":1,"message":""}', true],
  ])('is the same object otherwise: %s', (members, isWrapped) => {
    const response = readResponse(`"id":1,${members}`);
    expect(wrapStructuredContent(response, isWrapped)).toBe(response);
  });
});
