// The connection between agent and relay is gone for a while, or for good: what clients get.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import type { TunnelResponse } from '../../../src/tunnel/relay/agent/tunnel-response.ts';
import { systemClock, type Clock } from '../../../src/platform/clock.ts';
import { createRelay } from '../../../src/tunnel/relay/server/relay.ts';
import { createFakeClock } from '../../harness/fake-clock.ts';
import { startBrokenWorld, type BrokenWorld } from './broken-world.ts';
import { fakeRelay } from './fake-relay.ts';
import { frame } from './hostile-agent.ts';
import { ask, echo, eventually, fieldsOf, headOf, pause, within, type AgentHandler } from './world.ts';

let broken: BrokenWorld;
afterEach(async () => {
  await broken.world.end();
});

/** Keeps every response but that to `/now`, by the request's path. */
function keeper(): { handler: AgentHandler; kept: Map<string, TunnelResponse>; gone: string[] } {
  const kept = new Map<string, TunnelResponse>();
  const gone: string[] = [];
  return {
    kept,
    gone,
    handler(request, response) {
      const { url } = request;
      if (url === '/now') {
        echo(request, response);
        return;
      }
      request.resume();
      response.on('close', () => gone.push(url));
      kept.set(url, response);
    },
  };
}

interface Listener {
  readonly response: IncomingMessage;
  text(): string;
  /** Resolves to whether the response was complete. */
  readonly ended: Promise<boolean>;
}

/** Opens a response whose head and first bytes the handler sends at once. */
async function listen(
  path: string,
  first: string,
  { headers = {}, body = '' }: { headers?: Record<string, string>; body?: string } = {},
): Promise<Listener> {
  const request = httpRequest(`${broken.url}${path}`, { method: 'POST', agent: false });
  request.on('error', () => undefined);
  request.end(body);
  const head = headOf(request);
  const stream = await eventually(() => keptOnes.get(path), path);
  stream.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
  stream.write(first);
  const response = await head;
  let text = '';
  response.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  const ended = new Promise<boolean>((resolve) => {
    response.on('error', () => undefined);
    response.once('close', () => resolve(response.complete));
  });
  await eventually(() => text === first, `the beginning of ${path}`);
  return { response, text: () => text, ended };
}

/** What agents have said about the session that they lost. */
const resumes = (relay: Awaited<ReturnType<typeof fakeRelay>>) => relay.hellos.map(({ resume }) => resume);

let keptOnes: Map<string, TunnelResponse>;
let goneOnes: string[];
async function start(options: { resumeMs?: number } = {}, clock: Clock = systemClock): Promise<void> {
  const { handler, kept, gone } = keeper();
  keptOnes = kept;
  goneOnes = gone;
  broken = await startBrokenWorld(handler, options, { clock });
}

const lostError = (id: string | number): string =>
  `event: message\ndata: ${JSON.stringify({
    jsonrpc: '2.0',
    id,
    error: {
      code: -32052,
      message: `the agent of ${new URL(broken.url).pathname.slice(1)} was lost before it answered`,
    },
  })}\n\n`;

/** Agents of a relay that says what it likes; the world has a relay of its own, which is not used. */
async function startAgent(onWelcome: Parameters<typeof fakeRelay>[0], welcomeOf: Parameters<typeof fakeRelay>[1]) {
  const relay = await fakeRelay(onWelcome, welcomeOf);
  await start();
  broken.world.defer(() => relay.end());
  await broken.world.agent(echo, { relayUrl: relay.url, random: () => 0 });
  return relay;
}
/** Cuts the connection and lets no other one through. */
function cutOff(): () => void {
  const allow = broken.proxy.refuse();
  broken.proxy.cutAll();
  return allow;
}

async function untilLost(): Promise<void> {
  await eventually(() => broken.agent.statuses.at(-1)?.state === 'reconnecting', 'the loss');
}

