import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { endFlag, frame, frameTypes, headFrame, hostileAgent, lastData, numberFrame } from './hostile-agent.ts';
import type { TestAgent, World } from './world.ts';
import { ask, echo, fieldsOf, pause, startWorld } from './world.ts';

let world: World;
let bystander: TestAgent;
let thrown: unknown[];
const onThrown = (error: unknown): void => {
  thrown.push(error);
};
beforeEach(async () => {
  thrown = [];
  process.on('uncaughtException', onThrown);
  process.on('unhandledRejection', onThrown);
  world = await startWorld();
  bystander = await world.agent(echo);
});
afterEach(async () => {
  await world.end();
  process.off('uncaughtException', onThrown);
  process.off('unhandledRejection', onThrown);
});

type Respond = (streamId: number) => readonly Buffer[];

/**
 * What a client gets for one request to an agent that responds with these messages; fails when the relay would have ended, or
 * the agent lost its connection.
 */
async function outcome(messages: Respond) {
  const agent = await hostileAgent(world.relay.url, (id) =>
    id === 1 ? messages(id) : respond({ status: 204 }, '')(id),
  );
  world.defer(() => agent.socket.terminate());
  const reply = await ask(agent.url).then(
    (answer) => answer,
    () => 'broken off' as const,
  );
  // What is thrown in a later turn counts too.
  await pause(20);
  expect(thrown).toEqual([]);
  expect((await ask(agent.url)).status).toBe(204);
  expect((await ask(bystander.url)).status).toBe(200);
  expect(world.events.filter(({ type }) => type === 'agent_disconnected')).toEqual([]);
  return reply;
}

const respond =
  (head: object | string | Buffer, body = 'hi'): Respond =>
  (id) => [
    headFrame(id, typeof head === 'object' && !Buffer.isBuffer(head) ? { headers: [], ...head } : head),
    lastData(id, body),
  ];

const headers = (...pairs: readonly unknown[]): Respond => respond({ status: 200, headers: pairs });

/** More than clients of node:http take. */
function largestHead(id: number): Buffer {
  const empty = JSON.stringify({ status: 200, headers: ['a', ''] });
  return headFrame(id, { status: 200, headers: ['a', 'b'.repeat(65_528 - empty.length)] });
}

function laterFrames(id: number): Buffer {
  return Buffer.concat(
    [0, 5, 0x7f, endFlag, 0xff].flatMap((type) => [0, id, 99].map((stream) => frame(type, stream, 'later'))),
  );
}

test.each([200, 204, 404, 599])('the hostile agent of these tests can respond with %i', async (status) => {
  const body = status === 204 ? '' : 'hi';
  expect(await outcome(respond({ status }, body))).toMatchObject({ status, body });
});

describe('a status that is no final one is a 502', () => {
  test.each([0, 1, 42, 99, 100, 101, 103, 199, 600, 999, -200, 200.5, 1e300, '200', '', null, true, [200], undefined])(
    '%j',
    async (status) => {
      const reply = await outcome(respond({ status, headers: ['content-length', '2', 'x-agent', 'yes'] }));
      if (reply === 'broken off') throw new Error('the client got no answer');
      expect([reply.status, reply.headers['x-agent']]).toEqual([502, undefined]);
      expect(fieldsOf(reply.body)).toMatchObject({ error: { code: -32052 } });
    },
  );
});

describe('a head that is none is a 502', () => {
  test.each<[string, Respond]>([
    ['nothing', respond('')],
    ['not JSON', respond('HTTP/1.1 200 OK')],
    ['not all of it', respond('{"status":200,"headers":[')],
    ['bytes that are not text', respond(Buffer.alloc(100, 0xff))],
    ['a number', respond('200')],
    ['null', respond('null')],
    ['an array', respond('[200,[]]')],
    ['very deep', respond(Buffer.from('['.repeat(60_000)))],
    ['of a request', respond('{"method":"GET","path":"/","headers":[]}')],
    ['without headers', respond('{"status":200}')],
    ['headers that are an object', respond('{"status":200,"headers":{"a":"b"}}')],
    ['a name without a value', headers('a')],
    ['a value that is a number', headers('a', 1)],
    ['a value that is a list', headers('a', ['b'])],
    ['a name with a space', headers('a b', 'c')],
    ['an empty name', headers('', 'c')],
    ['a name with a line break', headers('a\r\nb', 'c')],
    ['a name beyond ASCII', headers('é', 'c')],
    ['a name as in HTTP/2', headers(':status', '200')],
    ['a value with a line break', headers('a', 'b\r\nset-cookie: c')],
    ['a value with a line feed', headers('a', 'b\nc')],
    ['a value with a NUL', headers('a', 'b\0c')],
    ['a value with DEL', headers('a', 'b\u007fc')],
    ['a value beyond Latin-1', headers('a', '\u20ac')],
    ['a good header and a bad one', headers('x-agent', 'yes', 'a', 'b\nc')],
  ])('%s', async (_what, messages) => {
    const reply = await outcome(messages);
    if (reply === 'broken off') throw new Error('the client got no answer');
    expect([reply.status, reply.headers['x-agent']]).toEqual([502, undefined]);
    expect(fieldsOf(reply.body)).toMatchObject({ error: { code: -32052 } });
  });
});

