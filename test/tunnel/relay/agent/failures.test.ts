import { expect, test } from 'vitest';
import { networkFailure, rejectFailure } from '../../../../src/tunnel/relay/agent/failures.ts';

const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });

test.each([
  ['https://relay.example', true],
  ['http://127.0.0.1:7900', false],
  ['http://[::1]:7900', false],
  ['http://localhost:7900', false],
])('a relay that cannot be reached: %s may be behind a proxy: %s', (relayUrl, mayBe) => {
  const { error } = networkFailure(relayUrl, refused);
  expect(error.message).toBe(`could not connect to the relay ${relayUrl}: connection refused`);
  expect(error.hints.some((hint) => hint.includes('HTTPS_PROXY'))).toBe(mayBe);
});

test.each([
  ['name_taken', false, false],
  ['quota', false, true],
  ['draining', true, false],
])('a reject %s, retryable %s: fatal for a reconnect: %s', (code, retryable, isFatal) => {
  const reject = { type: 'reject', code, message: 'no', retryable, retryAfterMs: 5 } as const;
  expect(rejectFailure('https://relay.example', reject, 'files')).toMatchObject({ isFatal, retryAfterMs: 5 });
});
