// What a server may answer other than a tunnel: small servers that are wrong in one way each.
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { expect, test } from 'vitest';

import { createLocaltunnelProvider } from '../../../../src/tunnel/providers/localtunnel/localtunnel.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';
import { eventually, within } from '../../../harness/eventually.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { freePort, listenOnLoopback } from '../../../harness/loopback-server.ts';
import { createBinaryWorld, targetThat } from '../binary-world.ts';

async function serverThat(answer: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listenOnLoopback(createHttpServer(answer))}`;
}

/** A server that gives the tunnel that this says. */
async function serverGiving(grant: Readonly<Record<string, unknown>>): Promise<string> {
  return await serverThat((request, response) => {
    const id = request.url === '/?new' ? 'any' : request.url?.slice(1);
    response.end(JSON.stringify({ id, url: `https://${id}.loca.lt`, max_conn_count: 2, ...grant }));
  });
}

/** The port for sockets of a tunnel; keeps what comes, unless the test does something else with it. */
async function dataPort(
  onSocket: (socket: Socket) => void = () => undefined,
): Promise<{ port: number; sockets: Set<Socket>; server: Server }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    onSocket(socket);
  });
  const port = await listenOnLoopback(server);
  atEnd('test', () => {
    for (const socket of sockets) socket.destroy();
  });
  return { port, sockets, server };
}

test.each<[string, RequestListener, string, string]>([
  [
    'a name that it does not like',
    (_request, response) => response.writeHead(403).end('{"message":"Invalid \\u001b[31msubdomain"}'),
    'tunnel_rejected',
    'gives no tunnel, it answered with HTTP 403: Invalid subdomain',
  ],
  [
    'too much to do',
    (_request, response) => response.writeHead(503).end('<html>'),
    'tunnel_unavailable',
    'gives no tunnel, it answered with HTTP 503',
  ],
  [
    'too many requests',
    (_request, response) => response.writeHead(429).end(),
    'tunnel_unavailable',
    'gives no tunnel, it answered with HTTP 429',
  ],
  [
    'that it is elsewhere',
    (_request, response) => response.writeHead(302, { location: 'https://elsewhere.example' }).end(),
    'tunnel_unavailable',
    'gives no tunnel, it answered with HTTP 302',
  ],
  [
    'a page',
    (_request, response) => response.end('<html>'),
    'tunnel_unavailable',
    'answered with something that is not a tunnel',
  ],
  [
    'no port',
    (_request, response) => response.end('{"id":"x","url":"https://x.loca.lt"}'),
    'tunnel_unavailable',
    'answered with something that is not a tunnel',
  ],
  [
    'a port that is none',
    (_request, response) => response.end('{"id":"x","url":"https://x.loca.lt","port":70000}'),
    'tunnel_unavailable',
    'answered with something that is not a tunnel',
  ],
  [
    'the URL of somebody else',
    (_request, response) => response.end('{"id":"x","url":"https://bank.example","port":1}'),
    'tunnel_unavailable',
    'answered with something that is not a tunnel',
  ],
  [
    'without end',
    (_request, response) => {
      response.on('error', () => undefined);
      response.write('x'.repeat(100_000));
    },
    'tunnel_unavailable',
    'answered with something that is not a tunnel',
  ],
  ['nothing', (request) => request.socket.destroy(), 'tunnel_unreachable', 'the connection was reset'],
])('%s', async (_what, answer, code, words) => {
  const world = await createBinaryWorld({ programs: {} });
  const server = await serverThat(answer);
  const error = await world.refusal(createLocaltunnelProvider({ environment: world.environment, server }));
  expect(error.code).toBe(code);
  expect(error.message).toContain(new URL(server).host);
  expect(error.message).toContain(words);
  expect(error.hints.length).toBeGreaterThan(0);
});

test('nobody listens', async () => {
  const world = await createBinaryWorld({ programs: {} });
  const server = `http://127.0.0.1:${await freePort()}`;
  const error = await world.refusal(createLocaltunnelProvider({ environment: world.environment, server }));
  expect([error.code, error.message]).toEqual([
    'tunnel_unreachable',
    `could not connect to ${new URL(server).host}: connection refused`,
  ]);
});

