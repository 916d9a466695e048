import { describe, expect, test } from 'vitest';
import { eventually } from '../../../harness/eventually.ts';
import { freePort } from '../../../harness/loopback-server.ts';
import { connect, event, resultOf, startScripted, type Connection, type Script, type Visit } from './http-world.ts';

const envelope = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

async function connected(script: Script, options: Parameters<typeof connect>[1] = {}) {
  const server = await startScripted(script);
  return { server, connection: connect(server.url, options, 'modern') };
}

/** They may come in any order. */
const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

/** Sends a request with its envelope. */
function ask(connection: Connection, id: number | string, method: string, params: object = {}): boolean {
  return connection.send({ id, method, params: { ...params, _meta: envelope } });
}

const call = (connection: Connection, id: number | string, name: string, args: object = {}): boolean =>
  ask(connection, id, 'tools/call', { name, arguments: args });

const isCall = ({ body }: Visit): boolean => body?.method === 'tools/call';

/** A server of tools; each call is the test's. */
function serving(tools: readonly object[], onCall: Script = (visit) => visit.json(resultOf(visit.body?.id))): Script {
  return (visit) => {
    if (visit.body?.method === 'tools/list') visit.json(resultOf(visit.body.id, { tools }));
    else onCall(visit);
  };
}

const regional = {
  name: 'query',
  inputSchema: {
    type: 'object',
    properties: {
      region: { type: 'string', 'x-mcp-header': 'Region' },
      filter: { type: 'object', properties: { limit: { type: 'integer', 'x-mcp-header': 'Limit' } } },
      dry: { type: 'boolean', 'x-mcp-header': 'Dry' },
    },
  },
};

describe('a request', () => {
  test('is a POST of its own, whose head says what it is, and of no session', async () => {
    const { server, connection } = await connected((visit) =>
      visit.json(resultOf(visit.body?.id, { resultType: 'complete' }), 200, { 'Mcp-Session-Id': 'no' }),
    );
    ask(connection, 1, 'server/discover');
    ask(connection, 2, 'resources/read', { uri: 'file:///ü' });
    ask(connection, 3, 'prompts/get', { name: 'greet' });
    expect((await connection.answerTo(1)).result).toEqual({ resultType: 'complete' });
    await connection.answerTo(2);
    await connection.answerTo(3);
    const heads = server.visits.map(({ method, headers, body }) => [
      method,
      body?.method,
      headers['mcp-protocol-version'],
      headers['mcp-method'],
      headers['mcp-name'],
      headers['mcp-session-id'],
      headers.accept,
    ]);
    const accept = 'application/json, text/event-stream';
    expect(heads.toSorted(byText)).toEqual([
      ['POST', 'prompts/get', '2026-07-28', 'prompts/get', 'greet', undefined, accept],
      ['POST', 'resources/read', '2026-07-28', 'resources/read', '=?base64?ZmlsZTovLy/DvA==?=', undefined, accept],
      ['POST', 'server/discover', '2026-07-28', 'server/discover', undefined, undefined, accept],
    ]);
  });

  test('may be answered on a stream, and what comes on it before says so', async () => {
    const { connection } = await connected((visit) => {
      const progress = { method: 'notifications/progress', params: { progressToken: 1, progress: 1 } };
      visit
        .stream(event(progress), event(resultOf(visit.body?.id)), event(resultOf(visit.body?.id, { again: 1 })))
        .end();
    });
    ask(connection, 'a', 'x/y');
    await connection.answerTo('a');
    expect(connection.received.map(({ message, origin }) => [message.kind, origin])).toEqual([
      ['notification', 'a'],
      ['response', 'a'],
    ]);
  });

  test('is cancelled by closing its connection, and no notification is sent', async () => {
    const { server, connection } = await connected((visit) => {
      if (visit.body?.method === 'x/hold') visit.stream(event({ method: 'notifications/x' }));
      else visit.json(resultOf(visit.body?.id));
    });
    ask(connection, 1, 'x/hold');
    await eventually(() => expect(connection.others().length).toBe(1));
    const { response } = server.visits[0] ?? {};
    connection.send({ method: 'notifications/cancelled', params: { requestId: 1 } });
    await eventually(() => expect(response?.closed).toBe(true));
    ask(connection, 2, 'x/y');
    await connection.answerTo(2);
    expect([server.visits.length, connection.received.length]).toEqual([2, 2]);
  });

  test('of a subscription takes no place from others', async () => {
    const { connection } = await connected((visit) => {
      if (visit.body?.method === 'subscriptions/listen') visit.stream(': \n\n');
      else visit.json(resultOf(visit.body?.id));
    });
    for (let id = 0; id < 256; id++) ask(connection, id, 'subscriptions/listen', { notifications: {} });
    ask(connection, 'x', 'x/y');
    expect((await connection.answerTo('x')).result).toEqual({});
  });

  test('waits while there are 256 others, unless it is cancelled', async () => {
    const open: Visit[] = [];
    const { server, connection } = await connected((visit) => void open.push(visit));
    for (let id = 0; id < 258; id++) ask(connection, id, 'x/y');
    await eventually(() => expect(open.length).toBe(256));
    connection.send({ method: 'notifications/cancelled', params: { requestId: 256 } });
    open[0]?.json(resultOf(open[0].body?.id));
    await eventually(() => expect(open.length).toBe(257));
    expect(server.visits.at(-1)?.body?.id).toBe(257);
  });
});

