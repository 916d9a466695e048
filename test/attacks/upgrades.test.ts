// Upgrades that nobody serves, at every position on a connection.
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { ask } from '../tunnel/relay/world.ts';
import { answersOf, createSlow, head, openClient, places, startEdge } from './edge.ts';

const h2c = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA'];
const webSocket = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: eA=='];

describe.each(places)('at the %s', (place) => {
  async function world() {
    const slow = createSlow();
    const { port, base } = await startEdge(place, slow.handler);
    return { ...slow, port, base, get: (path: string, ...headers: string[]) => head(`GET ${base}${path}`, ...headers) };
  }

  test('behind a pending request: answered in its turn, as if it were none, and the connection ends', async () => {
    const { port, get, executed, release } = await world();
    const client = openClient(port, get('/slow') + get('/upgrade', ...h2c));
    await eventually(() => expect(executed).toEqual(['GET /slow']));
    client.socket.write(get('/late'));
    await eventually(() => expect(client.socket.bytesWritten).toBeGreaterThan(0));
    release();
    const text = await client.closed;
    expect(client.answers()).toEqual(['200', 'GET /slow', '200', 'GET /upgrade']);
    expect(text.match(/connection: close/gi)).toHaveLength(1);
    expect(executed).toEqual(['GET /slow', 'GET /upgrade']);
  });

  test.each([
    ['h2c', h2c],
    ['WebSocket', webSocket],
    ['something else', ['Connection: upgrade', 'Upgrade: TLS/1.0']],
  ])('two of %s and a request behind them in one packet', async (_what, headers) => {
    const { port, get, executed, release } = await world();
    const client = openClient(port, get('/slow') + get('/1', ...headers) + get('/2', ...headers) + get('/3'));
    await eventually(() => expect(executed).toEqual(['GET /slow']));
    release();
    await client.closed;
    expect(client.answers()).toEqual(['200', 'GET /slow', '200', 'GET /1']);
  });

  test.each(['/healthz', '/_mcp-expose/tls-check', '/nobody'])(
    '%s, with every pause between the requests',
    async (path) => {
      const { port, base } = await world();
      const request = (...headers: string[]): string => head(`GET ${path}`, ...headers);
      const steps = [request(), request(...h2c), request(...h2c), request()];
      await Promise.all(
        [0, 1, 2, 5, 20].map(async (pauseMs) => {
          const client = openClient(port, '');
          await steps.reduce(async (before, step) => {
            await before;
            client.socket.write(step);
            await new Promise((resolve) => setTimeout(resolve, pauseMs));
          }, Promise.resolve());
          const statuses = (await answersOf(client, 1)).filter((answer) => /^\d/.test(answer));
          expect(new Set(statuses).size).toBe(1);
        }),
      );
      expect((await ask(`http://127.0.0.1:${port}${base}/alive`)).status).toBe(200);
    },
  );

  test('a body that comes with it is neither lost nor taken for a request', async () => {
    const { port, base, get, executed, release } = await world();
    const smuggled = get('/smuggled');
    const post = head(`POST ${base}/post`, ...h2c, `Content-Length: ${smuggled.length}`) + smuggled;
    const client = openClient(port, get('/slow') + post.slice(0, -9));
    await eventually(() => expect(executed).toEqual(['GET /slow']));
    client.socket.write(post.slice(-9) + get('/behind'));
    release();
    await client.closed;
    expect(executed).toEqual(['GET /slow', `POST /post ${smuggled.trim()}`]);
  });

  test('chunked bodies too', async () => {
    const { port, base, get, executed, release } = await world();
    release();
    const post = head(`POST ${base}/post`, ...h2c, 'Transfer-Encoding: chunked');
    const client = openClient(port, `${post}5\r\nhello\r\n0\r\n\r\n${get('/next')}`);
    const answers = await answersOf(client, 2);
    expect(answers.slice(0, 2)).toEqual(['200', 'POST /post hello']);
    expect(executed.filter((each) => each !== 'GET /next')).toEqual(['POST /post hello']);
  });

  test("a client that asks for one with each request, as Java's does, keeps its connection", async () => {
    const { port, base } = await world();
    const warnings: Error[] = [];
    const onWarning = (warning: Error): unknown => warnings.push(warning);
    process.on('warning', onWarning);
    const client = openClient(port, '');
    const count = 30;
    await Array.from({ length: count }, (_, index) => index).reduce(async (before, index) => {
      await before;
      client.socket.write(head(`GET ${base}/${index}`, ...h2c));
      await answersOf(client, 2 * (index + 1));
    }, Promise.resolve());
    process.off('warning', onWarning);
    expect(client.answers()).toEqual(Array.from({ length: count }, (_, index) => ['200', `GET /${index}`]).flat());
    expect(warnings).toEqual([]);
  });
});
