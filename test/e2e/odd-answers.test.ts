// My server answers in odd ways: whoever waits is told at once, and what cannot be used is said on the screen.
import { createServer } from 'node:http';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, type ExposeOptions, startExpose } from '../harness/expose.ts';
import type { JsonRpcMessage } from '../harness/json-rpc-message.ts';
import { atEnd } from '../harness/lifetime.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { openSession, type RawSession } from '../harness/raw-mcp.ts';

const callOf = (id: string, text: string, name = 'raw', meta = ''): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}",${meta}"arguments":{"text":${JSON.stringify(text)}}}}`;

/** How long a call may take at most that fails at once; a call that hangs takes for ever. */
const atOnceMs = 5000;

async function raw(session: RawSession, text: string, name = 'raw', id = '5'): Promise<JsonRpcMessage> {
  const reply = await session.post(callOf(id, text, name));
  return reply.next((message) => message.method === undefined, atOnceMs);
}

type AnswerType = 'application/json' | 'text/event-stream';

/** A server over Streamable HTTP that answers each call with the text that it is given. */
async function startHttpServer(type: AnswerType): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (request.method !== 'POST') {
        response.writeHead(request.method === 'DELETE' ? 200 : 405).end();
        return;
      }
      const { id, method, params } = parseJson<{
        id?: number;
        method: string;
        params: { name?: string; arguments?: { text: string }; protocolVersion?: string };
      }>(body);
      if (id === undefined) {
        response.writeHead(202).end();
        return;
      }
      const { protocolVersion } = params;
      const result =
        method === 'initialize'
          ? { protocolVersion, capabilities: {}, serverInfo: { name: 'raw', version: '1' } }
          : { tools: [] };
      const text =
        method === 'tools/call'
          ? String(params.arguments?.text).replaceAll('ID', JSON.stringify(id))
          : JSON.stringify({ jsonrpc: '2.0', id, result });
      response.writeHead(200, { 'content-type': type });
      response.write(type === 'application/json' ? text : `data: ${text}`);
      if (params.name === 'endless') {
        const more = (): void => void response.write('x'.repeat(64 * 1024), () => setImmediate(more));
        if (!response.destroyed) more();
        return;
      }
      response.end(type === 'application/json' ? '' : '\n\n');
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  atEnd('file', () => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/mcp`;
}

const overHttp = async (type: AnswerType): Promise<ExposeOptions> => ({
  running: { kind: 'http', url: await startHttpServer(type) },
});

const ways: [way: string, options: () => ExposeOptions | Promise<ExposeOptions>][] = [
  ['over stdio', () => ({ server: fixture('raw-answers') })],
  ['over stdio, shared', () => ({ server: fixture('raw-answers'), args: ['--isolation', 'shared'] })],
  ['over --http, in JSON', () => overHttp('application/json')],
  ['over --http, in a stream', () => overHttp('text/event-stream')],
];

describe.each(ways)('%s', (_way, optionsOf) => {
  let exposed: Exposed;
  let session: RawSession;
  beforeAll(async () => {
    const { args = [], ...options } = await optionsOf();
    exposed = await startExpose({ ...options, args: [...args, '--max-message', '1MiB'], lifetime: 'file' });
    session = await openSession(exposed.url, exposed.token);
  });

  test.each([
    ['{"jsonrpc":"2.0","id":ID}', /cannot be read/],
    ['{"jsonrpc":"2.0","id":ID,"method":null,"result":{}}', /cannot be read/],
    ['{"jsonrpc":"1.0","id":ID,"result":{}}', /cannot be read/],
    ['{"id":ID,"result":{}}', /cannot be read/],
    ['{"jsonrpc":"2.0","id":ID,"result":null,"error":{"code":-5,"message":"disk full"}}', /^disk full$/],
    ['{"jsonrpc":"2.0","id":ID,"error":"disk full"}', /^disk full$/],
    ['{"id":ID,"error":{"message":"disk full"}}', /^disk full$/],
  ])('%s fails its call at once', async (text, message) => {
    const { error, result } = await raw(session, text);
    expect(error?.message).toMatch(message);
    expect(result).toBeUndefined();
  });

  test('an id that is nearly right is right', async () => {
    expect(await raw(session, '{"jsonrpc":"2.0","id":"ID","result":{"ok":true}}')).toEqual({
      jsonrpc: '2.0',
      id: 5,
      result: { ok: true },
    });
    expect(await raw(session, '{"jsonrpc":"2.0","id":ID.0,"result":{"ok":true}}')).toMatchObject({ id: 5 });
  });

  test.each(['{"result":{"x":"', '{"jsonrpc":"2.0","id":ID,"result":{"x":"'])(
    'an answer that is too long and never ends fails its call when it is too long: %s',
    async (text) => {
      const { args = [], ...options } = await optionsOf();
      const own = await startExpose({ ...options, args: [...args, '--max-message', '1MiB'] });
      const { error } = await raw(await openSession(own.url, own.token), text, 'endless');
      expect(error?.data).toMatchObject({ reason: 'message_too_large' });
    },
  );
});

describe.each([
  ['each client with a server of its own', []],
  ['one server for all', ['--isolation', 'shared']],
])('%s', (_what, args) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await startExpose({ server: fixture('raw-answers'), args, lifetime: 'file' });
  });

  test('ids that differ in their text alone are different ids, and come back as they were written', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const ids = ['9007199254740992', '9007199254740993', '9007199254740993.0', '1e400'];
    const calls = await Promise.all(
      ids.map((id, n) =>
        send(exposed.url, {
          method: 'POST',
          headers: session.headers,
          body: callOf(id, `{"jsonrpc":"2.0","id":ID,"result":{"n":${n}}}`),
        }),
      ),
    );
    expect(calls.map(({ body }) => body)).toEqual(
      ids.map((id, n) => `{"jsonrpc":"2.0","id":${id},"result":{"n":${n}}}`),
    );
  });

  test('an answer to a request that was not sent is reported, without what would move the cursor', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const unknown = '{"jsonrpc":"2.0","id":"nobody\\u001b[31m","result":{}}';
    await raw(session, `${unknown}\n{"jsonrpc":"2.0","id":ID,"result":{}}`);
    await exposed.waitForStderr(/the server answered a request that it was not sent \(id "nobody.*"result": …/);
    expect(exposed.stderr().match(/that it was not sent/g)).toHaveLength(1);
    // oxlint-disable-next-line no-control-regex
    expect(exposed.stderr()).not.toMatch(/\u001b/);
  });
});

test('an answer to a cancelled request is none that was not asked for', async () => {
  const exposed = await startExpose({ server: fixture('raw-answers') });
  const session = await openSession(exposed.url, exposed.token);
  const cancelled = await session.post(callOf('6', 'nothing', 'silent', '"_meta":{"progressToken":1},'));
  await session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 6 } });
  await cancelled.ended;
  await raw(session, '{"jsonrpc":"2.0","id":6,"result":{}}\n{"jsonrpc":"2.0","id":ID,"result":{}}');
  await raw(session, '{"jsonrpc":"2.0","id":6,"result":{}}\n{"jsonrpc":"2.0","id":ID,"result":{}}', 'raw', '7');
  await exposed.waitForStderr(/that it was not sent \(id 6\)/);
  // The first one was legitimate.
  expect(exposed.stderr().match(/that it was not sent/g)).toHaveLength(1);
});

describe.each([
  ['lines that are no JSON', 'flood', 'x'],
  ['lines that begin as JSON', 'flood', '{"jsonrpc":"2.0","id":'],
  ['notifications', 'flood', '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}'],
  ['lines on its standard error', 'flood-stderr', 'x'],
])('a server that never stops to write %s', (_what, tool, text) => {
  test('leaves time for the others, and is reported in few words', async () => {
    const exposed = await startExpose({ server: fixture('raw-answers') });
    const [noisy, quiet] = [
      await openSession(exposed.url, exposed.token),
      await openSession(exposed.url, exposed.token),
    ];
    void noisy.post(callOf('5', text, tool)).catch(() => {});
    await exposed.waitForStderr(/got tools\/call/);
    const began = performance.now();
    for (let id = 10; id < 40; id++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, as a person works
      await raw(quiet, '{"jsonrpc":"2.0","id":ID,"result":{}}', 'raw', String(id));
    }
    // Each call took seconds while the others were kept out; 30 of them take some 3 s on a busy machine.
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(exposed.stderr().match(/mcp-expose: warning/g)?.length ?? 0).toBeLessThan(30);
  });
});
