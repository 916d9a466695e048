import { expect, test } from 'vitest';
import { accepts, isJson } from '../../src/mcp/headers.ts';

const both = ['application/json', 'text/event-stream'];

test.each([
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
])('Accept "%s" admits both media types', (accept) => {
  expect(accepts(accept, both)).toBe(true);
});

test.each([
  undefined,
  '',
  'application/json',
  'text/event-stream',
  'text/html',
  'application/*',
  'text/*',
  'application/jsonp, text/event-stream',
  'application/json-seq, text/event-stream',
  'json, text/event-stream',
  'application/json;q=0, text/event-stream',
  'application/json; Q=0.0, text/event-stream',
  'application/json ; q=0.000 ; x=1, text/event-stream',
  'application/json, text/event-stream;q=0',
  '*/*;q=0',
])('Accept %j does not admit both', (accept) => {
  expect(accepts(accept, both)).toBe(false);
});

test('a type that is refused by name is not admitted by a wildcard (RFC 9110 §12.5.1)', () => {
  expect(accepts('*/*, text/event-stream;q=0', both)).toBe(false);
  expect(accepts('application/json;q=0, application/*, text/event-stream', both)).toBe(false);
});

test('a parameter whose name ends in q refuses nothing', () => {
  expect(accepts('application/json;seq=0, text/event-stream', both)).toBe(true);
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
