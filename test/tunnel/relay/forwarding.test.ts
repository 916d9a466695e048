import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TunnelResponse } from '../../../src/tunnel/relay/agent/tunnel-response.ts';
import { frameTypes, headFrame, hostileAgent, requestHead } from './hostile-agent.ts';
import type { AgentHandler, World } from './world.ts';
import { ask, askRaw, echo, eventually, fieldsOf, headOf, inTurn, settled, startWorld, within } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

async function outcomeOf(reply: Promise<unknown>): Promise<string> {
  return await reply.then(
    () => 'complete',
    () => 'broken off',
  );
}

/** The answer's head, with the body still to come. */
async function open(url: string, options: { method?: string; headers?: Record<string, string> } = {}) {
  const request = httpRequest(url, { agent: false, ...options });
  request.on('error', () => undefined);
  request.end();
  const response = await headOf(request);
  response.on('error', () => undefined);
  return { request, response };
}

function answer(write: (response: TunnelResponse) => void): AgentHandler {
  return (request, response) => {
    request.resume();
    write(response);
  };
}

describe('what the agent sees', () => {
  test('behind a proxy, the last address that the proxy has written, or none', async () => {
    const behind = await startWorld({ publicUrl: 'https://relay.example' });
    world.defer(() => behind.end());
    const { pathname } = new URL((await behind.agent(echo, { relayUrl: `http://127.0.0.1:${behind.relay.port}` })).url);
    const addressFor = async (forwardedFor: Record<string, string>): Promise<unknown> => {
      const headers = { host: 'relay.example', ...forwardedFor };
      const reply = await ask(`http://127.0.0.1:${behind.relay.port}${pathname}/mcp`, { headers });
      return fieldsOf(reply.body)['headers'];
    };
    expect(await addressFor({ 'x-forwarded-for': '6.6.6.6, 192.0.2.1' })).toMatchObject({
      'x-forwarded-for': '192.0.2.1',
    });
    expect(await addressFor({})).not.toHaveProperty('x-forwarded-for');
  });

  test('path without the name, the public Host, and our forwarding headers only', async () => {
    const { url } = await world.agent(echo);
    const reply = await ask(`${url}/mcp?q=1`, {
      headers: {
        'x-forwarded-for': '6.6.6.6',
        'x-forwarded-host': 'evil',
        'x-forwarded-port': '1',
        forwarded: 'for=6.6.6.6',
      },
    });
    expect(fieldsOf(reply.body)).toMatchObject({
      url: '/mcp?q=1',
      headers: {
        host: new URL(url).host,
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-proto': 'http',
        'x-forwarded-host': new URL(url).host,
      },
    });
    expect(reply.body).not.toMatch(/x-forwarded-port|"forwarded"|6\.6\.6\.6/);
  });

  test.each(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST'])('%s without a body has none', async (method) => {
    const agent = await hostileAgent(world.relay.url, (id) => [headFrame(id, { status: 204, headers: [] }, true)]);
    world.defer(() => agent.socket.terminate());
    const headers = method === 'POST' ? { 'content-length': 0 } : {};
    expect((await ask(`${agent.url}/mcp`, { method, headers })).status).toBe(204);
    expect(agent.frames.map(({ type, isEnd }) => ({ type, isEnd }))).toEqual([{ type: frameTypes.head, isEnd: true }]);
    expect(agent.frames.map(requestHead)).toMatchObject([{ method, path: '/mcp' }]);
  });

  test.each(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST'])('the handler reads the end of %s', async (method) => {
    const { url } = await world.agent(echo);
    const reply = await ask(url, { method, headers: method === 'POST' ? { 'content-length': 0 } : {} });
    expect(reply.status).toBe(200);
    expect(reply.body.includes(`"method":"${method}"`)).toBe(method !== 'HEAD');
  });

  test.each([
    ['POST', { 'content-length': '5' }],
    ['POST', { 'transfer-encoding': 'chunked' }],
    ['DELETE', { 'content-length': '5' }],
  ])('%s with a body and %o', async (method, headers) => {
    const { url } = await world.agent(echo);
    const reply = await ask(url, { method, headers, body: 'hello' });
    expect(JSON.parse(reply.body)).toMatchObject({ method, body: 'hello' });
  });

  test('duplicates that are lists, and header bytes beyond ASCII', async () => {
    const { url } = await world.agent(echo);
    const reply = await ask(url, { headers: { 'x-list': ['a', 'b'], 'x-latin': 'caf\u00e9', __proto__x: '1' } });
    expect(fieldsOf(reply.body)).toMatchObject({ headers: { 'x-list': 'a, b', 'x-latin': 'caf\u00e9' } });
  });

  test('hundreds of headers', async () => {
    const { url } = await world.agent(echo);
    const headers = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`x-${index}`, '1']));
    const reply = await ask(url, { headers });
    expect(fieldsOf(reply.body)).toMatchObject({ headers });
  });

  test('a header named __proto__ stays a header', async () => {
    const { url } = await world.agent(echo);
    const { host, pathname } = new URL(url);
    const text = await askRaw(
      world.relay.port,
      `GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\n__proto__: x\r\nConnection: close\r\n\r\n`,
    );
    expect(text).toContain('"__proto__","x"');
  });

  test('Expect: 100-continue is answered before the body is sent', async () => {
    const { url } = await world.agent(echo);
    const request = httpRequest(url, {
      method: 'POST',
      agent: false,
      headers: { expect: '100-continue', 'content-length': 3 },
    });
    request.flushHeaders();
    await within(once(request, 'continue'), '100');
    request.end('abc');
    const response = await headOf(request);
    expect(response.statusCode).toBe(200);
    response.resume();
  });
});

