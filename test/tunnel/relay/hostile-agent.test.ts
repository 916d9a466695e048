import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HeaderPair } from './hostile-agent.ts';
import { frame, frameTypes, headersFrame, hostileAgent, numbersFrame, pushFrame } from './hostile-agent.ts';
import type { World } from './world.ts';
import { ask, fieldsOf, pause, startWorld } from './world.ts';

let world: World;
let thrown: unknown[];
const onThrown = (error: unknown): void => {
  thrown.push(error);
};
beforeEach(async () => {
  thrown = [];
  process.on('uncaughtException', onThrown);
  process.on('unhandledRejection', onThrown);
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
  process.off('uncaughtException', onThrown);
  process.off('unhandledRejection', onThrown);
});

/** What a client gets for one request to an agent that answers with `frames`; fails when the relay would have ended. */
async function outcome(frames: (streamId: number) => readonly Buffer[]) {
  const agent = await hostileAgent(world.relay.url, frames);
  world.defer(() => agent.socket.terminate());
  const reply = await ask(agent.url).then(
    (answer) => answer,
    () => 'broken off' as const,
  );
  // What is thrown in a later turn counts too.
  await pause(20);
  expect(thrown).toEqual([]);
  expect((await ask(`${world.relay.url}/healthz`)).status).toBe(200);
  return reply;
}

function respond(pairs: readonly HeaderPair[], body = 'hi') {
  return (streamId: number) => [headersFrame(streamId, pairs), frame(frameTypes.data, 1, streamId, Buffer.from(body))];
}

test.each(['200', '204', '404', '599'])('the hostile agent of these tests can answer with %s', async (status) => {
  expect(await outcome(respond([[':status', status]], status === '204' ? '' : 'hi'))).toMatchObject({
    status: Number(status),
    body: status === '204' ? '' : 'hi',
  });
});

describe('a status that HTTP/1.1 cannot carry is a 502', () => {
  test.each(['000', '001', '042', '099', '600', '999'])('%s', async (status) => {
    const reply = await outcome(
      respond([
        [':status', status],
        ['content-length', '2'],
        ['x-agent', 'yes'],
      ]),
    );
    if (reply === 'broken off') throw new Error('the client got no answer');
    expect([reply.status, reply.headers['x-agent']]).toEqual([502, undefined]);
    expect(fieldsOf(reply.body)).toMatchObject({ error: { code: -32052 } });
  });
});

