// A relay that stops: what comes on the connections that clients have kept, and what another relay does in its place.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import type { TunnelResponse } from '../../../../src/tunnel/relay/agent/tunnel-response.ts';
import { createIdentity } from '../../../../src/tunnel/relay/protocol/identity.ts';
import { Arrivals } from '../../../../src/tunnel/relay/server/arrivals.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';
import { fakeRelay } from '../fake-relay.ts';
import { headFrame } from '../hostile-agent.ts';
import {
  ask,
  echo,
  eventually,
  headOf,
  inTurn,
  startWorld,
  temporaryFolder,
  within,
  type AgentHandler,
  type World,
} from '../world.ts';

let world: World;
let kept: Map<string, TunnelResponse>;
let url: string;

/** Keeps the responses to `/held` and `/events`, whose head it sends. */
const keeper: AgentHandler = (request, response) => {
  request.resume();
  if (request.url === '/held') kept.set('/held', response);
  else if (request.url.startsWith('/events')) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': open\n\n');
    kept.set(request.url, response);
  } else response.end('served');
};

beforeEach(async () => {
  world = await startWorld();
  kept = new Map();
  ({ url } = await world.agent(keeper));
});
afterEach(async () => {
  await world.end();
});

interface Client {
  get(path: string, headers?: Record<string, string>): Promise<{ response: IncomingMessage; text: Promise<string> }>;
  close(): void;
}

/** One connection, used again and again as long as the relay lets it. */
function keepConnection(): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    async get(suffix, headers = {}) {
      const request = httpRequest(`${url}${suffix}`, { agent, headers });
      request.end();
      const response = await headOf(request);
      const text = (async () => {
        let body = '';
        for await (const chunk of response as AsyncIterable<Buffer>) body += chunk.toString();
        return body;
      })();
      text.catch(() => {});
      return { response, text };
    },
    close: () => agent.destroy(),
  };
}

describe('a relay that stops', () => {
  test('answers what comes on kept connections, with Connection: close, and then ends', async () => {
    const client = keepConnection();
    const first = await client.get('/a');
    expect([first.response.headers.connection, await first.text]).toEqual(['keep-alive', 'served']);
    // Connections may be idle for three seconds.
    const closed = world.relay.close({ drainMs: 60_000 });
    const second = await client.get('/b');
    expect([second.response.headers.connection, await second.text]).toEqual(['close', 'served']);
    await within(closed, 'the relay to close');
    await expect(ask(url)).rejects.toThrow('ECONNREFUSED');
    client.close();
  });

  test('gives clients three seconds to use an idle connection', async () => {
    const client = keepConnection();
    await (
      await client.get('/a')
    ).text;
    const began = performance.now();
    await within(world.relay.close({ drainMs: 10_000 }), 'the relay to close');
    expect(performance.now() - began).toBeGreaterThan(2_900);
    client.close();
  });

  test('waits for open responses, also of requests that came before', async () => {
    const held = ask(`${url}/held`);
    await eventually(() => kept.has('/held'), 'the request');
    let isClosed = false;
    const closed = world.relay.close({ drainMs: 20_000 }).then(() => (isClosed = true));
    await expect(ask(url)).rejects.toThrow('ECONNREFUSED');
    kept.get('/held')?.end('held');
    const reply = await held;
    expect([reply.body, reply.headers.connection, isClosed]).toEqual(['held', 'close', false]);
    await within(closed, 'the relay to close');
  });

  test('waits no longer than it is told to: then clients get an error', async () => {
    const held = ask(`${url}/held`);
    await eventually(() => kept.has('/held'), 'the request');
    await within(world.relay.close({ drainMs: 200 }), 'the relay to close');
    expect((await held).status).toBe(502);
  });

  test('waits no longer when it is told to hurry', async () => {
    const held = ask(`${url}/held`);
    await eventually(() => kept.has('/held'), 'the request');
    const closed = world.relay.close({ drainMs: 3_600_000 });
    await within(world.relay.close({ drainMs: 0 }), 'the relay to close');
    await closed;
    expect((await held).status).toBe(502);
  });

  test('does not wait for the event stream of a session, which answers no request', async () => {
    const client = keepConnection();
    const { text } = await client.get('/events', { 'mcp-session-id': 's1' });
    await within(world.relay.close({ drainMs: 60_000 }), 'the relay to close');
    await expect(text).rejects.toThrow('aborted');
    client.close();
  });

  test('waits for the event stream of HTTP+SSE, on which responses come', async () => {
    const client = keepConnection();
    const { text } = await client.get('/events?sse');
    const listening = await keepConnection().get('/events', { 'mcp-session-id': 's1' });
    const closed = world.relay.close({ drainMs: 20_000 });
    await expect(listening.text).rejects.toThrow('aborted');
    kept.get('/events?sse')?.end('data: response\n\n');
    expect(await text).toBe(': open\n\ndata: response\n\n');
    await within(closed, 'the relay to close');
    client.close();
  });

  test('tells a load balancer that keeps its connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const check = async (): Promise<number | undefined> => {
      const request = httpRequest(`${world.relay.url}/healthz`, { agent });
      request.end();
      const response = await headOf(request);
      response.resume();
      return response.statusCode;
    };
    expect(await check()).toBe(200);
    // Connections may be idle for three seconds.
    const closed = world.relay.close({ drainMs: 60_000 });
    expect(await check()).toBe(503);
    await within(closed, 'the relay to close');
    agent.destroy();
  });

  test('has let go of its file: the names of the relay that replaces it stay', async () => {
    const folder = temporaryFolder();
    world.defer(folder.remove);
    const state = { path: path.join(folder.path, 'names.json'), env: {} };
    const old = await startWorld({ state });
    world.defer(() => old.end());
    await old.agent(echo, { name: 'files' });
    const leaving = await old.agent(echo, { name: 'leaving' });
    const closed = old.relay.close();
    const next = await startWorld({ state });
    world.defer(() => next.end());
    await next.agent(echo, { name: 'later' });
    await leaving.tunnel.close();
    await within(closed, 'the relay to close');
    const names = [...readFileSync(state.path, 'utf8').matchAll(/"name":"(\w+)"/g)].map(([, name]) => name);
    expect(new Set(names)).toEqual(new Set(['files', 'later', 'leaving']));
    expect([...old.events, ...next.events].filter(({ type }) => type === 'warning')).toEqual([]);
  });
});

