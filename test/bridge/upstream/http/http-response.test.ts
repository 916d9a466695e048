import { Agent, get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import {
  drainResponse,
  errorIn,
  isPassing,
  retryAfterOf,
  saysSessionLost,
} from '../../../../src/bridge/upstream/http/http-response.ts';
import type { RequestId } from '../../../../src/mcp/json-rpc.ts';
import { eventually, within } from '../../../harness/eventually.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { responseOf } from './fake-session.ts';
import { startScripted, type Visit } from './http-world.ts';

describe('a status', () => {
  test.each([408, 409, 425, 429, 500, 502, 503, 504, 507, 520, 522, 530, 599])('%i may pass', (status) => {
    expect(isPassing(status)).toBe(true);
  });

  test.each([200, 202, 204, 301, 307, 400, 401, 403, 404, 405, 406, 410, 413, 415, 422, 451, 501, 505])(
    '%i will not',
    (status) => {
      expect(isPassing(status)).toBe(false);
    },
  );
});

const errorText = (body: string, id: RequestId = 1) => errorIn(Buffer.from(body), id)?.bytes.toString();

/** A body whose error nests so deep, that of the message included. */
function nested(levels: number): string {
  return `{"error":{"code":1,"message":"m","data":${'['.repeat(levels - 2)}${']'.repeat(levels - 2)}}}`;
}

describe('the error in a body', () => {
  test('becomes the answer to our request, whatever id it has', () => {
    for (const id of ['null', '99', '"x"']) {
      const error = '{"code":-32000,"message":"no"}';
      expect(errorText(`{"jsonrpc":"2.0","id":${id},"error":${error}}`, 'a"b')).toBe(
        `{"jsonrpc":"2.0","id":"a\\"b","error":${error}}`,
      );
    }
    expect(errorIn(Buffer.from('{"error":{"code":1,"message":""}}'), 7)).toMatchObject({
      kind: 'response',
      id: 7,
      failed: true,
      json: { id: 7, error: { code: 1, message: '' } },
    });
  });

  test('keeps its bytes, but for line breaks', () => {
    const error =
      '{ "code":-32000 , "message":"\\u00e9é€😀","data":{"precise":1.00,"big":12345678901234567890,"__proto__":1}}';
    expect(errorText(`{"jsonrpc":"2.0","id":null,"error":${error}}`)).toBe(`{"jsonrpc":"2.0","id":1,"error":${error}}`);
    expect(errorText('{\n  "error": {\n    "code": 1,\r\n    "message": "m"\n  }\n}\n')).toBe(
      '{"jsonrpc":"2.0","id":1,"error":{     "code": 1,      "message": "m"   }}',
    );
  });

  test('is that which a parser finds, where there are two', () => {
    expect(errorText('{"error":{"code":1,"message":"first"},"error":{"code":2,"message":"second"}}')).toBe(
      '{"jsonrpc":"2.0","id":1,"error":{"code":2,"message":"second"}}',
    );
    expect(errorText('{"data":{"error":{"code":1,"message":"inner"}},"error":{"code":2,"message":"outer"}}')).toContain(
      'outer',
    );
  });

  test('may be as deep as a message', () => {
    expect(errorText(nested(512))).toContain('[[]]');
    expect(errorText(nested(513))).toBeUndefined();
    expect(errorText(`{"beside":${'['.repeat(100_000)}${']'.repeat(100_000)},"error":{"code":1,"message":""}}`)).toBe(
      undefined,
    );
    expect(errorText('['.repeat(1_000_000))).toBeUndefined();
  });

  test.each([
    ['nothing', ''],
    ['a page', '<h1>no</h1>'],
    ['an array', '[{"error":{"code":1,"message":"m"}}]'],
    ['a result', '{"jsonrpc":"2.0","id":1,"result":{}}'],
    ['no error', '{"error":null}'],
    ['words', '{"error":"invalid_token"}'],
    ['no code', '{"error":{"message":"m"}}'],
    ['a code of words', '{"error":{"code":"E","message":"m"}}'],
    ['no message', '{"error":{"code":1}}'],
    ['an error further in', '{"data":{"error":{"code":1,"message":"m"}}}'],
  ])('is none in %s', (_what, body) => {
    expect(errorText(body)).toBeUndefined();
  });

  test('is none in bytes that are not UTF-8', () => {
    expect(errorIn(Buffer.from('{"error":{"code":1,"message":"\xff"}}', 'latin1'), 1)).toBeUndefined();
  });
});

const sdkWords = 'Session not found';
const errorBody = (id: RequestId | null | undefined, code: number, message: string) =>
  JSON.stringify({ jsonrpc: '2.0', ...(id === undefined ? {} : { id }), error: { code, message } });

describe('a session is lost', () => {
  test.each<[string, number, string, RequestId | undefined]>([
    ['404 alone', 404, '', 1],
    ['404 with a page', 404, '<h1>Not Found</h1>', 1],
    ['404 with an error without an id', 404, errorBody(null, -32001, sdkWords), 1],
    ['404 with an error without an id', 404, errorBody(undefined, -32000, 'gone'), 1],
    ['404 with another’s id', 404, errorBody(2, -32000, 'gone'), 1],
    ['404 with the id, in the words of the SDKs', 404, errorBody(1, -32001, sdkWords), 1],
    ['404 to what has no id', 404, errorBody(null, -32001, sdkWords), undefined],
    ['404 to what has no id, alone', 404, '', undefined],
    ['404 to what has no id, with an error that has none', 404, errorBody(undefined, -32000, 'gone'), undefined],
    ['400 in the words of the SDKs', 400, errorBody(null, -32000, 'Bad Request: No valid session ID provided'), 1],
    ['400 in other words of theirs', 400, errorBody(null, -32000, 'Bad Request: Server not initialized'), 1],
    ['400 in words of others', 400, errorBody(undefined, 1, 'INVALID SESSION'), 1],
    ['400 to what has no id', 400, errorBody(null, -32000, sdkWords), undefined],
    ['400 to what has no id, with an error that has none', 400, errorBody(undefined, -32000, sdkWords), undefined],
    ['404 with more than can be read', 404, '['.repeat(100_000), 1],
  ])('%s', (_what, status, body, id) => {
    expect(saysSessionLost(status, Buffer.from(body), id)).toBe(true);
  });

  test.each<[string, number, string, RequestId | undefined]>([
    ['404 of an unknown method', 404, errorBody(null, -32601, 'Method not found'), 1],
    ['404 as the answer', 404, errorBody(1, -32602, 'no such tool'), 1],
    ['404 as the answer, with the code of the SDKs', 404, errorBody(1, -32001, 'Request timed out'), 1],
    ['404 as the answer, with the words of the SDKs', 404, errorBody(1, -32603, sdkWords), 1],
    ['404 as the answer of an unknown method', 404, errorBody(1, -32601, sdkWords), 1],
    ['400 alone', 400, '', 1],
    ['400 with a page', 400, sdkWords, 1],
    ['400 in other words', 400, errorBody(null, -32000, 'Bad Request'), 1],
    ['400 as the answer', 400, errorBody(1, -32000, sdkWords), 1],
    ['400 as the answer, with the code of the SDKs', 400, errorBody(1, -32001, sdkWords), 1],
    ['400 with more than can be read', 400, '['.repeat(100_000), 1],
    ['another status', 403, errorBody(null, -32001, sdkWords), 1],
    ['another status', 500, errorBody(null, -32001, sdkWords), 1],
    ['success', 200, errorBody(null, -32001, sdkWords), 1],
  ])('not with %s', (_what, status, body, id) => {
    expect(saysSessionLost(status, Buffer.from(body), id)).toBe(false);
  });

  test('an id is itself and no other that looks like it', () => {
    for (const [ours, theirs] of [
      [1, '1'],
      ['1', 1],
    ] as const) {
      expect(saysSessionLost(404, Buffer.from(errorBody(theirs, -32602, 'no')), ours)).toBe(true);
    }
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const waitOf = (value: string) => retryAfterOf(responseOf({ 'retry-after': value }), now);

  test.each([
    ['0', 0],
    ['7', 7000],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Thu, 01 Jan 2026 00:00:00 GMT', 0],
  ])('%s', (value, waitMs) => {
    expect(waitOf(value)).toBe(waitMs);
  });

  test.each(['', 'soon', '-1', 'Wed, 31 Dec 2025 23:59:59 GMT'])('%j says nothing', (value) => {
    expect(waitOf(value)).toBeUndefined();
  });

  test('need not be there', () => {
    expect(retryAfterOf(responseOf({}), now)).toBeUndefined();
  });
});

/** The response to a GET, unread. */
async function ask(url: string, agent = new Agent({ keepAlive: true })): Promise<IncomingMessage> {
  atEnd('test', () => agent.destroy());
  const request = get(url, { agent });
  request.on('error', () => {});
  const [response] = await within<IncomingMessage[]>(15_000, 'a response', once(request, 'response'));
  if (response === undefined) throw new Error('unreachable');
  response.on('error', () => {});
  return response;
}

/** A response of which so many bytes come, and no end. */
async function endless(size: number) {
  const server = await startScripted(({ response }) => void response.writeHead(202).write('x'.repeat(size)));
  const clock = createFakeClock();
  const response = await ask(server.url);
  const seen = { bytes: 0 };
  drainResponse(response, clock);
  response.on('data', (chunk: Buffer) => (seen.bytes += chunk.length));
  return { clock, response, seen, visit: await server.visit(() => true) };
}

describe('a body that is ignored', () => {
  test('leaves its connection to the next request, and no timer', async () => {
    const ports: (number | undefined)[] = [];
    const server = await startScripted((visit: Visit) => {
      ports.push(visit.response.socket?.remotePort);
      visit.status(202, 'x'.repeat(64 * 1024));
    });
    const clock = createFakeClock();
    const agent = new Agent({ keepAlive: true });
    for (let count = 0; count < 3; count++) {
      const response = await ask(server.url, agent); // oxlint-disable-line no-await-in-loop -- one after the other is the point
      drainResponse(response, clock);
      await within(15_000, 'the end', once(response, 'close')); // oxlint-disable-line no-await-in-loop
      expect(response.complete).toBe(true);
    }
    expect(new Set(ports).size).toBe(1);
    expect(clock.pending).toBe(0);
  });

  test('of 64 KiB may still end', async () => {
    const { response, seen, visit } = await endless(64 * 1024);
    await eventually(() => expect(seen.bytes).toBe(64 * 1024));
    expect(response.destroyed).toBe(false);
    visit.response.end();
    await within(15_000, 'the end', once(response, 'close'));
    expect(response.complete).toBe(true);
  });

  test('of more is cut off', async () => {
    const { response, clock, visit } = await endless(64 * 1024 + 1);
    await eventually(() => expect(response.destroyed).toBe(true));
    await eventually(() => expect(visit.response.destroyed).toBe(true));
    await eventually(() => expect(clock.pending).toBe(0));
  });

  test('and does not end is cut off after five seconds', async () => {
    const { clock, response, seen, visit } = await endless(1);
    await eventually(() => expect(seen.bytes).toBe(1));
    clock.advance(4999);
    expect(response.destroyed).toBe(false);
    clock.advance(1);
    expect(response.destroyed).toBe(true);
    await eventually(() => expect(visit.response.destroyed).toBe(true));
  });
});