describe('an answer that breaks HTTP fails its own request only', () => {
  test.each<[string, (streamId: number) => readonly Buffer[]]>([
    ['no status', respond([['x', 'y']])],
    ['an empty status', respond([[':status', '']])],
    ['a status of letters', respond([[':status', 'abc']])],
    ['a status of four digits', respond([[':status', '2000']])],
    ['101', respond([[':status', '101']])],
    ['an informational head at the end', (id) => [headersFrame(id, [[':status', '103']], true)]],
    [
      'an informational status for ever, then a reset',
      (id) => [
        ...Array.from({ length: 50 }, () =>
          headersFrame(id, [
            [':status', '103'],
            ['link', '<x>'],
          ]),
        ),
        numbersFrame(frameTypes.rstStream, id, [2]),
      ],
    ],
    [
      'a name with a space',
      respond([
        [':status', '200'],
        ['a b', 'c'],
      ]),
    ],
    [
      'a name in upper case',
      respond([
        [':status', '200'],
        ['Abc', 'c'],
      ]),
    ],
    [
      'an empty name',
      respond([
        [':status', '200'],
        ['', 'c'],
      ]),
    ],
    [
      'a name with a line break',
      respond([
        [':status', '200'],
        ['a\r\nb', 'c'],
      ]),
    ],
    [
      'a value with a line break',
      respond([
        [':status', '200'],
        ['a', 'b\r\nset-cookie: c'],
      ]),
    ],
    [
      'a value with a NUL',
      respond([
        [':status', '200'],
        ['a', 'b\0c'],
      ]),
    ],
    [
      'a value with DEL',
      respond([
        [':status', '200'],
        ['a', 'b\u007fc'],
      ]),
    ],
    [
      'a value of every byte beyond ASCII',
      respond([
        [':status', '200'],
        ['a', '\u0080\u00a0\u00ff'],
      ]),
    ],
    [
      '__proto__',
      respond([
        [':status', '200'],
        ['__proto__', 'c'],
        ['constructor', 'd'],
      ]),
    ],
    [
      'connection headers',
      respond([
        [':status', '200'],
        ['transfer-encoding', 'chunked'],
        ['connection', 'x'],
      ]),
    ],
    [
      'trailer',
      respond([
        [':status', '200'],
        ['trailer', 'x'],
        ['content-length', '2'],
      ]),
    ],
    [
      'two lengths',
      respond([
        [':status', '200'],
        ['content-length', '2'],
        ['content-length', '3'],
      ]),
    ],
    [
      'a length of letters',
      respond([
        [':status', '200'],
        ['content-length', 'abc'],
      ]),
    ],
    [
      'a length that is not kept',
      respond([
        [':status', '200'],
        ['content-length', '200'],
      ]),
    ],
    [
      'duplicates',
      respond([
        [':status', '200'],
        ...['age', 'date', 'etag', 'location', 'content-type', 'set-cookie'].flatMap((name): HeaderPair[] => [
          [name, 'a'],
          [name, 'b'],
        ]),
      ]),
    ],
    [
      'another pseudo-header',
      respond([
        [':status', '200'],
        [':path', '/'],
      ]),
    ],
    ['1,500 headers', respond([[':status', '200'], ...Array.from({ length: 1500 }, (): HeaderPair => ['a', 'b'])])],
    [
      'a header of 16 KB',
      respond([
        [':status', '200'],
        ['a', 'b'.repeat(16_000)],
      ]),
    ],
    [
      'trailers',
      (id) => [
        headersFrame(id, [[':status', '200']]),
        frame(frameTypes.data, 0, id, Buffer.from('hi')),
        headersFrame(
          id,
          [
            ['x', 'y'],
            ['content-length', '7'],
          ],
          true,
        ),
      ],
    ],
    [
      'trailers with a status',
      (id) => [headersFrame(id, [[':status', '200']]), headersFrame(id, [[':status', '000']], true)],
    ],
    ['trailers that do not end', (id) => [headersFrame(id, [[':status', '200']]), headersFrame(id, [['x', 'y']])]],
    ['two heads', (id) => [headersFrame(id, [[':status', '200']]), headersFrame(id, [[':status', '200']])]],
    ['a body before the head', (id) => [frame(frameTypes.data, 1, id, Buffer.from('hi'))]],
    ['a body with 204', respond([[':status', '204']])],
    [
      'a pushed stream that is reset',
      (id) => [
        pushFrame(id, 2, [
          [':method', 'GET'],
          [':scheme', 'http'],
          [':authority', 'x'],
          [':path', '/'],
        ]),
        headersFrame(2, [[':status', '200']]),
        numbersFrame(frameTypes.rstStream, 2, [2]),
        ...respond([[':status', '200']])(id),
      ],
    ],
    [
      'a pushed stream with a status of 000',
      (id) => [
        pushFrame(id, 2, [
          [':method', 'GET'],
          [':scheme', 'http'],
          [':authority', 'x'],
          [':path', '/'],
        ]),
        headersFrame(2, [[':status', '000']], true),
        ...respond([[':status', '200']])(id),
      ],
    ],
    ['GOAWAY with an error', (id) => [numbersFrame(frameTypes.goaway, 0, [id, 2])]],
    ['GOAWAY without one', (id) => [numbersFrame(frameTypes.goaway, 0, [0, 0]), ...respond([[':status', '200']])(id)]],
    ['RST_STREAM with an unknown code', (id) => [numbersFrame(frameTypes.rstStream, id, [4_000_000_000])]],
    [
      'RST_STREAM after the head',
      (id) => [headersFrame(id, [[':status', '200']]), numbersFrame(frameTypes.rstStream, id, [2])],
    ],
    ['settings out of range', () => [frame(frameTypes.settings, 0, 0, Buffer.from([0, 4, 255, 255, 255, 255]))]],
  ])('%s', async (_what, frames) => {
    const reply = await outcome(frames);
    expect(reply === 'broken off' || [200, 204, 502, 503].includes(reply.status)).toBe(true);
  });
});

test('a handler of the agent that throws fails its own request only', async () => {
  const agent = await world.agent((request, response) => {
    if (request.url === '/bad') throw new Error('a fault');
    response.end('good');
  });
  expect((await ask(`${agent.url}/bad`)).status).toBe(502);
  expect((await ask(`${agent.url}/good`)).body).toBe('good');
  expect(thrown).toEqual([]);
});
