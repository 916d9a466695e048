import { describe, expect, test } from 'vitest';
import { parseAgentMessage, parseRelayMessage } from '../../../../src/tunnel/relay/protocol/parse-message.ts';
import {
  closeCodes,
  encodeMessage,
  protocolVersion,
  rejectCodes,
  tunnelPath,
} from '../../../../src/tunnel/relay/protocol/protocol.ts';

const publicKey = 'O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik';
const parseAgent = (text: string) => parseAgentMessage(Buffer.from(text));
const parseRelay = (text: string) => parseRelayMessage(Buffer.from(text));

function encode(message: ReturnType<typeof parseAgent> | ReturnType<typeof parseRelay>): string | undefined {
  return message.type === 'unknown' || message.type === 'malformed' ? undefined : encodeMessage(message);
}

/** Literals, never values from src: a change here breaks every agent and relay out there. */
describe('pins of the wire format', () => {
  test('names', () => {
    expect(protocolVersion).toBe('mcp-expose.v1');
    expect(tunnelPath).toBe('/_mcp-expose/v1/tunnel');
    expect(rejectCodes).toEqual(['auth', 'name_taken', 'name_reserved', 'version', 'quota', 'draining']);
    expect(closeCodes).toEqual({
      normal: 1000,
      goingAway: 1001,
      protocolError: 4000,
      handshakeTimeout: 4001,
      takenOver: 4002,
      rejected: 4003,
      silent: 4004,
    });
  });

  test.each([
    `{"type":"hello","versions":["mcp-expose.v1"],"agent":"mcp-expose/0.1.0","publicKey":"${publicKey}","want":{"name":"files"}}`,
    `{"type":"hello","versions":["mcp-expose.v1"],"agent":"a","publicKey":"${publicKey}","want":{}}`,
    `{"type":"hello","versions":["mcp-expose.v1"],"agent":"a","publicKey":"${publicKey}","want":{"name":"files","replica":"k3Jx_0-aQ2bE"}}`,
    `{"type":"hello","versions":["mcp-expose.v1"],"agent":"a","publicKey":"${publicKey}","want":{},"resume":{"session":"","received":0}}`,
    `{"type":"hello","versions":["mcp-expose.v1"],"agent":"a","publicKey":"${publicKey}","want":{},"resume":{"session":"a-_9","received":65536}}`,
    `{"type":"proof","signature":"${'A'.repeat(86)}"}`,
    '{"type":"ack","received":65536}',
    '{"type":"goaway"}',
  ])('from the agent: %s', (text) => {
    const message = parseAgent(text);
    expect(message).toEqual(JSON.parse(text));
    expect(encode(message)).toBe(text);
  });

  test.each([
    `{"type":"challenge","nonce":"${'A'.repeat(43)}"}`,
    '{"type":"welcome","session":"s","epoch":3,"name":"files","urls":["https://files.relay.example","https://relay.example/files"],"resumeMs":0,"heartbeatMs":15000,"limits":{"streams":256}}',
    '{"type":"welcome","session":"s","epoch":3,"name":"files","urls":["https://relay.example/files"],"resumeMs":30000,"heartbeatMs":15000,"limits":{"streams":256},"received":12}',
    '{"type":"reject","code":"quota","message":"full","retryable":true,"retryAfterMs":10000}',
    '{"type":"reject","code":"name_taken","message":"no","retryable":false}',
    '{"type":"ack","received":0}',
    '{"type":"notice","kind":"expiring","message":"soon"}',
    '{"type":"goaway"}',
  ])('from the relay: %s', (text) => {
    const message = parseRelay(text);
    expect(message).toEqual(JSON.parse(text));
    expect(encode(message)).toBe(text);
  });
});