/** The error that a request gets; the next one is answered. */
const errorOf = async (script: Script): Promise<unknown> => {
  const { connection } = await connected((visit) => {
    if (visit.body?.method === 'x/ok') visit.json(resultOf(visit.body.id));
    else script(visit);
  });
  ask(connection, 1, 'x/y');
  const { error } = await connection.answerTo(1);
  ask(connection, 2, 'x/ok');
  await connection.answerTo(2);
  expect(connection.ends).toEqual([]);
  return error;
};

describe('what goes wrong costs the request alone', () => {
  test.each<[string, Script, object]>([
    [
      'a page instead of an answer',
      (visit) => visit.status(502, '<html>', { 'Content-Type': 'text/html' }),
      {
        code: -32603,
        message: 'the server answered 502 Bad Gateway',
        data: { reason: 'upstream_http_error', status: 502 },
      },
    ],
    [
      'a refusal',
      (visit) => visit.status(401, 'who?', { 'Content-Type': 'text/plain' }),
      { message: 'the server answered 401 Unauthorized: who?', data: { reason: 'upstream_http_error', status: 401 } },
    ],
    [
      'an error of the server, whatever its status',
      (visit) => visit.json({ jsonrpc: '2.0', id: null, error: { code: -32601, message: 'what?' } }, 404),
      { code: -32601, message: 'what?' },
    ],
    [
      'a stream that ends too early, and is not resumed',
      (visit) => void visit.stream(event({ method: 'notifications/x' }, '7')).end(),
      { message: 'the server ended its answer without a response', data: { reason: 'upstream_stream_lost' } },
    ],
    [
      'a connection that breaks',
      (visit) => void visit.response.destroy(),
      { data: { reason: 'upstream_stream_lost' } },
    ],
    [
      'a redirect elsewhere',
      (visit) => visit.status(307, '', { Location: 'http://127.0.0.1:1/' }),
      { data: { reason: 'upstream_http_error' } },
    ],
    [
      'what is not MCP',
      (visit) => visit.status(200, 'hello', { 'Content-Type': 'text/plain' }),
      { data: { reason: 'upstream_http_error', status: 200 } },
    ],
  ])('%s', async (_what, script, error) => {
    expect(await errorOf(script)).toMatchObject(error);
  });

  test('a server that is not there, after some tries; it may come back', async () => {
    const port = await freePort();
    const connection = connect(`http://127.0.0.1:${port}/mcp`, {}, 'modern');
    ask(connection, 1, 'x/y');
    expect((await connection.answerTo(1)).error?.data).toEqual({ reason: 'upstream_unreachable' });
    await startScripted((visit) => visit.json(resultOf(visit.body?.id)), { port });
    ask(connection, 2, 'x/y');
    expect((await connection.answerTo(2)).result).toEqual({});
  });

  test('a notification that is not accepted is reported', async () => {
    const { server, connection } = await connected((visit) => visit.status(500));
    connection.send({ method: 'notifications/x' });
    await eventually(() =>
      expect(connection.warnings).toEqual([
        'notifications/x did not reach the server: the server answered 500 Internal Server Error',
      ]),
    );
    expect(server.visits[0]?.headers).toMatchObject({
      'mcp-method': 'notifications/x',
      'mcp-protocol-version': '2026-07-28',
    });
  });
});

