// Everything that can be gone for a while, with real processes: the packets, mcp-expose, the relay. What is promised is written in
// docs/tunnel-protocol.md. The tests wait for minutes, so they run at the same time.
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { redialMs, startBehindRelay, startRelay, type Exposed, type Relay, type Running } from '../harness/expose.ts';
import { startLossyNetwork, type LossyNetwork } from '../harness/lossy-network.ts';
import { killIfAlive } from '../harness/processes.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';

interface Setup {
  readonly network: LossyNetwork;
  relay: Relay;
  readonly exposed: Exposed;
  /** Starts a relay in the place of one that has ended. */
  startRelay(): Promise<Relay>;
  /** Calls a tool; resolves with how the call ended. */
  call(tool: string, args: object): Promise<string>;
}

async function start(): Promise<Setup> {
  const network = await startLossyNetwork();
  const args = [...network.relayArgs, '--state', path.join(temporaryDirectory('file'), 'names.json')];
  const startAgain = () => startRelay({ port: network.relayPort, args, lifetime: 'file' });
  const relay = await startAgain();
  const exposed = await startBehindRelay(
    { ...relay, url: network.relayUrl },
    { server: fixture('slow'), args: ['--name', 'files'], through: network.through, lifetime: 'file' },
  );
  const url = network.besideRelay(exposed.url);
  const session = await openSession(url, exposed.token);
  let lastId = 0;
  return {
    network,
    relay,
    exposed,
    startRelay: startAgain,
    async call(name, callArgs) {
      lastId += 1;
      const message = { jsonrpc: '2.0', id: lastId, method: 'tools/call', params: { name, arguments: callArgs } };
      const headers = Object.fromEntries(session.headers);
      return await fetch(url, { method: 'POST', headers, body: JSON.stringify(message) }).then(outcomeOf, () => 'cut');
    },
  };
}

/** `answered`, the status and the code of an error with `Retry-After` if it has one, or `cut`. */
async function outcomeOf(reply: Response): Promise<string> {
  const body = await reply.text().catch(() => 'cut');
  if (body.includes('"result"')) return 'answered';
  const code = /"code":(-\d+)/.exec(body)?.[1] ?? body;
  const retryAfter = reply.headers.get('retry-after');
  return `${reply.status} ${code}${retryAfter === null ? '' : ', try again'}`;
}

interface Outcomes {
  /** Of a call that was under way, and lasts for longer than the fault. */
  readonly held: string;
  /** Of calls during the fault, one every two seconds. */
  readonly during: readonly string[];
}

/** Breaks something for a while, waits until calls are answered again, and tells how the others have ended. */
async function breakFor(setup: Setup, seconds: number, breakIt: () => () => unknown): Promise<Outcomes> {
  const held = setup.call('wait', { ms: (seconds + 5) * 1000 });
  await eventually(async () => expect(await setup.call('waiting', {})).toBe('answered'));
  const repair = breakIt();
  const began = performance.now();
  const during: Promise<string>[] = [];
  for (let second = 0; second < seconds; second += 1) {
    if (second % 2 === 1) during.push(setup.call('echo', { text: 'hello' }));
    // oxlint-disable-next-line no-await-in-loop -- the fault has to last, and not for longer on a busy machine
    await delay(Math.max(0, began + (second + 1) * 1000 - performance.now()));
  }
  await repair();
  await eventually(async () => expect(await setup.call('echo', { text: 'hello' })).toBe('answered'), redialMs);
  return { held: await held, during: await Promise.all(during) };
}

const statesIn = (running: Running, kind: string): unknown[] =>
  running.events().flatMap(({ event, state }) => (event === kind ? [state] : []));

/** Stops a process; the returned function lets it go on. */
function freeze({ process: { pid = 0 } }: Running): () => void {
  killIfAlive(pid, 'SIGSTOP');
  return () => killIfAlive(pid, 'SIGCONT');
}

const later = '503 -32051, try again';
const lost = '502 -32052';

describe.concurrent('every packet is lost', () => {
  test('for 75 s: calls end with an error, and the URL and the session work again', { timeout: 240_000 }, async () => {
    const setup = await start();
    const { held, during } = await breakFor(setup, 75, setup.network.loseAll);
    expect([held, ...during.slice(0, 15)]).toEqual(Array.from({ length: 16 }, () => lost));
    expect(new Set(during)).toEqual(new Set([lost, later]));
    expect(statesIn(setup.relay, 'agent')).toEqual(['connected', 'disconnected', 'connected']);
  });

  // Both ends notice the loss after 35 s and 40 s at the latest, and wait for each other for 30 s more.
  test(
    'for 40 s: calls under way are answered, new ones too or are told to come again',
    { timeout: 180_000 },
    async () => {
      const setup = await start();
      const { held, during } = await breakFor(setup, 40, setup.network.loseAll);
      expect([held, ...during.slice(0, 15)]).toEqual(Array.from({ length: 16 }, () => 'answered'));
      expect(during.filter((outcome) => outcome !== 'answered' && outcome !== later)).toEqual([]);
      expect(statesIn(setup.relay, 'agent')).toEqual(['connected']);
      expect(statesIn(setup.exposed, 'tunnel')).toEqual(['reconnecting', 'up']);
    },
  );

  test('for 5 s: nobody notices', { timeout: 180_000 }, async () => {
    const setup = await start();
    const { held, during } = await breakFor(setup, 5, setup.network.loseAll);
    expect([held, ...during]).toEqual(['answered', 'answered', 'answered']);
    expect([statesIn(setup.relay, 'agent'), statesIn(setup.exposed, 'tunnel')]).toEqual([['connected'], []]);
  });
});

describe.concurrent('a process is stopped for 60 s', () => {
  test(
    'mcp-expose: calls under way are answered, new ones too or are told to come again',
    { timeout: 180_000 },
    async () => {
      const setup = await start();
      const { held, during } = await breakFor(setup, 60, () => freeze(setup.exposed));
      expect(held).toBe('answered');
      expect(new Set(during)).toEqual(new Set(['answered', later]));
      expect(statesIn(setup.relay, 'agent')).toEqual(['connected']);
    },
  );

  test('the relay: calls wait for it', { timeout: 180_000 }, async () => {
    const setup = await start();
    const { held, during } = await breakFor(setup, 60, () => freeze(setup.relay));
    expect([held, ...new Set(during)]).toEqual(['answered', 'answered']);
    expect(statesIn(setup.relay, 'agent')).toEqual(['connected']);
  });
});

describe.concurrent('the relay is killed, and started again', () => {
  test.each([31, 29, 5])(
    'after %i s: calls are cut, and the URL and the session work again',
    { timeout: 180_000 },
    async (seconds) => {
      const setup = await start();
      const { held, during } = await breakFor(setup, seconds, () => {
        void setup.relay.stop('SIGKILL');
        return async () => (setup.relay = await setup.startRelay());
      });
      expect([held, ...new Set(during)]).toEqual(['cut', 'cut']);
      expect(statesIn(setup.relay, 'agent')).toEqual(['connected']);
      expect(statesIn(setup.exposed, 'tunnel').at(-1)).toBe('up');
    },
  );
});