describe('what the client sees', () => {
  test('status, duplicates and no header of the inner connection', async () => {
    const { url } = await world.agent(
      answer((response) => {
        response.writeHead(418, { link: ['<a>', '<b>'], 'x-own': 'y' });
        response.end('tea');
      }),
    );
    const reply = await ask(url);
    expect(reply.status).toBe(418);
    expect(reply.headers['link']).toBe('<a>, <b>');
    expect(reply.headers['x-own']).toBe('y');
    expect(reply.body).toBe('tea');
    expect(reply.rawHeaders.some((name) => name.startsWith(':'))).toBe(false);
  });

  test('an event stream arrives event by event and is marked against buffering', async () => {
    const replies: TunnelResponse[] = [];
    const { url } = await world.agent(
      answer((response) => {
        replies.push(response);
        response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
      }),
    );
    const { request, response } = await open(url);
    expect(response.headers['x-accel-buffering']).toBe('no');
    expect(response.headers['cache-control']).toBe('no-cache, no-transform');
    const [reply] = replies;
    // Each event is only written once the one before it has come through.
    const heard = await inTurn([1, 2, 3], async (id) => {
      reply?.write(`data: ${id}\n\n`);
      const [chunk]: unknown[] = await within(once(response, 'data'), `event ${id}`);
      return String(chunk);
    });
    expect(heard).toEqual(['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n']);
    request.destroy();
  });

  test('a request body streams too: the handler sees a part before the rest is sent', async () => {
    const parts: string[] = [];
    const { url } = await world.agent((request, response) => {
      request.on('data', (chunk: Buffer) => parts.push(chunk.toString()));
      request.on('end', () => response.end('ok'));
    });
    const request = httpRequest(url, { method: 'POST', agent: false });
    request.write('one');
    await eventually(() => parts.join('') === 'one', 'the first part');
    request.end('two');
    const response = await headOf(request);
    response.resume();
    expect(parts.join('')).toBe('onetwo');
  });

  test('an agent that breaks off never looks like a clean end', async () => {
    const closed: string[] = [];
    const { url } = await world.agent((request, response) => {
      response.on('close', () => closed.push(request.url));
      response.writeHead(200, request.url === '/sized' ? { 'content-length': '100' } : {});
      response.write('part');
      if (request.url === '/full') response.write(Buffer.alloc(2_000_000));
      if (request.url === '/at-once') response.destroy();
      // What was written has left by then: it was to leave in this turn.
      else setImmediate(() => response.destroy());
    });
    // Nothing had been sent to the client.
    expect((await ask(`${url}/at-once`)).status).toBe(502);
    const paths = ['/later', '/full', '/sized'];
    const outcomes = await inTurn(paths, async (path) => await outcomeOf(ask(`${url}${path}`)));
    expect(outcomes).toEqual(paths.map(() => 'broken off'));
    expect(closed).toEqual(['/at-once', ...paths]);
  });

  test('an agent that resets before the head is a 502 with a JSON-RPC error', async () => {
    const { url } = await world.agent((_request, response) => {
      response.destroy();
    });
    const reply = await ask(url);
    expect(reply.status).toBe(502);
    expect(JSON.parse(reply.body)).toEqual({
      jsonrpc: '2.0',
      id: null,
      error: { code: -32052, message: expect.stringContaining('was lost before it answered') },
    });
  });
});

