// Whatever arrives gets a clear answer, and the next request works.
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest, openSession, type RawSession } from '../harness/raw-mcp.ts';
import { exposeBy, ways } from '../harness/ways.ts';

const defaultMaxBodyBytes = 16 * 1024 * 1024;

/** A call of exactly so many bytes, and the length of the text in it. */
function measureCall(bytes: number): { body: string; length: number } {
  const frame = JSON.stringify({
    jsonrpc: '2.0',
    id: 'big',
    method: 'tools/call',
    params: { name: 'measure', arguments: { text: '|' } },
  });
  const [before = '', after = ''] = frame.split('|');
  const length = bytes - before.length - after.length;
  return { body: `${before}${'x'.repeat(length)}${after}`, length };
}

const without = (session: RawSession, name: string) => session.headers.filter(([other]) => other !== name);

const anyNumber: unknown = expect.any(Number);

describe.each(ways)('%s', (way) => {
  let exposed: Exposed;
  let session: RawSession;
  beforeAll(async () => {
    exposed = await exposeBy(way, { server: fixture('huge-result'), lifetime: 'file' });
    session = await openSession(exposed.url, exposed.token);
  });

  const post = (body: string | Buffer, headers = session.headers) =>
    send(exposed.url, { method: 'POST', headers, body });
  const withHeader = (name: string, value: string): [string, string][] => [
    ...session.headers.filter(([other]) => other.toLowerCase() !== name.toLowerCase()),
    [name, value],
  ];
  const list = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });

  test.each([
    ['prose', 'hello', -32700],
    ['half of an object', '{"jsonrpc":"2.0","id":1,"method":"tools/list"', -32700],
    ['nothing', '', -32700],
    ['two documents', `${list}\n${list}`, -32700],
    ['an empty array', '[]', -32600],
    ['a number', '42', -32600],
    ['null', 'null', -32600],
    ['an object that is no message', '{"foo":1}', -32600],
    ['the wrong version', '{"jsonrpc":"1.0","id":1,"method":"tools/list"}', -32600],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"tools/list"}', -32600],
    ['an id that is null', '{"jsonrpc":"2.0","id":null,"method":"tools/list"}', -32600],
    ['a method that is a number', '{"jsonrpc":"2.0","id":1,"method":5}', -32600],
    ['100,000 levels of arrays', '['.repeat(100_000), undefined],
    ['100,000 levels, closed', '['.repeat(100_000) + ']'.repeat(100_000), undefined],
    [
      'a deep params member',
      `{"jsonrpc":"2.0","id":1,"method":"x","params":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_001)}`,
      undefined,
    ],
    ['a result and an error', '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}', -32600],
  ])('body: %s → 400 and a JSON-RPC error', async (_what, body, code) => {
    const reply = await post(body);
    expect(reply.status).toBe(400);
    expect(reply.json()).toMatchObject({
      jsonrpc: '2.0',
      error: { code: code ?? anyNumber, message: expect.any(String) },
    });
    expect((await post(list)).status).toBe(200);
  });

  test.each([
    ['a lone continuation byte', [0xff]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['half of a character', [0xe2, 0x82]],
  ])('body that is not UTF-8, %s → 400', async (_what, bytes) => {
    const [before = '', after = ''] =
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"|"}}}'.split('|');
    const reply = await post(Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]));
    expect(reply.status).toBe(400);
    expect(reply.json()).toMatchObject({ jsonrpc: '2.0', error: { code: -32700 } });
  });

  test('a body in another charset is refused, not misread', async () => {
    const reply = await post(
      Buffer.from(list, 'utf16le'),
      withHeader('Content-Type', 'application/json; charset=utf-16'),
    );
    expect([400, 415]).toContain(reply.status);
  });

  test('white space and line feeds inside a message are fine', async () => {
    const reply = await post(JSON.stringify(JSON.parse(list), undefined, '\r\n\t '));
    expect(reply.status).toBe(200);
    expect(reply.body).toContain('measure');
  });

  test('a body just under the limit passes, one over it gets 413 as JSON', async () => {
    const fits = measureCall(defaultMaxBodyBytes);
    expect(textOf((await post(fits.body)).json())).toBe(String(fits.length));
    const reply = await post(measureCall(defaultMaxBodyBytes + 1).body);
    expect(reply.status).toBe(413);
    expect(reply.headers['content-type']).toMatch(/^application\/json/);
    expect(reply.json()).toMatchObject({
      jsonrpc: '2.0',
      error: { message: expect.stringMatching(/max-body|bytes|MiB/i) },
    });
    expect((await post(list)).status).toBe(200);
  });

  test('a body over the limit in chunks, of unknown length, gets 413 too', async () => {
    const reply = await send(exposed.url, {
      method: 'POST',
      headers: [...session.headers, ['Transfer-Encoding', 'chunked']],
      body: Buffer.alloc(defaultMaxBodyBytes + 1, 'x'),
    });
    expect(reply.status).toBe(413);
  });

  test.each([
    ['application/json', 200, 'application/json'],
    ['text/event-stream', 200, 'text/event-stream'],
    ['text/html', 406, 'application/json'],
    ['application/json;q=0, text/event-stream', 200, 'text/event-stream'],
    ['*/*', 200, 'application/json'],
    ['application/json, text/event-stream', 200, 'application/json'],
    ['text/event-stream;q=0.5 , APPLICATION/JSON', 200, 'application/json'],
  ])('POST with Accept: %s → %i, as %s', async (accept, status, type) => {
    const reply = await post(list, withHeader('Accept', accept));
    expect([reply.status, reply.headers['content-type']]).toEqual([status, type]);
  });

  test('without Accept → 200, without Content-Type → 415', async () => {
    expect((await post(list, without(session, 'Accept'))).status).toBe(200);
    expect((await post(list, without(session, 'Content-Type'))).status).toBe(415);
  });

  test('GET that does not accept an event stream → 406', async () => {
    const headers = withHeader('Accept', 'application/json');
    const reply = await send(exposed.url, { headers });
    expect(reply.status).toBe(406);
    expect(reply.json()).toMatchObject({ jsonrpc: '2.0', error: {} });
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', ''])(
    'POST with Content-Type: %j → 415',
    async (type) => {
      const reply = await post(list, withHeader('Content-Type', type));
      expect(reply.status).toBe(415);
      expect(reply.json()).toMatchObject({ jsonrpc: '2.0', error: {} });
    },
  );

  test('a compressed body → 415 with what is taken, and the next request works', async () => {
    const reply = await post(gzipSync(list), [...session.headers, ['Content-Encoding', 'gzip']]);
    expect([reply.status, reply.headers['accept-encoding']]).toEqual([415, 'identity']);
    expect(reply.json()).toMatchObject({ error: { message: expect.stringContaining('send it uncompressed') } });
    expect((await post(list, [...session.headers, ['Content-Encoding', 'identity']])).status).toBe(200);
  });

  test('a transfer coding that is none of ours → 501', async () => {
    const headers: [string, string][] = [...session.headers, ['Transfer-Encoding', 'gzip, chunked']];
    expect((await post(gzipSync(list), headers)).status).toBe(501);
    expect((await post(list)).status).toBe(200);
  });

  test.each(['application/json; charset=utf-8', 'APPLICATION/JSON'])(
    'POST with Content-Type: %s → 200',
    async (type) => {
      expect((await post(list, withHeader('Content-Type', type))).status).toBe(200);
    },
  );

  test.each(['PUT', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE'])('%s → 405 with Allow', async (method) => {
    const reply = await send(exposed.url, { method, headers: session.headers });
    expect(reply.status).toBe(405);
    expect(reply.headers.allow).toMatch(/POST/);
  });

  test('a header of 32 KB → 431, and the next request works', async () => {
    const reply = await post(list, [...session.headers, ['X-Large', 'x'.repeat(32 * 1024)]]);
    expect(reply.status).toBe(431);
    expect((await post(list)).status).toBe(200);
  });

  test('an unknown path with the token → 404 as JSON', async () => {
    const base = new URL(exposed.url).pathname.replace(/\/mcp$/, '');
    const reply = await send(exposed.url, { path: `${base}/nothing-here`, headers: session.headers });
    expect(reply.status).toBe(404);
    expect(reply.json()).toHaveProperty('error');
  });

  test('an unknown tool and an unknown method are the server’s to refuse', async () => {
    const tool = await session.call('t', 'tools/call', { name: 'no-such-tool', arguments: {} });
    expect(tool.error).toEqual({ code: -32602, message: 'unknown tool no-such-tool' });
    const method = await session.call('m', 'no/such/method');
    expect(method.error).toEqual({ code: -32601, message: 'method not found: no/such/method' });
  });

  test('the first message has to be initialize', async () => {
    const reply = await post(list, clientHeaders(exposed.token));
    expect(reply.status).toBe(400);
  });

  test('a batch is answered as its revision says: at once under 2025-03-26, 400 since', async () => {
    const batch = JSON.stringify(
      ['a', 'b'].map((id) => ({
        jsonrpc: '2.0',
        id,
        method: 'tools/call',
        params: { name: 'echo', arguments: { text: id } },
      })),
    );
    const old = await openSession(exposed.url, exposed.token, { protocolVersion: '2025-03-26' });
    const answers = await (await old.post(batch)).ended;
    expect(answers.map(({ id }) => String(id)).toSorted()).toEqual(['a', 'b']);
    const recent = await post(batch);
    expect(recent.status).toBe(400);
    expect(recent.json()).toMatchObject({ jsonrpc: '2.0', error: { code: -32600 } });
  });

  test('an initialize without params or with an unknown revision does not end in silence', async () => {
    const headers = clientHeaders(exposed.token);
    const bare = await post('{"jsonrpc":"2.0","id":1,"method":"initialize"}', headers);
    expect(bare.json()).toMatchObject({ jsonrpc: '2.0', id: 1 }); // the server's own answer, or ours
    const future = await post(initializeRequest('2099-01-01'), headers);
    expect(future.status).toBe(200);
    expect(future.json().result?.protocolVersion).toMatch(/^202\d-\d\d-\d\d$/);
  });
});

test.each([
  ['512kb', 512 * 1024],
  ['1mb', 1024 * 1024],
])('--max-body %s is obeyed', async (size, bytes) => {
  const exposed = await startExpose({ server: fixture('huge-result'), args: ['--max-body', size] });
  const session = await openSession(exposed.url, exposed.token);
  const measure = (length: number) =>
    session.post({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'measure', arguments: { text: 'x'.repeat(length) } },
    });
  expect((await measure(bytes + 1)).status).toBe(413);
  const [answer] = await (await measure(bytes - 1000)).ended;
  expect(answer).toMatchObject({ result: { content: [{ text: String(bytes - 1000) }] } });
});