describe('what is strange and allowed comes through, or fails its own request only', () => {
  const whole: Respond = respond({ status: 200 });
  test.each<[string, Respond, number | 'broken off']>([
    ['a name in upper case', headers('Abc', 'c'), 200],
    ['a value of every byte beyond ASCII', headers('a', '\u0080\u00a0\u00ff'), 200],
    ['an empty value', headers('a', ''), 200],
    ['__proto__', headers('__proto__', 'c', 'constructor', 'd', 'toString', 'e'), 200],
    ['fields that nobody knows', respond({ status: 200, __proto__x: 1, trailers: [] }), 200],
    ['headers of the connection', headers('transfer-encoding', 'chunked', 'connection', 'x', 'upgrade', 'y'), 200],
    ['trailer', headers('trailer', 'x', 'content-length', '2'), 200],
    ['a length of letters', headers('content-length', 'abc'), 502],
    ['a length that is not kept', headers('content-length', '200'), 'broken off'],
    ['two lengths', headers('content-length', '2', 'content-length', '3'), 502],
    ['two types', headers('content-type', 'text/plain', 'content-type', 'text/event-stream'), 502],
    [
      'duplicates',
      headers(...['link', 'vary', 'x-a', 'www-authenticate', 'set-cookie'].flatMap((n) => [n, 'a', n, 'b'])),
      200,
    ],
    ['1,024 headers', headers(...Array.from({ length: 1_024 }, () => ['a', 'b']).flat()), 200],
    ['1,025 headers', headers(...Array.from({ length: 1_025 }, () => ['a', 'b']).flat()), 502],
    ['a header of 12 KB', headers('a', 'b'.repeat(12_000)), 200],
    ['the largest head', (id) => [largestHead(id), lastData(id)], 'broken off'],
    ['a head that is the end', (id) => [headFrame(id, { status: 204, headers: [] }, true)], 204],
    ['a body with 204', respond({ status: 204 }), 204],
    [
      'one byte at a time',
      (id) => whole(id).flatMap((message) => [...message].map((byte) => Buffer.from([byte]))),
      200,
    ],
    ['all in one message', (id) => [Buffer.concat([...whole(id)])], 200],
    ['a second response', (id) => [...whole(id), ...whole(id)], 200],
    ['data after the end', (id) => [...whole(id), lastData(id, 'x')], 200],
    ['a reset after the end', (id) => [...whole(id), numberFrame(frameTypes.reset, id, 0)], 200],
    ['a window after the end', (id) => [...whole(id), numberFrame(frameTypes.window, id, 0xffff_ffff)], 200],
    ['a window of nothing', (id) => [numberFrame(frameTypes.window, id, 0), ...whole(id)], 200],
    [
      'empty data',
      (id) => [headFrame(id, { status: 200, headers: [] }), frame(frameTypes.data, id), lastData(id)],
      200,
    ],
    ['types that nobody knows', (id) => [laterFrames(id), ...whole(id)], 200],
    ['a reset before the head', (id) => [numberFrame(frameTypes.reset, id, 2)], 502],
    ['a reset with an unknown code', (id) => [numberFrame(frameTypes.reset, id, 4_000_000_000)], 502],
    ['a refusal', (id) => [numberFrame(frameTypes.reset, id, 1)], 503],
    ...[0, 1, 2, 77].map((code): [string, Respond, 'broken off'] => [
      `a reset with ${code} after the head`,
      (id) => [
        headFrame(id, { status: 200, headers: [] }),
        frame(frameTypes.data, id, 'x'),
        numberFrame(frameTypes.reset, id, code),
      ],
      'broken off',
    ]),
  ])('%s', async (_what, messages, expected) => {
    const reply = await outcome(messages);
    expect(reply === 'broken off' ? reply : reply.status).toBe(expected);
  });
});

test('a handler of the agent that throws fails its own request only, and is told that it is over', async () => {
  const closed: string[] = [];
  const agent = await world.agent((request, response) => {
    response.on('close', () => closed.push(request.url));
    if (request.url === '/bad') throw new Error('a fault');
    response.end('good');
  });
  expect((await ask(`${agent.url}/bad`)).status).toBe(502);
  expect((await ask(`${agent.url}/good`)).body).toBe('good');
  expect(closed).toEqual(['/bad', '/good']);
  expect(thrown).toEqual([]);
});