test(
  'for twelve seconds: what was under way goes on; a new request waits five seconds, then gets 503',
  { timeout: 60_000 },
  async () => {
    await start();
    const held = ask(`${broken.url}/held`);
    await eventually(() => keptOnes.has('/held'), 'the request');
    const between = await listen('/between', 'data: 1\n\n');
    const inside = await listen('/inside', 'data: 1\n\ndata: half');
    const coded = await listen('/coded', 'data: 1\n\n', { headers: { 'content-encoding': 'x-test' } });
    const sized = await listen('/sized', 'data: 1\n\n', { headers: { 'content-length': '18' } });
    const allow = cutOff();
    await untilLost();
    const began = performance.now();
    const refused = await ask(`${broken.url}/now`);
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '2']);
    expect(fieldsOf(refused.body)).toMatchObject({ error: { code: -32051 }, id: null });
    expect(performance.now() - began).toBeGreaterThan(4_900);
    // A comment keeps the client's connection open, but only where it cannot end up in an event.
    await eventually(() => between.text() === 'data: 1\n\n:\n\n', 'the comment');
    allow();
    expect((await ask(`${broken.url}/now`)).status).toBe(200);
    for (const [path, response] of keptOnes)
      response.end(path === '/inside' ? '\n\n' : path === '/held' ? 'held' : 'data: 2\n\n');
    expect((await held).body).toBe('held');
    expect(await Promise.all([between, inside, coded, sized].map(({ ended }) => ended))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([between, inside, coded, sized].map(({ text }) => text())).toEqual([
      'data: 1\n\n:\n\ndata: 2\n\n',
      'data: 1\n\ndata: half\n\n',
      'data: 1\n\ndata: 2\n\n',
      'data: 1\n\ndata: 2\n\n',
    ]);
  },
);

test('for a moment: 256 requests wait and are answered; one more gets 503 at once', async () => {
  await start();
  const allow = cutOff();
  await untilLost();
  let answered = 0;
  const waiting = Array.from({ length: 256 }, async () => {
    const { status } = await ask(`${broken.url}/now`);
    answered += 1;
    return status;
  });
  const one = await eventually(async () => {
    const reply = await Promise.race([ask(`${broken.url}/now`), pause(1_000)]);
    return reply?.status === 503 ? reply : undefined;
  }, 'a refusal');
  expect([one.headers['retry-after'], answered < 256]).toEqual(['2', true]);
  allow();
  const statuses = await Promise.all(waiting);
  // On a very slow machine, some have waited for five seconds.
  expect(new Set(statuses)).toContain(200);
});