describe('endings', () => {
  test("a client's disconnect reaches the handler while it waits", async () => {
    const gone: string[] = [];
    const { url } = await world.agent((request, response) => {
      request.resume();
      response.on('close', () => gone.push(request.url ?? ''));
      if (request.url === '/head') response.writeHead(200);
    });
    const { request } = await open(`${url}/head`);
    request.destroy();
    await eventually(() => gone.includes('/head'), 'the disconnect after the head');
    const silent = connect(world.relay.port, '127.0.0.1');
    silent.write(`GET ${new URL(url).pathname}/none HTTP/1.1\r\nHost: x\r\n\r\n`);
    await nextTurn();
    setTimeout(() => silent.destroy(), 30);
    await eventually(() => gone.includes('/none'), 'the disconnect before the head');
    expect(gone).toEqual(['/head', '/none']);
  });

  test('an early answer to a large upload comes through, and the connection to the agent survives many of them', async () => {
    const { url } = await world.agent((request, response) => {
      if (request.url === '/ok') echo(request, response);
      else {
        response.writeHead(413);
        response.end('too large');
      }
    });
    const statuses = await inTurn(Array.from({ length: 20 }), async () => {
      const request = httpRequest(url, { method: 'POST', agent: false });
      request.on('error', () => undefined);
      request.write(Buffer.alloc(2_000_000));
      const response = await headOf(request);
      response.resume();
      request.destroy();
      return response.statusCode;
    });
    expect(new Set(statuses)).toEqual(new Set([413]));
    expect((await ask(`${url}/ok`)).status).toBe(200);
    expect(world.events.filter((event) => event.type === 'agent_disconnected')).toEqual([]);
  });

  test('a flood of requests that are dropped at once does not cost the agent its connection', async () => {
    const { url } = await world.agent((request, response) => {
      if (request.url === '/ok') echo(request, response);
    });
    const { pathname } = new URL(url);
    const head = `GET ${pathname} HTTP/1.1\r\nHost: x\r\n\r\n`;
    await inTurn(Array.from({ length: 11 }), async () => {
      const sockets = Array.from({ length: 100 }, () => connect(world.relay.port, '127.0.0.1'));
      await Promise.all(
        sockets.map(async (socket) => {
          await once(socket, 'connect');
          socket.write(head);
        }),
      );
      await nextTurn();
      for (const socket of sockets) socket.resetAndDestroy();
    });
    await eventually(async () => (await ask(`${url}/ok`)).status === 200, 'an answer after the flood');
    expect(world.events.filter((event) => event.type === 'agent_disconnected')).toEqual([]);
  });

  test('more than 256 open requests: 429 with Retry-After, and room again when they end', async () => {
    const waiting: TunnelResponse[] = [];
    const { url } = await world.agent((request, response) => {
      request.resume();
      if (request.url === '/wait') waiting.push(response);
      else echo(request, response);
    });
    const open256 = Array.from({ length: 256 }, async () => await ask(`${url}/wait`));
    await eventually(() => waiting.length === 256, '256 requests');
    const refused = await ask(url);
    expect(refused.status).toBe(429);
    expect(refused.headers['retry-after']).toBe('2');
    expect(JSON.parse(refused.body)).toMatchObject({ error: { code: -32053 } });
    for (const response of waiting) response.end('done');
    await Promise.all(open256);
    expect((await ask(url)).status).toBe(200);
  });
});

