import { expect, test } from 'vitest';
import {
  closeReason,
  handshakeCloseFailure,
  networkFailure,
  rejectFailure,
} from '../../../../src/tunnel/relay/agent/failures.ts';
import { rejectCodes } from '../../../../src/tunnel/relay/protocol/protocol.ts';

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

test.each(rejectCodes)('a reject %s: a sentence with what the relay says, its code, and what to do', (code) => {
  const reject = { type: 'reject', code, message: 'because of this', retryable: code === 'draining' } as const;
  const { error } = rejectFailure('https://relay.example', reject, 'files');
  expect(error.message).toBe(`the relay https://relay.example refused this agent: because of this (${code})`);
  expect(error.hints).toHaveLength(1);
});

test.each([
  [1000, '', 'the relay closed the connection'],
  [1001, 'the relay is stopping', 'the relay closed the connection'],
  [1006, '', 'the connection to the relay was lost'],
  [4000, 'malformed ack', 'the relay closed the connection: malformed ack'],
  [4001, 'no handshake in time', 'the relay closed the connection: no handshake in time'],
  [4002, 'taken over', 'another mcp-expose with the same key took this name over; with --replica, both can serve it'],
  [
    4003,
    'this relay is full, and another agent needed the place',
    'the relay closed the connection: this relay is full, and another agent needed the place',
  ],
  [4004, '', 'the relay closed the connection: it had heard nothing from this agent for too long'],
  [4099, '', 'the relay closed the connection: it gave no reason but 4099'],
  [4099, 'a\u0007\nb', 'the relay closed the connection: a b'],
])('a connection that was up ends with %i %j: %s', (code, reason, sentence) => {
  expect(closeReason(code, reason)).toBe(sentence);
});

test.each([
  [4001, "the relay https://relay.example got no proof of this agent's key in time"],
  [
    4000,
    'the relay https://relay.example did not complete the handshake: it closed the connection during the handshake with 4000 why',
  ],
])('a handshake ends with %i: %s', (code, sentence) => {
  const { error, isFatal } = handshakeCloseFailure('https://relay.example', code, 'why');
  expect(error.message).toBe(sentence);
  expect(error.hints).toHaveLength(1);
  expect(isFatal).toBe(false);
});
