// A refusal never takes the place of an answer that is still pending, and nothing is executed whose answer is lost.
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { createSlow, head, openClient, places, startEdge } from './edge.ts';

describe.each(places)('at the %s', (place) => {
  async function world() {
    const slow = createSlow();
    const { port, base } = await startEdge(place, slow.handler);
    const call = head(`POST ${base}/slow`, 'Content-Length: 4') + 'call';
    return { ...slow, port, base, call };
  }

  const chunked = 'Transfer-Encoding: chunked';

  describe('behind a call that is being executed, its answer comes first, and then', () => {
    test.each<[string, (base: string) => string, string[]]>([
      ['nothing that is HTTP', () => '\u0016\u0003\u0001 hello\r\n\r\n', ['400']],
      ['two lengths', (base) => head(`POST ${base}/2`, 'Content-Length: 1', 'Content-Length: 2'), ['400']],
      ['a header of 32 KB', (base) => head(`GET ${base}/2`, `X: ${'x'.repeat(32_000)}`), ['431']],
      ['1001 headers', (base) => head(`GET ${base}/2`, ...Array.from({ length: 1000 }, () => 'X: y')), ['431']],
      ['CONNECT', () => head('CONNECT example.com:443'), ['501']],
      ['an expectation', (base) => head(`POST ${base}/2`, 'Expect: 200-ok', 'Content-Length: 0'), ['417']],
      ['a bad chunk', (base) => head(`POST ${base}/2`, chunked) + 'zz\r\nhello\r\n0\r\n\r\n', ['400']],
      ['a target that is none', () => head('GET ftp://127.0.0.1/2'), ['400']],
      ['HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ['400']],
      [
        'first another call, and then nothing that is HTTP',
        (base) => `${head(`GET ${base}/2`)}\u0016\u0003\u0001\r\n\r\n`,
        ['200', 'GET /2', '400'],
      ],
    ])('%s', async (_what, second, after) => {
      const { port, base, call, executed, release } = await world();
      const client = openClient(port, call + second(base));
      await eventually(() => expect(executed).toEqual(['POST /slow call']));
      release();
      await eventually(() => expect(client.answers()).toEqual(['200', 'POST /slow call', ...after]));
      expect(executed).toEqual(['POST /slow call', ...after.filter((each) => each.startsWith('GET'))]);
      client.socket.end('What comes behind changes nothing.\r\n\r\n');
      await client.closed;
      expect(client.answers().slice(0, 2 + after.length)).toEqual(['200', 'POST /slow call', ...after]);
    });
  });

  test.each<[string, string, string]>([
    ['CONNECT', head('CONNECT example.com:443'), '501'],
    ['nothing that is HTTP', 'hello\r\n\r\n', '400'],
    ['a header of 32 KB', head('GET /1', `X: ${'x'.repeat(32_000)}`), '431'],
  ])('%s in the first place: it alone is answered, and nothing behind it is executed', async (_what, first, status) => {
    const { port, call, executed, release } = await world();
    release();
    const client = openClient(port, first + call);
    await client.closed;
    expect([client.answers(), executed]).toEqual([[status], []]);
  });

  test('a body that breaks off in the middle of the newest request: the calls before it are answered', async () => {
    const { port, base, call, executed, release } = await world();
    const client = openClient(port, call + head(`POST ${base}/2`, chunked) + '5\r\nhel');
    await eventually(() => expect(executed).toEqual(['POST /slow call']));
    client.socket.write('lo\r\nzz\r\n');
    release();
    await client.closed;
    expect([client.answers(), executed]).toEqual([['200', 'POST /slow call', '400'], ['POST /slow call']]);
  });

  test('more than may wait: those that were taken are answered, then the connection ends', async () => {
    const { port, base, call, executed, release } = await world();
    const client = openClient(port, call + head(`GET ${base}/more`).repeat(40));
    await eventually(() => expect(executed).toEqual(['POST /slow call']));
    release();
    await client.closed;
    const more = Array.from({ length: 16 }, () => 'GET /more');
    expect(executed).toEqual(['POST /slow call', ...more]);
    expect(client.answers().filter((answer) => !/^\d/.test(answer))).toEqual(executed);
  });

  test('a client that goes on and on behind that is cut off', async () => {
    const { port, base, call, executed } = await world();
    const client = openClient(port, call + head(`GET ${base}/more`).repeat(2000));
    expect(await client.closed).toBe('');
    expect(executed).toEqual(['POST /slow call']);
  });
});
