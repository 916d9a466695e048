// The network to the relay is gone for as long as the relay waits, or a little longer; proxies cut what is idle.
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { afterAll, describe, expect, test } from 'vitest';
import { createIdentity } from '../../../src/tunnel/relay/protocol/identity.ts';
import type { TunnelResponse } from '../../../src/tunnel/relay/agent/tunnel-response.ts';
import type { CuttingProxyOptions } from '../../harness/chaos-proxy.ts';
import { startBrokenWorld, type BrokenWorld } from './broken-world.ts';
import { enter } from './spoken-agent.ts';
import { ask, eventually, fieldsOf, headOf, pause } from './world.ts';

const ends: Array<() => Promise<void>> = [];
afterAll(async () => {
  await Promise.all(ends.map((end) => end()));
});

interface Held extends BrokenWorld {
  /** The responses that are kept, by path; the others are sent at once. */
  readonly kept: Map<string, TunnelResponse>;
}

/** The tests run at the same time, so each has a world of its own until the last has ended. */
async function start(proxyOptions: CuttingProxyOptions = {}): Promise<Held> {
  const kept = new Map<string, TunnelResponse>();
  const broken = await startBrokenWorld(
    (request, response) => {
      request.resume();
      if (request.url === '/now') response.end('now');
      else kept.set(request.url, response);
    },
    {},
    // Short waits between two attempts, so that the time of the outage decides.
    { random: () => 0.1 },
    { lifetime: 'file', ...proxyOptions },
  );
  ends.push(() => broken.world.end());
  return { ...broken, kept };
}

const agentEvents = ({ world }: BrokenWorld): string[] =>
  world.events.filter(({ type }) => type !== 'warning').map(({ type }) => type);

/** A request whose response has begun, and its text in the end. */
async function open({ url, kept }: Held, path: string): Promise<() => Promise<string>> {
  const request = httpRequest(`${url}${path}`, { agent: false });
  request.on('error', () => undefined);
  request.end();
  const head = headOf(request);
  const response = await eventually(() => kept.get(path), path);
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.write('begun, ');
  const reply = await head;
  return async () => {
    let text = '';
    for await (const chunk of reply as AsyncIterable<Buffer>) text += chunk.toString();
    return text;
  };
}

describe.concurrent('no connection to the relay gets through', () => {
  test.each([5, 29])('for %i s: nobody notices', { timeout: 90_000 }, async (seconds) => {
    const held = await start();
    // Not \`ask\`, whose patience ends before.
    const silent = fetch(`${held.url}/silent`);
    const textOf = await open(held, '/begun');
    await eventually(() => held.kept.has('/silent'), 'the request');
    const allow = held.proxy.refuse();
    held.proxy.cutAll();
    await pause(seconds * 1000);
    allow();
    await eventually(() => held.agent.statuses.at(-1)?.state === 'up', 'up');
    for (const response of held.kept.values()) response.end('ended');
    expect([await (await silent).text(), await textOf()]).toEqual(['ended', 'begun, ended']);
    expect(agentEvents(held)).toEqual(['agent_connected']);
    expect((await ask(`${held.url}/now`)).body).toBe('now');
  });

  test(
    'for 31 s: what was under way ends with an error, and the next request is answered',
    { timeout: 90_000 },
    async () => {
      const held = await start();
      const silent = fetch(`${held.url}/silent`);
      const textOf = await open(held, '/begun');
      await eventually(() => held.kept.has('/silent'), 'the request');
      const allow = held.proxy.refuse();
      held.proxy.cutAll();
      await pause(31_000);
      const refused = await ask(`${held.url}/now`);
      expect([refused.status, refused.headers['retry-after']]).toEqual([503, '2']);
      allow();
      const lost = await silent;
      expect([lost.status, fieldsOf(await lost.text())]).toMatchObject([502, { error: { code: -32052 }, id: null }]);
      await expect(textOf()).rejects.toThrow('aborted');
      await eventually(() => held.agent.statuses.at(-1)?.state === 'up', 'up');
      expect((await ask(`${held.url}/now`)).body).toBe('now');
      expect(agentEvents(held)).toEqual(['agent_connected', 'agent_disconnected', 'agent_connected']);
    },
  );

  test('a proxy that cuts after 3 s of silence: a call without a word is answered', { timeout: 90_000 }, async () => {
    const held = await start({ idleMs: 3_000 });
    const silent = ask(`${held.url}/silent`);
    await eventually(() => held.proxy.idleCuts() >= 3, 'three cuts');
    held.kept.get('/silent')?.end('ended');
    expect((await silent).body).toBe('ended');
    expect(agentEvents(held)).toEqual(['agent_connected']);
  });

  test(
    'a proxy that cuts after 20 s of silence finds none: there is a ping every 15 s',
    { timeout: 90_000 },
    async () => {
      const held = await start({ idleMs: 20_000 });
      await pause(42_000);
      expect([held.proxy.idleCuts(), held.agent.statuses]).toEqual([0, []]);
    },
  );

  test('an agent that never pings is pinged by the relay, and stays', { timeout: 90_000 }, async () => {
    const { world } = await start();
    const { agent } = await enter(world, createIdentity());
    // ws answers pings by itself. The second one comes after 40 s: without the answer to the first, the agent would be dead.
    for (let pings = 0; pings < 2; pings += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await once(agent.socket, 'ping', { signal: AbortSignal.timeout(35_000) });
    }
    expect(agent.socket.readyState).toBe(agent.socket.OPEN);
  });
});