describe('for longer than the relay waits', () => {
  const call = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: {} });
  const batch = `[${call},{"jsonrpc":"2.0","method":"notifications/x"},${call.replace('7', '"b"')}]`;
  test('each call ends with an error, the agent sees that its clients have gone, and the next call works', async () => {
    await start({ resumeMs: 300 });
    const silent = ask(`${broken.url}/silent`, { method: 'POST', body: call });
    await eventually(() => keptOnes.has('/silent'), 'the request');
    const streams = {
      one: await listen('/one', 'data: 1\n\n', { body: call }),
      batch: await listen('/batch', ': open\r\n\r\n', { body: batch }),
      inside: await listen('/inside', 'data: half', { body: call }),
      withIds: await listen('/with-ids', 'id: 1\ndata:\n\n', { body: call }),
      later: await listen('/later', 'data: 1\nid: 5\n\n', { body: call }),
      large: await listen('/large', 'data: 1\n\n', { body: `${call}${' '.repeat(20_000)}` }),
      huge: await listen('/huge', 'data: 1\n\n', { body: call.replace('7', '9007199254740993') }),
      other: await listen('/other', 'data: 1\n\n', { body: 'not JSON' }),
    };
    const allow = cutOff();
    expect(await silent).toMatchObject({ status: 502 });
    expect(fieldsOf((await silent).body)).toMatchObject({ error: { code: -32052 }, id: null });
    const outcomes = Object.entries(streams).map(
      async ([name, { ended, text }]) => [name, await ended, text()] as const,
    );
    expect(await within(Promise.all(outcomes), 'the ends')).toEqual([
      ['one', true, `data: 1\n\n${lostError(7)}`],
      ['batch', true, `: open\r\n\r\n${lostError(7)}${lostError('b')}`],
      ['inside', false, 'data: half'],
      ['withIds', false, 'id: 1\ndata:\n\n'],
      ['later', false, 'data: 1\nid: 5\n\n'],
      ['large', false, 'data: 1\n\n'],
      ['huge', false, 'data: 1\n\n'],
      ['other', false, 'data: 1\n\n'],
    ]);
    await eventually(() => goneOnes.length === keptOnes.size, 'the handlers to notice');
    allow();
    await eventually(() => broken.agent.statuses.at(-1)?.state === 'up', 'up');
    expect((await ask(`${broken.url}/now`)).status).toBe(200);
    const epochs = broken.world.events.flatMap((event) => (event.type === 'agent_connected' ? [event.epoch] : []));
    expect(epochs).toEqual([1, 2]);
  });

  test('a relay that does not resume ends them at once', async () => {
    await start({ resumeMs: 0 });
    const silent = ask(`${broken.url}/silent`);
    await eventually(() => keptOnes.has('/silent'), 'the request');
    broken.proxy.cutAll();
    expect((await silent).status).toBe(502);
    await eventually(() => goneOnes.includes('/silent'), 'the handler to notice');
    await eventually(() => broken.agent.statuses.at(-1)?.state === 'up', 'up');
    expect((await ask(`${broken.url}/now`)).status).toBe(200);
  });
});

test('an agent whose machine slept dials again at once, and goes on', async () => {
  const clock = createFakeClock();
  await start({}, clock);
  const held = ask(`${broken.url}/held`);
  await eventually(() => keptOnes.has('/held'), 'the request');
  clock.jump(3_600_000);
  await eventually(() => {
    clock.advance(1);
    return broken.agent.statuses.at(-1)?.state === 'up';
  }, 'up');
  expect(broken.agent.statuses.map(({ reason }) => reason)).toEqual(['this machine slept', undefined]);
  // As long as it would have waited for the relay.
  clock.advance(31_000);
  keptOnes.get('/held')?.end('held');
  expect((await held).body).toBe('held');
});

test('an agent that hears nothing for 35 s dials again, and goes on', async () => {
  const clock = createFakeClock();
  await start({}, clock);
  const held = ask(`${broken.url}/held`);
  await eventually(() => keptOnes.has('/held'), 'the request');
  const carryOn = broken.proxy.stall();
  await eventually(() => {
    clock.advance(5_000);
    return broken.agent.statuses.at(-1)?.state === 'reconnecting';
  }, 'the loss');
  expect(broken.agent.statuses.at(-1)?.reason).toBe('nothing was heard from the other end for 35 s');
  carryOn();
  await eventually(() => {
    clock.advance(1);
    return broken.agent.statuses.at(-1)?.state === 'up';
  }, 'up');
  keptOnes.get('/held')?.end('held');
  expect((await held).body).toBe('held');
});

test('a relay that was started anew knows of no session: handlers see that their clients have gone, and the URL works', async () => {
  await start();
  const held = ask(`${broken.url}/held`).then(
    ({ status }) => status,
    () => 'broken off',
  );
  await eventually(() => keptOnes.has('/held'), 'the request');
  const allow = cutOff();
  await untilLost();
  const { port } = broken.world.relay;
  await broken.world.relay.close();
  broken.world.relay = await createRelay({ host: '127.0.0.1', port, publicUrl: new URL(broken.agent.url).origin });
  allow();
  await eventually(() => goneOnes.includes('/held'), 'the handler to notice');
  await eventually(() => broken.agent.statuses.at(-1)?.state === 'up', 'up');
  expect(await held).not.toBe(200);
  expect((await ask(`${broken.url}/now`)).status).toBe(200);
});

