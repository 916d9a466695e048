import { expect, test } from 'vitest';
import { errorToLegacy, errorToModern } from '../../../src/bridge/translate/errors.ts';
import { readRequest, readResponse, written } from './read.ts';

const read = readRequest('"id":1,"method":"resources/read","params":{"uri":"file:///a"}');

test.each([
  [
    '-32021,"message":"m","data":{"requiredCapabilities":{"roots":{}}}',
    '-32603,"message":"m","data":{"requiredCapabilities":{"roots":{}},"modernCode":-32021}',
  ],
  ['-32022,"message":"m","data":"text"', '-32603,"message":"m","data":{"modernCode":-32022}'],
  ['-32020,"message":"m"', '-32603,"message":"m","data":{"modernCode":-32020}'],
])('a legacy client gets %s as an error that it knows', (before, after) => {
  expect(written(errorToLegacy(readResponse(`"id":1,"error":{"code":${before}}`)))).toBe(
    `"id":1,"error":{"code":${after}}`,
  );
});

test.each([
  ['-32002,"message":"m"', '-32602,"message":"m","data":{"uri":"file:///a"}'],
  ['-32002,"message":"m","data":{"uri":"x","n":1.0}', '-32602,"message":"m","data":{"uri":"x","n":1.0}'],
  ['-32002,"message":"m","data":[1]', '-32602,"message":"m","data":{"uri":"file:///a"}'],
  [
    '-32042,"message":"m","data":{"elicitations":[]}',
    '-32603,"message":"m","data":{"elicitations":[],"reason":"url_elicitation_required"}',
  ],
])('a modern client gets %s as an error that it knows', (before, after) => {
  expect(written(errorToModern(readResponse(`"id":1,"error":{"code":${before}}`), read))).toBe(
    `"id":1,"error":{"code":${after}}`,
  );
});

test('without a resource, none is named', () => {
  const response = readResponse('"id":1,"error":{"code":-32002,"message":"m","data":"d"}');
  const request = readRequest('"id":1,"method":"x"');
  expect(written(errorToModern(response, request))).toBe('"id":1,"error":{"code":-32602,"message":"m","data":"d"}');
});

test.each([
  '"error":{"code":-32001,"message":"m"}',
  '"error":{"code":-32602.0,"message":"m"}',
  '"result":{"code":-32021}',
])('all else is the same object: %s', (members) => {
  const response = readResponse(`"id":1,${members}`);
  expect(errorToLegacy(response)).toBe(response);
  expect(errorToModern(response, read)).toBe(response);
});
