// Whatever comes at the place where agents connect: it ends as the protocol says, and no other agent notices.
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TunnelResponse } from '../../../../src/tunnel/relay/agent/tunnel-response.ts';
import { createIdentity } from '../../../../src/tunnel/relay/protocol/identity.ts';
import { enter, greet } from '../spoken-agent.ts';
import { ask, eventually, rawAgent, settled, startWorld, type TestAgent, type World } from '../world.ts';

let world: World;
let other: TestAgent;
let held: TunnelResponse | undefined;
let call: Promise<string>;
beforeEach(async () => {
  world = await startWorld({ handshakeTimeoutMs: 1_000 });
  held = undefined;
  other = await world.agent(
    (request, response) => {
      request.resume();
      if (request.url === '/held') held = response;
      else response.end('served');
    },
    { name: 'files' },
  );
  call = ask(`${other.url}/held`).then(({ body }) => body);
  await eventually(() => held !== undefined, 'the call');
});
afterEach(async () => {
  await world.end();
});

/** A call that was under way all the time and a new one are answered, on the connection of the start. */
async function expectNobodyElseNoticed(): Promise<void> {
  expect((await ask(other.url)).body).toBe('served');
  held?.end('held');
  expect(await call).toBe('held');
  expect(other.statuses).toEqual([]);
}

const none = { session: '', received: 0 };
const files = { want: { name: 'files' } };

/** Each resolves to what the agent gets: a code of a close or of a reject, or the message that it is welcome. */
const attacks: Array<[what: string, attack: () => Promise<unknown>, end: unknown]> = [
  [
    'a wrong proof',
    async () =>
      (await (await greet(world, { ...createIdentity(), publicKey: createIdentity().publicKey })).receive('reject'))[
        'code'
      ],
    'auth',
  ],
  [
    'a proof that was overheard, word for word',
    async () => {
      const identity = createIdentity();
      const spoken: string[] = [];
      const first = await rawAgent(world.relay.url);
      const say = (text: string): void => {
        spoken.push(text);
        first.socket.send(text);
      };
      const hello = {
        type: 'hello',
        versions: ['mcp-expose.v1'],
        agent: 'test',
        publicKey: identity.publicKey,
        want: {},
      };
      say(JSON.stringify(hello));
      const nonce = Buffer.from(String((await first.receive('challenge'))['nonce']), 'base64url');
      const relayHost = new URL(world.relay.url).host;
      const signature = identity.sign({ relayHost, nonce, hello: Buffer.from(spoken[0] ?? '') });
      say(JSON.stringify({ type: 'proof', signature }));
      await first.receive('welcome');
      const second = await rawAgent(world.relay.url);
      second.socket.send(spoken[0] ?? '');
      await second.receive('challenge');
      second.socket.send(spoken[1] ?? '');
      expect(await second.closed).toBe(4003);
      expect(first.socket.readyState).toBe(first.socket.OPEN);
      first.socket.terminate();
      return (await second.receive('reject'))['code'];
    },
    'auth',
  ],
  [
    'another key for the name',
    async () => (await (await greet(world, createIdentity(), none, files)).receive('reject'))['code'],
    'name_taken',
  ],
  [
    'a hello that is too large',
    async () => {
      const agent = await rawAgent(world.relay.url);
      agent.socket.send(JSON.stringify({ type: 'hello', pad: 'x'.repeat(20_480) }));
      return await agent.closed;
    },
    4000,
  ],
  ['a hello that never comes', async () => await (await rawAgent(world.relay.url)).closed, 4001],
  [
    'an unknown version',
    async () => {
      const agent = await rawAgent(world.relay.url);
      const { publicKey } = createIdentity();
      agent.socket.send(
        JSON.stringify({ type: 'hello', versions: ['mcp-expose.v9'], agent: 'test', publicKey, want: {} }),
      );
      return (await agent.receive('reject'))['code'];
    },
    'version',
  ],
  [
    'binary before the welcome',
    async () =>
      await (
        await greet(world, createIdentity(), none, { beforeProof: ({ socket }) => socket.send(Buffer.alloc(9)) })
      ).closed,
    4000,
  ],
  [
    'an acknowledgement of more than was sent',
    async () => {
      const { agent } = await enter(world, createIdentity());
      agent.socket.send('{"type":"ack","received":1000000}');
      return await agent.closed;
    },
    4000,
  ],
  [
    'a resume with more received than was sent',
    async () => {
      const identity = createIdentity();
      const { session } = await enter(world, identity);
      const again = await greet(world, identity, { session, received: 1_000_000 });
      return 'received' in (await again.receive('welcome'));
    },
    false,
  ],
  [
    'bytes of the pipe after a resume that was refused',
    async () => {
      const { session } = await enter(world, createIdentity());
      const agent = await greet(world, createIdentity(), { session, received: 0 }, files);
      await agent.receive('reject');
      agent.socket.send(Buffer.alloc(64 * 1024));
      return await agent.closed;
    },
    4003,
  ],
  [
    'bytes of the old pipe after a resume for which a new session came',
    async () => {
      const identity = createIdentity();
      const { session } = await enter(world, identity);
      const again = await greet(world, identity, { session, received: 1_000_000 });
      await again.receive('welcome');
      again.socket.send(Buffer.alloc(64 * 1024, 0xff));
      return await again.closed;
    },
    4000,
  ],
  [
    "a resume of somebody else's session",
    async () => {
      const { agent, session } = await enter(world, createIdentity());
      const thief = await greet(world, createIdentity(), { session, received: 0 });
      const welcome = await thief.receive('welcome');
      expect(agent.socket.readyState).toBe(agent.socket.OPEN);
      return [welcome['session'] === session, 'received' in welcome];
    },
    [false, false],
  ],
];

test.each(attacks)('%s', async (_what, attack, end) => {
  expect(await attack()).toEqual(end);
  await expectNobodyElseNoticed();
});

test('an agent that stops reading: what clients send it waits at the clients', async () => {
  const identity = createIdentity();
  const { agent } = await enter(world, identity);
  agent.socket.pause();
  const client = connect(world.relay.port, '127.0.0.1');
  world.defer(() => client.destroy());
  const block = Buffer.alloc(1024 * 1024);
  let sent = 0;
  const send = (): void => {
    while (sent < 256 && client.write(block)) sent += 1;
  };
  client.on('drain', () => {
    sent += 1;
    send();
  });
  client.write(`POST /${identity.name} HTTP/1.1\r\nHost: relay\r\nContent-Length: ${256 * block.length}\r\n\r\n`);
  send();
  // A window of 512 KiB and a little more at the relay; the rest is in the buffers of the system.
  expect(await settled(() => sent, 'the client to wait')).toBeLessThan(64);
  await expectNobodyElseNoticed();
});
