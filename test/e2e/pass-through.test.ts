// What mcp-expose does not know, it does not touch: unknown methods, _meta, cursors, capabilities, ids, odd characters.
import { beforeAll, describe, expect, test } from 'vitest';
import type { Exposed } from '../harness/expose.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { openSession, type RawSession } from '../harness/raw-mcp.ts';
import { exposeBy, ways } from '../harness/ways.ts';

describe.each(ways)('%s', (way) => {
  let exposed: Exposed;
  let session: RawSession;
  const capabilities = {
    experimental: { 'test/client': { level: 9 } },
    'x-unknown': [1, 2],
    sampling: { context: {} },
  };
  beforeAll(async () => {
    exposed = await exposeBy(way, { server: fixture('unknown-methods'), lifetime: 'file' });
    session = await openSession(exposed.url, exposed.token, { capabilities, protocolVersion: '2025-06-18' });
  });

  test('the result of initialize reaches the client whole', () => {
    expect(session.initializeResult).toEqual({
      protocolVersion: '2025-06-18',
      capabilities: {
        tools: {},
        experimental: { 'test/anything': { deep: [1, { two: null }] } },
        'x-future': { a: 1 },
      },
      serverInfo: { name: 'fixture-unknown-methods', version: '1.0.0' },
      instructions: 'ask me anything',
      _meta: { 'test/initialize': true },
    });
  });

  test('the server sees the client’s own initialize and initialized, once each', async () => {
    const { result } = await session.call('log', 'test/log');
    const log = result?.log ?? [];
    expect(log.filter(({ method }) => method === 'initialize').map(({ params }) => params)).toEqual([
      { protocolVersion: '2025-06-18', capabilities, clientInfo: { name: 'raw-mcp', version: '0' } },
    ]);
    expect(log.filter(({ method }) => method === 'notifications/initialized')).toHaveLength(1);
  });

  test.each([
    ['vendor/do-something', { a: [1, 2.5, 1e21, null, true], nested: { '': 'empty key' } }],
    ['tasks/list', { cursor: 'x' }],
    ['completion/complete', { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'a', value: 'v' } }],
    ['ping', { _meta: { 'com.example/trace': 'abc', traceparent: '00-0-0-01' } }],
    ['resources/read', { uri: 'file:///ü%20 x', _meta: { progressToken: 'mine' } }],
    ['__proto__', { constructor: 1 }],
  ])('method %s comes back with its params', async (method, params) => {
    const { result } = await session.call('1', method, params);
    expect(result).toEqual({ method, params });
  });

  test('characters that are legal in JSON survive in both directions', async () => {
    const text = '\u2028\u2029\u0000\u001b[31m \\u0041 "quoted" 🦊 \ud83e \r\n\t é e\u0301';
    const { result } = await session.call('2', 'vendor/echo', { text });
    expect(result).toEqual({ method: 'vendor/echo', params: { text } });
  });

  test('numbers that JavaScript would round or rewrite keep their digits in both directions', async () => {
    const digits = '[9007199254740993,1.10,1E400]';
    const reply = await send(exposed.url, {
      method: 'POST',
      headers: session.headers,
      body: `{"jsonrpc":"2.0","id":"n","method":"test/verbatim","params":${digits}}`,
    });
    const log = await session.call('log', 'test/log');
    expect(log.result?.lines?.find((line) => line.includes('test/verbatim'))).toContain(digits);
    expect(reply.body).toContain(digits);
  });

  test.each([0, -1, 1.5, 9_007_199_254_740_991, '', 'abc', '0', ' spaces ', '__proto__', '🦊', '"', 'x'.repeat(500)])(
    'the answer bears the request’s own id %j, type included',
    async (id) => {
      const reply = await session.post({ jsonrpc: '2.0', id, method: 'vendor/echo', params: {} });
      const [answer] = await reply.ended;
      expect(answer?.id).toBe(id);
    },
  );

  test('the ids 1 and "1" in flight at once are two requests', async () => {
    const replies = await Promise.all(
      [1, '1'].map((id) => session.post({ jsonrpc: '2.0', id, method: 'vendor/echo', params: { type: typeof id } })),
    );
    const answers = await Promise.all(replies.map((reply) => reply.ended));
    expect(answers.map(([answer]) => [answer?.id, answer?.result?.['params']])).toEqual([
      [1, { type: 'number' }],
      ['1', { type: 'string' }],
    ]);
  });

  test('lists are paged by the server’s own cursors', async () => {
    const first = await session.call(1, 'tools/list');
    expect(first.result).toEqual({
      tools: [{ name: 'page first', inputSchema: { type: 'object' }, 'x-unknown': [1] }],
      nextCursor: 'opaque/+= cursor',
      _meta: { 'test/list': 1 },
    });
    const second = await session.call(2, 'tools/list', { cursor: first.result?.['nextCursor'] });
    expect(second.result).toMatchObject({ tools: [{ name: 'page opaque/+= cursor' }] });
    expect(second.result).not.toHaveProperty('nextCursor');
  });

  test('unknown notifications reach the server in the order in which they were accepted', async () => {
    const own = await openSession(exposed.url, exposed.token);
    await own.post({ jsonrpc: '2.0', method: 'notifications/vendor', params: { n: 1 } });
    await own.post({ jsonrpc: '2.0', method: 'notifications/vendor', params: { n: 2 } });
    await own.post({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' });
    const { result } = await own.call('log', 'test/log');
    expect(result?.log?.slice(2, -1)).toMatchObject([
      { method: 'notifications/vendor', params: { n: 1 } },
      { method: 'notifications/vendor', params: { n: 2 } },
      { method: 'notifications/roots/list_changed' },
    ]);
  });
});