test('a relay that stops while the agent is lost ends what waits, and itself', async () => {
  await start();
  const held = ask(`${broken.url}/held`);
  await eventually(() => keptOnes.has('/held'), 'the request');
  cutOff();
  await untilLost();
  const waiting = ask(`${broken.url}/now`).then(
    ({ status }) => status,
    () => 'refused',
  );
  await within(broken.world.relay.close(), 'the relay to close');
  expect((await held).status).toBe(502);
  expect([503, 'refused']).toContain(await waiting);
});

test('a tunnel that is closed while its connection is lost leaves nothing', async () => {
  await start();
  const held = ask(`${broken.url}/held`);
  await eventually(() => keptOnes.has('/held'), 'the request');
  const allow = cutOff();
  await untilLost();
  await within(broken.agent.tunnel.close(), 'the tunnel to close');
  await eventually(() => goneOnes.includes('/held'), 'the handler to notice');
  allow();
  await broken.world.relay.close();
  expect((await held).status).toBe(502);
});

describe('an agent', () => {
  const none = { session: '', received: 0 };

  test('asks for its session after a loss only, and not with a relay that does not resume', async () => {
    const relay = await startAgent(
      (socket) => setTimeout(() => socket.terminate(), 20),
      () => ({ resumeMs: 0 }),
    );
    await eventually(() => relay.dialled() >= 3, 'another attempt');
    expect(new Set(resumes(relay).map((resume) => JSON.stringify(resume)))).toEqual(new Set([JSON.stringify(none)]));
  });

  test('says how much it has received', async () => {
    const relay = await startAgent(
      (socket) => {
        // Of a type that this version does not know.
        socket.send(frame(9, 0, Buffer.alloc(16)));
        setTimeout(() => socket.terminate(), 20);
      },
      () => ({ resumeMs: 30_000 }),
    );
    await eventually(() => relay.dialled() >= 2 && relay.hellos.length >= 2, 'another attempt');
    expect(resumes(relay).slice(0, 2)).toEqual([none, { session: 's', received: 24 }]);
  });

  test.each([
    ['received what it never sent', { session: 's', received: 1_000_000 }],
    ['resumed and does not say where', { session: 's' }],
  ])('leaves a relay that has %s, and begins anew', async (_what, second) => {
    let welcomes = 0;
    const relay = await startAgent(
      (socket) => {
        welcomes += 1;
        if (welcomes === 1) setTimeout(() => socket.terminate(), 20);
      },
      (hello) => ({ resumeMs: 30_000, ...(JSON.stringify(hello['resume']) === JSON.stringify(none) ? {} : second) }),
    );
    await eventually(() => relay.dialled() >= 3 && relay.hellos.length >= 3, 'a third attempt');
    expect(resumes(relay)[2]).toEqual(none);
    await eventually(() => relay.codes.includes(4000), 'the agent to leave');
  });

  test('leaves a relay that acknowledges what it never sent', async () => {
    const relay = await startAgent(
      (socket) => socket.send('{"type":"ack","received":1000000}'),
      () => ({ resumeMs: 30_000 }),
    );
    await eventually(() => relay.codes.length >= 2, 'the agent to leave twice');
    expect(new Set(relay.codes)).toEqual(new Set([4000]));
    expect(resumes(relay)[1]).toEqual(none);
  });

  test('does not resume a session that the relay has sent away, also if it is lost before there is another', async () => {
    const sockets: WebSocket[] = [];
    const relay = await startAgent(
      (socket) => {
        sockets.push(socket);
        if (sockets.length === 1) socket.send('{"type":"goaway"}');
      },
      () => {
        if (sockets.length !== 1 || relay.hellos.length !== 2) return { resumeMs: 30_000 };
        sockets[0]?.terminate();
        return { type: 'reject', code: 'draining', message: 'stopping', retryable: true };
      },
    );
    await eventually(() => relay.hellos.length >= 3, 'a third attempt');
    expect(resumes(relay)).toEqual([none, none, none]);
  });
});
