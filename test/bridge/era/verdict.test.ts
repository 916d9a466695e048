import { expect, test } from 'vitest';
import { deniesEra } from '../../../src/bridge/era/verdict.ts';
import { failedResponse, response } from '../messages.ts';

const noSession = failedResponse(1, { code: -32000, message: 'Bad Request: Server not initialized' });
const httpError = (status: number): ReturnType<typeof failedResponse> =>
  failedResponse(1, { code: -32603, message: 'x', data: { reason: 'upstream_http_error', status } });
const onlyModern = failedResponse(1, { code: -32022, message: 'x', data: { supported: ['2026-07-28'] } });

test.each([
  ['modern', 'an unknown method', failedResponse(1), true],
  ['modern', 'no session', noSession, true],
  ['modern', 'the status 404', httpError(404), true],
  ['modern', 'the status 503', httpError(503), false],
  ['modern', 'another revision', onlyModern, false],
  ['modern', 'a result', response(1, { code: -32601 }), false],
  ['legacy', 'modern revisions', onlyModern, true],
  ['legacy', 'an unknown method', failedResponse(1), false],
  ['legacy', 'no session', noSession, false],
] as const)('of a server that was spoken to as a %s one, %s denies that: %s', (era, _what, answer, expected) => {
  expect(deniesEra(era, answer)).toBe(expected);
});