describe('bodies', () => {
  test('64 MiB each way arrive whole', { timeout: 60_000 }, async () => {
    const block = randomBytes(1024 * 1024);
    const rounds = 64;
    const expected = createHash('sha256');
    for (let round = 0; round < rounds; round += 1) expected.update(block);
    const digest = expected.digest('hex');
    const { url } = await world.agent((request, response) => {
      const hash = createHash('sha256');
      request.on('data', (chunk: Buffer) => hash.update(chunk));
      request.on('end', () => {
        const reply = response;
        reply.setHeader('x-digest', hash.digest('hex'));
        let left = rounds;
        const write = (): void => {
          while (left > 0) {
            left -= 1;
            if (!reply.write(block)) {
              reply.once('drain', write);
              return;
            }
          }
          reply.end();
        };
        write();
      });
    });
    const request = httpRequest(url, { method: 'POST', agent: false });
    Readable.from(Array.from({ length: rounds }, () => block)).pipe(request);
    const response = await headOf(request);
    const hash = createHash('sha256');
    for await (const chunk of response as AsyncIterable<Buffer>) hash.update(chunk);
    expect(response.headers['x-digest']).toBe(digest);
    expect(hash.digest('hex')).toBe(digest);
  });

  test('a client that does not read stops the handler after a bounded number of bytes', async () => {
    let accepted = 0;
    let isClosed = false;
    const { url } = await world.agent((request, response) => {
      request.resume();
      response.on('close', () => (isClosed = true));
      const reply = response;
      const block = Buffer.alloc(64 * 1024);
      const write = (): void => {
        do accepted += block.length;
        while (reply.write(block) && accepted < 200_000_000);
        reply.once('drain', write);
      };
      write();
    });
    const { request, response } = await open(url);
    response.pause();
    await settled(() => accepted, 'the writer to stall');
    // Kernel buffers of three loopback sockets, one stream window and Node's own buffers.
    expect(accepted).toBeLessThan(40_000_000);
    request.destroy();
    await eventually(() => isClosed, 'the handler to notice');
  });

  test('a handler that does not read stops the uploader after a bounded number of bytes', async () => {
    const { url } = await world.agent(() => undefined);
    const request = httpRequest(url, { method: 'POST', agent: false });
    request.on('error', () => undefined);
    const block = Buffer.alloc(64 * 1024);
    let accepted = 0;
    const write = (): void => {
      do accepted += block.length;
      while (request.write(block) && accepted < 200_000_000);
      request.once('drain', write);
    };
    write();
    await settled(() => accepted, 'the uploader to stall');
    expect(accepted).toBeLessThan(40_000_000);
    request.destroy();
  });
});

test('two agents at once, each with its own requests', async () => {
  const one = await world.agent(answer((response) => response.end('one')));
  const two = await world.agent(answer((response) => response.end('two')));
  const replies = await Promise.all([one, two, one, two].map(async ({ url }) => await ask(url)));
  expect(replies.map((reply) => reply.body)).toEqual(['one', 'two', 'one', 'two']);
});