describe('a relay that replaces another', () => {
  test('lets requests wait for an agent that is on its way', async () => {
    const next = await startWorld({ replacesOther: true });
    world.defer(() => next.end());
    const keys = createIdentity();
    const early = ask(`${next.relay.url}/${keys.name}`);
    const named = ask(`${next.relay.url}/files`);
    // The requests are there before the agents: the relay has answered one that came later.
    await ask(`${next.relay.url}/healthz`);
    await next.agent(echo, { keys });
    await next.agent(echo, { name: 'files' });
    expect([(await early).status, (await named).status]).toEqual([200, 200]);
  });

  test('says after five seconds that the name is unknown, or offline if it can be that of an agent on its way', async () => {
    const next = await startWorld({ replacesOther: true });
    world.defer(() => next.end());
    const began = performance.now();
    const [unknown, derived] = await Promise.all(
      ['nobody', createIdentity().name].map(async (name) => await ask(`${next.relay.url}/${name}`)),
    );
    expect([unknown?.status, derived?.status]).toEqual([404, 503]);
    expect(performance.now() - began).toBeGreaterThan(4_900);
  });
});

describe('arrivals', () => {
  test('256 requests wait, and no more', () => {
    const arrivals = new Arrivals(60_000);
    const cancels = Array.from({ length: 256 }, () => arrivals.onceArrived('files', () => undefined));
    expect(arrivals.onceArrived('files', () => undefined)).toBeUndefined();
    cancels[0]?.();
    expect(arrivals.onceArrived('files', () => undefined)).toBeDefined();
  });

  test('only requests for the name that has come go on', () => {
    const arrivals = new Arrivals(60_000);
    const woken: string[] = [];
    for (const name of ['files', 'docs']) arrivals.onceArrived(name, () => woken.push(name));
    arrivals.arrived('docs');
    expect(woken).toEqual(['docs']);
  });

  test('nobody waits once the agents had time to come', () => {
    expect(new Arrivals(0).onceArrived('files', () => undefined)).toBeUndefined();
  });
});

test('an agent that is sent away dials again, and serves the old relay for a minute more if that does not leave', async () => {
  const sockets: WebSocket[] = [];
  const relay = await fakeRelay((socket) => {
    sockets.push(socket);
    if (sockets.length === 1) socket.send('{"type":"goaway"}');
  });
  world.defer(() => relay.end());
  const clock = createFakeClock();
  const agent = await world.agent(echo, { relayUrl: relay.url, clock });
  await eventually(() => {
    clock.advance(1);
    return sockets.length === 2 && agent.statuses.length === 0;
  }, 'the second connection');
  // The agent has heard from both before its time goes on.
  const advance = async (): Promise<void> => {
    await inTurn(sockets, async (socket) => {
      const pong = once(socket, 'pong');
      socket.ping();
      await within(pong, 'a pong');
    });
    clock.advance(5_000);
  };
  await inTurn(Array.from({ length: 11 }), advance);
  expect(relay.codes).toEqual([]);
  clock.advance(5_000);
  await eventually(() => relay.codes.length > 0, 'the agent to leave');
  expect(relay.codes).toEqual([1000]);
  expect(sockets[1]?.readyState).toBe(sockets[1]?.OPEN);
});

test('a request that the relay sent before it knew that the agent leaves is served', async () => {
  const received: Buffer[] = [];
  const relay = await fakeRelay((socket) => {
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) received.push(data);
      else if (data.toString().includes('goaway'))
        socket.send(headFrame(1, '{"method":"GET","path":"/late","headers":[]}', true));
    });
  });
  world.defer(() => relay.end());
  const { tunnel } = await world.agent(echo, { relayUrl: relay.url });
  await tunnel.close();
  await eventually(() => relay.codes.length > 0, 'the agent to leave');
  expect(relay.codes).toEqual([1000]);
  expect(Buffer.concat(received).toString()).toContain('"url":"/late"');
});