describe('arguments that tools repeat in headers', () => {
  test('are sent with each call, once the list of tools is known, which is read before the first', async () => {
    const { server, connection } = await connected(serving([regional]));
    call(connection, 1, 'query', { region: 'Zürich', filter: { limit: 12 }, dry: false });
    call(connection, 2, 'query', { region: 'us west', filter: {} });
    call(connection, 3, 'other');
    await Promise.all([1, 2, 3].map((id) => connection.answerTo(id)));
    call(connection, 4, 'other');
    await connection.answerTo(4);
    const lists = server.visits.filter(({ body }) => body?.method === 'tools/list');
    expect(lists.map(({ body }) => body?.params)).toEqual([{ _meta: envelope }]);
    const heads = server.visits
      .filter(isCall)
      .map(({ body, headers }) => [
        body?.id,
        headers['mcp-param-region'],
        headers['mcp-param-limit'],
        headers['mcp-param-dry'],
      ]);
    expect(heads.toSorted(byText)).toEqual([
      [1, '=?base64?WsO8cmljaA==?=', '12', 'false'],
      [2, 'us west', undefined, undefined],
      [3, undefined, undefined, undefined],
      [4, undefined, undefined, undefined],
    ]);
  });

  test('are known from a list that a client has asked for', async () => {
    const { server, connection } = await connected(serving([regional]));
    ask(connection, 1, 'tools/list');
    await connection.answerTo(1);
    // Of a large message, strings as long as the region are not read at first.
    const region = 'x'.repeat(5000);
    call(connection, 2, 'query', { region, text: 'x'.repeat(100_000) });
    await connection.answerTo(2);
    expect(server.visits.map(({ body, headers }) => [body?.method, headers['mcp-param-region']])).toEqual([
      ['tools/list', undefined],
      ['tools/call', region],
    ]);
  });

  test('are read again when a call is refused for them, which is then repeated once', async () => {
    let tools: readonly object[] = [{ ...regional, inputSchema: { type: 'object' } }];
    const mismatch = { code: -32020, message: 'a header is missing' };
    const { server, connection } = await connected((visit) =>
      serving(tools, ({ body, headers, json }) => {
        if (headers['mcp-param-region'] === 'eu' && body?.id !== 9) json(resultOf(body?.id));
        else json({ jsonrpc: '2.0', id: body?.id, error: mismatch }, 400);
      })(visit),
    );
    ask(connection, 1, 'tools/list');
    await connection.answerTo(1);
    tools = [regional];
    call(connection, 2, 'query', { region: 'eu' });
    expect((await connection.answerTo(2)).result).toEqual({});
    call(connection, 9, 'query', { region: 'eu' });
    expect((await connection.answerTo(9)).error).toEqual(mismatch);
    expect(server.visits.map(({ body }) => [body?.method, body?.id === 2 || body?.id === 9])).toEqual([
      ['tools/list', false],
      ['tools/call', true],
      ['tools/list', false],
      ['tools/call', true],
      ['tools/call', true],
      ['tools/list', false],
      ['tools/call', true],
    ]);
  });

  test('go without when the list cannot be read', async () => {
    const { connection } = await connected((visit) => {
      if (isCall(visit)) visit.json(resultOf(visit.body?.id));
      else visit.status(500);
    });
    call(connection, 1, 'query');
    expect((await connection.answerTo(1)).result).toEqual({});
  });

  test('a call that is cancelled before the list is known is not sent', async () => {
    const lists: Visit[] = [];
    const { server, connection } = await connected((visit) => {
      if (visit.body?.method === 'tools/list') lists.push(visit);
      else visit.json(resultOf(visit.body?.id));
    });
    call(connection, 1, 'query');
    call(connection, 2, 'query');
    connection.send({ method: 'notifications/cancelled', params: { requestId: 1 } });
    await eventually(() => expect(lists.length).toBe(1));
    lists[0]?.json(resultOf(lists[0].body?.id, { tools: [regional], nextCursor: 'c' }));
    await eventually(() => expect(lists[1]?.body?.params).toEqual({ _meta: envelope, cursor: 'c' }));
    lists[1]?.json(resultOf(lists[1].body?.id, { tools: [] }));
    await connection.answerTo(2);
    expect(server.visits.filter(isCall).map(({ body }) => body?.id)).toEqual([2]);
  });

  test('a tool that declares them wrongly is left out of lists, with one warning', async () => {
    const wrong = { name: 'wrong', inputSchema: { properties: { x: { type: 'object', 'x-mcp-header': 'X' } } } };
    const { connection } = await connected(serving([wrong, regional]));
    for (const id of [1, 2]) ask(connection, id, 'tools/list');
    const answers = await Promise.all([1, 2].map((id) => connection.answerTo(id)));
    expect(answers.map(({ result }) => result)).toEqual([{ tools: [regional] }, { tools: [regional] }]);
    expect(connection.warnings).toEqual([expect.stringMatching(/^left out the tool "wrong" of the server/)]);
  });
});

test('a client that does not read holds up the server', async () => {
  const { server, connection } = await connected((visit) => {
    if (visit.body?.method === 'x/fence') visit.json(resultOf(visit.body.id));
    else visit.stream(...Array.from({ length: 3 }, (_, n) => event({ method: 'notifications/x', params: { n } })));
  });
  connection.upstream.pause();
  ask(connection, 1, 'x/y');
  ask(connection, 2, 'x/z');
  await eventually(() => expect(server.visits.length).toBe(2));
  const other = connect(server.url, {}, 'modern');
  ask(other, 1, 'x/fence');
  await other.answerTo(1);
  expect(connection.received).toEqual([]);
  connection.upstream.resume();
  await eventually(() => expect(connection.received.length).toBe(6));
});

test('its end ends what is open, and takes nothing more', async () => {
  const { server, connection } = await connected((visit) => void visit.stream(': \n\n'));
  ask(connection, 1, 'x/y');
  await eventually(() => expect(server.visits.length).toBe(1));
  await connection.upstream.close();
  expect([connection.ends.map(({ code }) => code), ask(connection, 2, 'x/y')]).toEqual([['upstream_exited'], false]);
  await eventually(() => expect(server.connections()).toBe(0));
});
