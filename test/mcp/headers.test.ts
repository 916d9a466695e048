import { expect, test } from 'vitest';
import { answerForm, isJson } from '../../src/mcp/headers.ts';

test.each([
  undefined,
  '',
  ' ',
  'application/json, text/event-stream',
  'text/event-stream,application/json',
  'Application/JSON , TEXT/event-stream',
  'application/json;charset=utf-8, text/event-stream;q=0.5',
  '*/*',
  'text/html, */*;q=0.1',
  'application/*, text/*',
  'application/*, text/event-stream',
  'application/json; q=1, text/event-stream; q=0.001',
  'application/json;q=0.05, text/event-stream',
])('Accept %j admits both media types', (accept) => {
  expect(answerForm(accept)).toBe('either');
});

test.each([
  ['application/json', 'json'],
  ['application/json;charset=utf-8;q=0.3', 'json'],
  ['application/*', 'json'],
  ['application/json, text/event-stream;q=0', 'json'],
  ['text/html, application/json', 'json'],
  ['text/event-stream', 'stream'],
  ['text/*', 'stream'],
  ['application/jsonp, text/event-stream', 'stream'],
  ['application/json-seq, text/event-stream', 'stream'],
  ['json, text/event-stream', 'stream'],
  ['application/json;q=0, text/event-stream', 'stream'],
  ['application/json; Q=0.0, text/event-stream', 'stream'],
  ['application/json ; q=0.000 ; x=1, text/event-stream', 'stream'],
  ['application/json;q=0, */*', 'stream'],
  ['text/html', undefined],
  ['application/jsonp', undefined],
  ['application/xml, text/plain', undefined],
  ['application/json;q=0, text/event-stream;q=0', undefined],
  ['*/*;q=0', undefined],
])('Accept %j admits %j', (accept, form) => {
  expect(answerForm(accept)).toBe(form);
});

test('a type that is refused by name is not admitted by a wildcard (RFC 9110 §12.5.1)', () => {
  expect(answerForm('*/*, text/event-stream;q=0')).toBe('json');
  expect(answerForm('application/json;q=0, application/*, text/event-stream')).toBe('stream');
});

test('a parameter whose name ends in q refuses nothing', () => {
  expect(answerForm('application/json;seq=0, text/event-stream')).toBe('either');
});

test.each([
  'application/json',
  'application/json; charset=utf-8',
  'application/json;charset=UTF-8',
  ' Application/JSON ',
])('Content-Type "%s" is JSON', (contentType) => {
  expect(isJson(contentType)).toBe(true);
});

test.each([
  undefined,
  '',
  'text/json',
  'text/plain',
  'application/jsonp',
  'application/json-patch+json',
  'application/vnd.api+json',
  'application/json, text/plain',
  'multipart/form-data; boundary=application/json',
])('Content-Type %j is not', (contentType) => {
  expect(isJson(contentType)).toBe(false);
});
