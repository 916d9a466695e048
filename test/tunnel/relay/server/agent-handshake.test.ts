import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { Identity } from '../../../../src/tunnel/relay/protocol/identity.ts';
import { createIdentity } from '../../../../src/tunnel/relay/protocol/identity.ts';
import { createRelayProvider } from '../../../../src/tunnel/providers/relay.ts';
import type { RawAgent, World } from '../world.ts';
import {
  ask,
  askRaw,
  echo,
  eventually,
  fieldsOf,
  inTurn,
  noListener,
  overTunnel,
  portOf,
  rawAgent,
  startWorld,
  within,
} from '../world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

function helloOf(identity: Identity, want: { name?: string } = {}, versions = ['mcp-expose.v1']): Buffer {
  const message = { type: 'hello', versions, agent: 'test', publicKey: identity.publicKey, want };
  return Buffer.from(JSON.stringify(message));
}

/** The handshake by hand, as another implementation would do it. */
async function shake(agent: RawAgent, identity: Identity, options: { name?: string; relayHost?: string } = {}) {
  const hello = helloOf(identity, options.name === undefined ? {} : { name: options.name });
  agent.socket.send(hello.toString());
  const { nonce } = await agent.receive('challenge');
  const relayHost = options.relayHost ?? new URL(world.relay.url).host;
  const signature = identity.sign({ relayHost, nonce: Buffer.from(String(nonce), 'base64url'), hello });
  const proof = JSON.stringify({ type: 'proof', signature });
  agent.socket.send(proof);
  return proof;
}