test('no such host', async () => {
  const world = await createBinaryWorld({ programs: {} });
  const { environment } = world;
  const error = await world.refusal(createLocaltunnelProvider({ environment, server: 'https://localtunnel.invalid' }));
  expect(error.code).toBe('tunnel_unreachable');
  expect(error.message).toContain('could not connect to localtunnel.invalid: ');
});

test('a server that does not answer is not waited for when nobody wants it any more', async () => {
  const world = await createBinaryWorld({ programs: {} });
  const asked = createHttpServer();
  const port = await listenOnLoopback(asked);
  const { environment } = world;
  const abort = new AbortController();
  const opening = createLocaltunnelProvider({ environment, server: `http://127.0.0.1:${port}` }).open(
    targetThat(() => undefined),
    { signal: abort.signal, onStatus: () => undefined, onWarning: () => undefined },
  );
  const [request] = await once(asked, 'request');
  const ended = once(request.socket, 'close');
  abort.abort(new Error('not any more'));
  await expect(within(5000, 'the end', opening)).rejects.toThrow('not any more');
  await within(5000, 'the request to end', ended);
});

test('its port for sockets cannot be reached: said after a while, with what may be in the way', async () => {
  const clock = createFakeClock();
  const world = await createBinaryWorld({ programs: {}, clock });
  const port = await freePort();
  const server = await serverGiving({ port });
  const refusal = world.refusal(createLocaltunnelProvider({ environment: world.environment, server }));
  await eventually(() => expect(clock.pending).toBeGreaterThan(1));
  clock.advance(10_000);
  const error = await refusal;
  expect([error.code, error.message]).toEqual([
    'tunnel_unreachable',
    `could not connect to 127.0.0.1:${port}: connection refused`,
  ]);
  expect(error.hints.join(' ')).toContain('high ports');
  expect(clock.pending).toBe(0);
});

test('sockets go to the address that it says, at most ten of them', async () => {
  const world = await createBinaryWorld({ programs: {} });
  const { port, sockets } = await dataPort();
  const server = await serverGiving({ port, ip: '127.0.0.1', max_conn_count: 1000 });
  const { tunnel } = await world.open(createLocaltunnelProvider({ environment: world.environment, server }));
  await eventually(() => expect(sockets.size).toBe(10));
  await tunnel.close();
  await eventually(() => expect(sockets.size).toBe(0));
});

test('sockets that are lost are opened again; when there is none for a while, a new tunnel is asked for', async () => {
  const clock = createFakeClock();
  const world = await createBinaryWorld({ programs: {}, clock });
  let opened = 0;
  const { port, sockets, server: data } = await dataPort(() => opened++);
  const server = await serverGiving({ port });
  const { statuses } = await world.open(createLocaltunnelProvider({ environment: world.environment, server }));
  await eventually(() => expect(sockets.size).toBe(2));

  for (const socket of sockets) socket.destroy();
  await eventually(() => {
    // Without a pause, which is one of no time.
    clock.advance(0);
    expect([opened, sockets.size]).toEqual([4, 2]);
  });
  expect(statuses).toEqual([]);

  data.close();
  for (const socket of sockets) socket.destroy();
  await eventually(() => {
    clock.advance(100);
    expect(statuses[0]).toMatchObject({ state: 'reconnecting', reason: expect.stringContaining('connection refused') });
  });
});

test('our own lost connection may still have the name: after that it is asked for again', async () => {
  const world = await createBinaryWorld({ programs: {} });
  const { port } = await dataPort();
  const ids = ['mine', 'other', 'mine'];
  const server = await serverThat((_request, response) => {
    const id = ids.shift() ?? 'mine';
    response.end(JSON.stringify({ id, port, url: `https://${id}.loca.lt`, max_conn_count: 1 }));
  });
  const { tunnel, statuses, status } = await world.open(
    createLocaltunnelProvider({ environment: world.environment, server, name: 'mine' }),
  );
  tunnel.redial?.('nothing comes through');
  await status(({ state }) => state === 'up');
  expect(statuses.map(({ reason }) => reason)).toEqual([
    'nothing comes through',
    'the name mine is not free at localtunnel yet',
    undefined,
  ]);
});
