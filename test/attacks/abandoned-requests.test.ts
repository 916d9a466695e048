// Strangers who send requests and never end them, or go before they are answered: nobody else may get a 429 for that.
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startBehindRelay, startRelay } from '../harness/expose.ts';
import { fixture } from '../harness/program.ts';
import { clientHeaders, initializeRequest } from '../harness/raw-mcp.ts';
import { send } from '../harness/raw-http.ts';
import type { AgentHandler, World } from '../tunnel/relay/world.ts';
import { ask, eventually, inTurn, pause, startWorld, within } from '../tunnel/relay/world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

/** More than the relay may reset at once (900) and may have open at an agent (256), together. */
const floodSize = 1_500;

const bodies: Record<string, string> = {
  none: 'GET PATH HTTP/1.1\r\nHost: x\r\n\r\n',
  'unfinished, of a known length': 'POST PATH HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nx',
  'unfinished, in chunks': 'POST PATH HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n',
};

/** Answers at once, as the guard does, or never; what comes to /ok is served. */
function serve(onFlood: 'refuses' | 'waits', seen: { count: number }): AgentHandler {
  return (request, response) => {
    if (request.url === '/ok') {
      request.resume();
      response.end('ok');
      return;
    }
    seen.count += 1;
    if (onFlood === 'waits') return;
    // As the guard does, which reads on so that the client gets to see the answer.
    request.resume();
    response.writeHead(401);
    response.end('no');
  };
}

async function openSocket(port: number, bytes: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  await within(
    new Promise<void>((resolve) => {
      socket.once('connect', () => resolve());
      socket.once('close', () => resolve());
    }),
    'a connection',
  );
  return socket;
}

/** Asks again and again until the flood is over; resolves with every status that came. */
async function askMeanwhile(url: string, flood: Promise<unknown>): Promise<ReadonlySet<number>> {
  const statuses = new Set<number>();
  const over = new AbortController();
  const ending = flood.finally(() => over.abort());
  // As long as that takes: each part of the flood has its own limit.
  while (!over.signal.aborted) {
    statuses.add((await ask(`${url}/ok`)).status); // oxlint-disable-line no-await-in-loop -- one after the other
    await pause(5); // oxlint-disable-line no-await-in-loop
  }
  await ending;
  return statuses;
}

test.each([
  ['refuses', 'none'],
  ['refuses', 'unfinished, of a known length'],
  ['refuses', 'unfinished, in chunks'],
  ['waits', 'none'],
  ['waits', 'unfinished, of a known length'],
  ['waits', 'unfinished, in chunks'],
] as const)(
  'requests that are dropped at once, which the agent %s; body: %s',
  { timeout: 60_000 },
  async (onFlood, body) => {
    const seen = { count: 0 };
    const { url } = await world.agent(serve(onFlood, seen));
    const bytes = bodies[body]?.replace('PATH', new URL(url).pathname) ?? '';
    const flood = inTurn(Array.from({ length: floodSize / 100 }), async () => {
      const before = seen.count;
      const sockets = await Promise.all(
        Array.from({ length: 100 }, async () => await openSocket(world.relay.port, bytes)),
      );
      await eventually(() => seen.count >= before + 100, 'the flood to arrive');
      for (const socket of sockets) socket.resetAndDestroy();
    });
    expect([...(await askMeanwhile(url, flood))]).toEqual([200]);
    expect(world.events.filter((event) => event.type === 'agent_disconnected')).toEqual([]);
  },
);

test('the guard of a real share refuses requests whose bodies never end', async () => {
  const relay = await startRelay();
  const { publicUrl, token } = await startBehindRelay(relay, { server: fixture('echo') });
  const { port, pathname } = new URL(publicUrl ?? '');
  const bytes = `POST ${pathname} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 99\r\n\r\nx`;
  const answers: string[] = [];
  const batches = await inTurn(Array.from({ length: floodSize / 100 }), async () => {
    const opened = Array.from({ length: 100 }, async () => await openSocket(Number(port), bytes));
    return await Promise.all(opened);
  });
  const sockets = batches.flat();
  for (const socket of sockets) socket.once('data', (chunk: Buffer) => answers.push(chunk.toString().slice(0, 12)));
  await eventually(() => answers.length === sockets.length, 'the answers');
  const call = { method: 'POST', headers: clientHeaders(token), body: initializeRequest() };
  const replies = await inTurn(Array.from({ length: 3 }), async () => await send(publicUrl ?? '', call));
  for (const socket of sockets) socket.destroy();
  expect(new Set(answers)).toEqual(new Set(['HTTP/1.1 401']));
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
});