describe('the handshake by hand', () => {
  test('ends in a welcome with the name that belongs to the key', async () => {
    const identity = createIdentity();
    const agent = await rawAgent(world.relay.url);
    await shake(agent, identity);
    const welcome = await agent.receive('welcome');
    expect(welcome).toEqual({
      type: 'welcome',
      session: expect.any(String),
      epoch: 1,
      name: identity.name,
      urls: [`${world.relay.url}/${identity.name}`],
      resumeMs: 0,
      heartbeatMs: 15_000,
      limits: { streams: 256 },
    });
    agent.socket.terminate();
  });

  test('a proof for another relay is refused: it is being passed on', async () => {
    const agent = await rawAgent(world.relay.url);
    await shake(agent, createIdentity(), { relayHost: 'evil.example' });
    const reject = await agent.receive('reject');
    expect(reject).toMatchObject({ code: 'auth', retryable: false });
    expect(reject['message']).toContain('--public-url');
    expect(await agent.closed).toBe(4003);
    expect(world.events).toMatchObject([{ type: 'agent_rejected', code: 'auth' }]);
  });

  test('a proof that was sent before is refused: it is for another challenge', async () => {
    const identity = createIdentity();
    const hello = helloOf(identity).toString();
    const agent = await rawAgent(world.relay.url);
    const proof = await shake(agent, identity);
    await agent.receive('welcome');
    const replaying = await rawAgent(world.relay.url);
    replaying.socket.send(hello);
    await replaying.receive('challenge');
    replaying.socket.send(proof);
    expect(await replaying.receive('reject')).toMatchObject({ code: 'auth', retryable: false });
    expect(await replaying.closed).toBe(4003);
    agent.socket.terminate();
  });

  test.each<[string, (hello: Buffer, key: Identity, other: Identity) => [Buffer, Identity]]>([
    ['of another key', (hello, _key, other) => [hello, other]],
    ['for another hello', (_hello, key) => [helloOf(key, { name: 'other' }), key]],
  ])('a proof %s is refused', async (_what, change) => {
    const identity = createIdentity();
    const agent = await rawAgent(world.relay.url);
    const hello = helloOf(identity);
    agent.socket.send(hello.toString());
    const { nonce } = await agent.receive('challenge');
    const [signed, signer] = change(hello, identity, createIdentity());
    const relayHost = new URL(world.relay.url).host;
    const signature = signer.sign({ relayHost, nonce: Buffer.from(String(nonce), 'base64url'), hello: signed });
    agent.socket.send(JSON.stringify({ type: 'proof', signature }));
    expect(await agent.receive('reject')).toMatchObject({ code: 'auth', retryable: false });
    expect(await agent.closed).toBe(4003);
  });

  test('a malicious relay in the middle cannot log in as its victim', async () => {
    const middle = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(middle, 'listening');
    const results: string[] = [];
    middle.on('connection', (victim) => {
      const onward = new WebSocket(`${world.relay.url.replace('http', 'ws')}/_mcp-expose/v1/tunnel`, ['mcp-expose.v1']);
      victim.on('message', (data: Buffer) => {
        if (onward.readyState === onward.OPEN) onward.send(data.toString());
        else onward.once('open', () => onward.send(data.toString()));
      });
      onward.on('message', (data: Buffer) => {
        results.push(String(fieldsOf(data.toString())['type']));
        victim.send(data.toString());
      });
      onward.on('error', () => undefined);
    });
    const relayUrl = `http://127.0.0.1:${portOf(middle)}`;
    const opened = createRelayProvider({ relayUrl, keys: createIdentity(), env: {} }).open(
      { handler: overTunnel(echo), localPort: 1, listen: noListener },
      { signal: new AbortController().signal, onStatus: () => undefined, onWarning: () => undefined },
    );
    await expect(opened).rejects.toMatchObject({ code: 'tunnel_rejected' });
    expect(results).toEqual(['challenge', 'reject']);
    for (const client of middle.clients) client.terminate();
    middle.close();
  });

  test.each([
    ['data first', (agent: RawAgent) => agent.socket.send(Buffer.alloc(10)), 4000],
    ['no JSON', (agent: RawAgent) => agent.socket.send('{'), 4000],
    ['a proof first', (agent: RawAgent) => agent.socket.send(`{"type":"proof","signature":"${'A'.repeat(86)}"}`), 4000],
    [
      'a hello of 20 KiB',
      (agent: RawAgent) => agent.socket.send(JSON.stringify({ type: 'hello', pad: 'x'.repeat(20_480) })),
      4000,
    ],
    ['a message of 1 MiB', (agent: RawAgent) => agent.socket.send('x'.repeat(1024 * 1024)), 1009],
    [
      'two hellos',
      (agent: RawAgent) => {
        const hello = helloOf(createIdentity()).toString();
        agent.socket.send(hello);
        agent.socket.send(hello);
      },
      4000,
    ],
  ])('%s closes the socket', async (_what, attack, code) => {
    const agent = await rawAgent(world.relay.url);
    attack(agent);
    expect(await agent.closed).toBe(code);
  });

  test('an unknown message is ignored', async () => {
    const agent = await rawAgent(world.relay.url);
    agent.socket.send('{"type":"later"}');
    await shake(agent, createIdentity());
    await agent.receive('welcome');
    agent.socket.send('{"type":"later"}');
    agent.socket.send('{"type":"ack","received":1}');
    agent.socket.ping();
    await within(once(agent.socket, 'pong'), 'a pong');
    expect(agent.messages.map((message) => message['type'])).toEqual(['challenge', 'welcome']);
    agent.socket.terminate();
  });

  test('another version is refused with both versions named', async () => {
    const agent = await rawAgent(world.relay.url);
    agent.socket.send(helloOf(createIdentity(), {}, ['mcp-expose.v9']).toString());
    expect(await agent.receive('reject')).toMatchObject({
      code: 'version',
      message: 'this relay speaks mcp-expose.v1, the agent speaks mcp-expose.v9',
    });
    agent.socket.terminate();
  });

  test('an upgrade without our subprotocol is a 426 that names the version', async () => {
    const text = await askRaw(
      world.relay.port,
      'GET /_mcp-expose/v1/tunnel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    expect(text).toMatch(/^HTTP\/1\.1 426 /);
    expect(text).toContain('mcp-expose-versions: mcp-expose.v1');
  });
});

test('silence ends after the handshake time', async () => {
  await world.end();
  world = await startWorld({ handshakeTimeoutMs: 50 });
  const silent = await rawAgent(world.relay.url);
  expect(await silent.closed).toBe(4001);
  const half = await rawAgent(world.relay.url);
  half.socket.send(helloOf(createIdentity()).toString());
  await half.receive('challenge');
  expect(await half.closed).toBe(4001);
});

async function wish(name: string) {
  const agent = await rawAgent(world.relay.url);
  world.defer(() => agent.socket.terminate());
  agent.socket.send(helloOf(createIdentity(), { name }).toString());
  return await agent.receive('reject');
}

describe('names', () => {
  test.each([
    'www',
    'api',
    'mcp',
    'sse',
    'healthz',
    'relay',
    'admin',
    '_x',
    'xn--80ak6aa92e',
    'ab',
    'UPPER',
    '-x-',
    'a.b',
    '../x',
    'x'.repeat(64),
  ])('%s is reserved', async (name) => {
    expect(await wish(name)).toMatchObject({ code: 'name_reserved', retryable: false });
  });

  test("another key's derived name cannot be wished, also while that key is offline", async () => {
    const reject = await wish(createIdentity().name);
    expect(reject['code']).toBe('name_reserved');
    expect(reject['message']).toContain('only its own key may have it');
  });

  test('a key may wish its own derived name', async () => {
    const keys = createIdentity();
    const { url } = await world.agent(echo, { keys, name: keys.name });
    expect(url).toBe(`${world.relay.url}/${keys.name}`);
  });

  test('a wished name is its URL, and taken for another key, also when its agent has left', async () => {
    const { url, tunnel } = await world.agent(echo, { name: 'files' });
    expect(url).toBe(`${world.relay.url}/files`);
    await expect(world.agent(echo, { name: 'files' })).rejects.toMatchObject({ code: 'tunnel_rejected' });
    await tunnel.close();
    await expect(world.agent(echo, { name: 'files' })).rejects.toThrow('belongs to another key (name_taken)');
    expect((await ask(url)).status).toBe(503);
  });

  test('the same key takes over: epoch 2, 4002 for the old one, requests to the new one', async () => {
    const keys = createIdentity();
    const old = await world.agent((_request, response) => response.end('old'), { keys, name: 'files' });
    expect((await ask(old.url)).body).toBe('old');
    const fresh = await world.agent((_request, response) => response.end('new'), { keys, name: 'files' });
    await eventually(() => old.statuses.length > 0, 'the old one to notice');
    expect(old.statuses).toEqual([
      {
        state: 'down',
        publicUrls: [old.url],
        reason: 'another mcp-expose with the same key took this name over; with --replica, both can serve it',
      },
    ]);
    expect((await ask(fresh.url)).body).toBe('new');
    await eventually(() => world.events.some((event) => event.type === 'agent_disconnected'), 'the old one to be gone');
    expect((await ask(fresh.url)).body).toBe('new');
    expect(world.events.filter((event) => event.type === 'agent_connected').map((event) => event.epoch)).toEqual([
      1, 2,
    ]);
  });
});

test('a full relay says so and when to come back', async () => {
  await world.end();
  world = await startWorld({ maxAgents: 1 });
  await world.agent(echo);
  const agent = await rawAgent(world.relay.url);
  await shake(agent, createIdentity());
  expect(await agent.receive('reject')).toMatchObject({ code: 'quota', retryable: true, retryAfterMs: 10_000 });
  agent.socket.terminate();
});

test('an agent that asks under a name is told where the relay is', async () => {
  await world.end();
  world = await startWorld({ domain: 'relay.example' });
  const upgrade = (target: string, host: string) =>
    askRaw(
      world.relay.port,
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mcp-expose.v1\r\n\r\n`,
    );
  const answers = await Promise.all([
    upgrade('/_mcp-expose/v1/tunnel', `FILES.relay.example:${world.relay.port}`),
    upgrade('/files/mcp/_mcp-expose/v1/tunnel', `relay.example:${world.relay.port}`),
  ]);
  for (const answer of answers) {
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(answer).toContain(`the URL of this relay is http://relay.example:${world.relay.port}"`);
    expect(answer).toContain('mcp-expose-versions: mcp-expose.v1');
  }
});

test('one handshake too many displaces the oldest one of the address that has most', async () => {
  // However slow the machine is, none of them ends before the last has begun.
  const patient = await startWorld({ handshakeTimeoutMs: 600_000 });
  world.defer(() => patient.end());
  const url = `${patient.relay.url.replace('http', 'ws')}/_mcp-expose/v1/tunnel`;
  const open = async (address: string): Promise<WebSocket> => {
    const socket = new WebSocket(url, ['mcp-expose.v1'], { headers: { 'x-forwarded-for': address } });
    socket.on('error', () => undefined);
    world.defer(() => socket.terminate());
    await within(once(socket, 'open'), 'the WebSocket');
    return socket;
  };
  const honest = await open('192.0.2.1');
  // Two origins, by their /64.
  const greedy = await inTurn(
    Array.from({ length: 255 }, (_, index) => index),
    async (index) => await open(index % 4 === 0 ? '2001:db8:1:2::1' : `2001:db8:1:3::${index}`),
  );
  const [first, second] = greedy;
  const closed = within(once(second ?? honest, 'close'), 'the close');
  await open('192.0.2.2');
  await closed;
  expect([honest.readyState, first?.readyState]).toEqual([honest.OPEN, honest.OPEN]);
});

const upgradeFrom = (address: string) =>
  askRaw(
    world.relay.port,
    `GET /_mcp-expose/v1/tunnel HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mcp-expose.v1\r\n\r\n`,
    /\r\n\r\n/,
  );

test('an origin that connects again and again is told to wait, and no other', async () => {
  const answers: string[] = [];
  // However slow the machine is, more come than the 20 a second that are let in after the first 300.
  do {
    answers.push(await upgradeFrom('2001:db8:1:2::1')); // oxlint-disable-line no-await-in-loop -- one after the other
  } while (answers.at(-1)?.startsWith('HTTP/1.1 101 ') === true && answers.length < 3000);
  expect(answers.length).toBeGreaterThan(300);
  expect(answers.at(-1)).toMatch(/^HTTP\/1\.1 503 /);
  expect(answers.at(-1)).toMatch(/retry-after: 5/i);
  expect(await upgradeFrom('2001:db8:1:3::1')).toMatch(/^HTTP\/1\.1 101 /);
});