describe('hostile input', () => {
  test.each([
    '',
    '{',
    'null',
    '[]',
    '1',
    '"hello"',
    '\u0000',
    '{"type":"hello"}',
    '{"type":"proof"}',
    '{"type":"ack"}',
  ])('from an agent is malformed: %j', (text) => {
    expect(parseAgent(text).type).toBe('malformed');
  });

  test.each([
    { versions: 'mcp-expose.v1' },
    { versions: [] },
    { versions: [1] },
    { versions: Array.from({ length: 17 }, () => 'v') },
    { publicKey: 'short' },
    { publicKey: `${publicKey}AAAA` },
    { publicKey: `${publicKey.slice(0, 42)}+` },
    { publicKey: 7 },
    { agent: {} },
    { want: { name: 7 } },
    { want: { name: 'x'.repeat(3000) } },
    { want: { replica: '' } },
    { want: { replica: 'a.b' } },
    { want: { replica: 'x'.repeat(65) } },
    { want: { replica: null } },
  ])('a hello with %j', (change) => {
    const hello = { type: 'hello', versions: ['mcp-expose.v1'], agent: 'a', publicKey, want: {}, ...change };
    expect(parseAgent(JSON.stringify(hello)).type).toBe('malformed');
  });

  test('a hello beyond 16 KiB, however valid', () => {
    const hello = {
      type: 'hello',
      versions: ['mcp-expose.v1'],
      agent: 'a',
      publicKey,
      want: {},
      pad: 'x'.repeat(16 * 1024),
    };
    expect(parseAgent(JSON.stringify(hello))).toEqual({
      type: 'malformed',
      reason: 'control message of more than 16384 bytes',
    });
  });

  test('__proto__ gives a message nothing', () => {
    expect(parseAgent('{"__proto__":{"type":"goaway"}}').type).toBe('unknown');
    expect(parseRelay('{"__proto__":{"type":"goaway"}}').type).toBe('unknown');
  });

  test('unknown types are ignored, on both sides', () => {
    expect(parseAgent('{"type":"later"}')).toEqual({ type: 'unknown' });
    expect(parseRelay('{"type":"later"}')).toEqual({ type: 'unknown' });
    expect(parseRelay('{"type":"cancel","stream":7}')).toEqual({ type: 'unknown' });
  });

  test('text from the relay reaches the terminal without control characters', () => {
    const reject = { type: 'reject', code: 'auth', message: 'a\u001b[2Jb\nc\u202ed', retryable: 'yes' };
    expect(parseRelay(JSON.stringify(reject))).toEqual({
      type: 'reject',
      code: 'auth',
      message: 'a [2Jb c d',
      retryable: false,
    });
  });

  test('long text from the relay is cut, whatever it is made of', () => {
    const notice = (message: string) => parseRelay(JSON.stringify({ type: 'notice', kind: 'k', message }));
    expect(notice('x'.repeat(3000))).toEqual({ type: 'notice', kind: 'k', message: `${'x'.repeat(499)}…` });
    expect(notice(`${'x'.repeat(498)}\u{1f600}yy`)).toEqual({
      type: 'notice',
      kind: 'k',
      message: `${'x'.repeat(498)} …`,
    });
    const reject = { type: 'reject', code: 'auth', message: 'x'.repeat(3000), retryable: false };
    expect(parseRelay(JSON.stringify(reject))).toMatchObject({ type: 'reject', message: `${'x'.repeat(499)}…` });
  });

  test("an agent's versions reach the operator's log without control characters", () => {
    const hello = { type: 'hello', versions: ['a\u001b[2J'], agent: 'a', publicKey, want: {} };
    expect(parseAgent(JSON.stringify(hello))).toMatchObject({ versions: ['a [2J'] });
  });

  test.each([
    { session: '' },
    { session: 'a b' },
    { session: 7 },
    { received: -1 },
    { received: '1' },
    { received: null },
    { resumeMs: 0.5 },
  ])('a welcome with %j', (change) => {
    const urls = ['https://a.example'];
    const times = { resumeMs: 0, heartbeatMs: 1, limits: { streams: 1 } };
    const welcome = { type: 'welcome', session: 's', epoch: 1, name: 'files', urls, ...times };
    expect(parseRelay(JSON.stringify(welcome)).type).toBe('welcome');
    expect(parseRelay(JSON.stringify({ ...welcome, ...change })).type).toBe('malformed');
  });

  test.each([[[]], [['x'.repeat(3000)]], [Array.from({ length: 17 }, () => 'https://a.example')]])(
    'a welcome with the URLs %j',
    (urls) => {
      const welcome = {
        type: 'welcome',
        session: 's',
        epoch: 1,
        name: 'files',
        urls,
        resumeMs: 0,
        heartbeatMs: 1,
        limits: { streams: 1 },
      };
      expect(parseRelay(JSON.stringify(welcome)).type).toBe('malformed');
    },
  );
});
