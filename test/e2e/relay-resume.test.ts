// The network between mcp-expose and its relay breaks while my colleague works: no call is lost.
import { expect, test } from 'vitest';
import { startCuttingProxy, type CuttingProxy } from '../harness/chaos-proxy.ts';
import { eventually } from '../harness/eventually.ts';
import { startBehindRelay, startRelay, type Exposed, type Relay } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { freePort } from '../harness/loopback-server.ts';
import { killIfAlive } from '../harness/processes.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { createRandom } from '../harness/random.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { connectWith, type SdkVersion } from '../harness/sdk-clients.ts';

const sdkVersions: SdkVersion[] = ['v1', 'v2'];

interface Setup {
  readonly relay: Relay;
  readonly proxy: CuttingProxy;
  readonly exposed: Exposed;
  /** Of the MCP endpoint at the relay itself: clients are not behind the proxy. */
  readonly url: string;
}

async function start(home = temporaryDirectory()): Promise<Setup> {
  const port = await freePort();
  const proxy = await startCuttingProxy(port);
  const publicUrl = `http://127.0.0.1:${proxy.port}`;
  const relay = await startRelay({ port, args: ['--public-url', publicUrl] });
  const exposed = await startBehindRelay({ ...relay, url: publicUrl }, { server: fixture('progress'), home });
  return { relay, proxy, exposed, url: exposed.url.replace(publicUrl, `http://127.0.0.1:${port}`) };
}

function agentStates(relay: Relay): unknown[] {
  return relay.events().flatMap(({ event, state }) => (event === 'agent' ? [state] : []));
}

/** Calls a tool that reports `steps` steps of 5 ms each; fails unless each comes once, in order, and then the result. */
async function countTo(
  client: Awaited<ReturnType<(typeof connectWith)['v1']>>,
  steps: number,
  onStep?: (step: number) => void,
): Promise<void> {
  const seen: number[] = [];
  const answer = await client.call(
    'count',
    { n: steps, label: 'call' },
    {
      onprogress({ progress }) {
        seen.push(progress);
        onStep?.(progress);
      },
    },
  );
  expect(answer).toBe(`call counted to ${steps}`);
  expect(seen).toEqual(Array.from({ length: steps }, (_, at) => at + 1));
}

test.each(sdkVersions)(
  'SDK client %s: twenty-five cuts during three calls at a time cost nothing, neither a step nor an answer',
  { timeout: 90_000 },
  async (version) => {
    const { relay, proxy, exposed, url } = await start();
    const random = createRandom(25);
    const client = await connectWith[version](url, exposed.token);
    let cuts = 0;
    const cutAt = new Set(Array.from({ length: 25 }, (_, at) => 10 + at * 20 + random.below(20)));
    const onStep = (step: number): void => {
      if (cutAt.has(step) && proxy.cutOne(random)) cuts += 1;
    };
    await Promise.all([countTo(client, 600, onStep), countTo(client, 500), countTo(client, 400)]);
    expect(cuts).toBeGreaterThan(10);
    // Otherwise clients would have had to help themselves, with Last-Event-ID.
    expect(agentStates(relay)).toEqual(['connected']);
  },
);

/** Stops a process; the returned function lets it go on. */
function freeze({ process: { pid = 0 } }: Relay | Exposed): () => void {
  killIfAlive(pid, 'SIGSTOP');
  return () => killIfAlive(pid, 'SIGCONT');
}

const outages: Array<[string, (setup: Setup) => () => void]> = [
  ['nothing is carried', ({ proxy }) => proxy.stall()],
  [
    'no connection gets through',
    ({ proxy }) => {
      const allow = proxy.refuse();
      proxy.cutAll();
      return allow;
    },
  ],
  ['the relay is stopped', ({ relay }) => freeze(relay)],
  ['mcp-expose is stopped', ({ exposed }) => freeze(exposed)],
];

test.each(outages)('%s for five seconds: the call goes on', { timeout: 60_000 }, async (_what, stop) => {
  const setup = await start();
  const client = await connectWith.v1(setup.url, setup.exposed.token);
  await countTo(client, 400, (step) => {
    if (step === 100) setTimeout(stop(setup), 5_000);
  });
  await countTo(client, 3);
  expect(agentStates(setup.relay)).toEqual(['connected']);
});

test('mcp-expose is killed and started again: a call that was lost ends at once, and the same URL works', async () => {
  const home = temporaryDirectory();
  const { relay, exposed, url } = await start(home);
  const session = await openSession(url, exposed.token);
  const call = await session.post({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'count', arguments: { n: 100_000 }, _meta: { progressToken: 1 } },
  });
  await call.next(({ method }) => method === 'notifications/progress');
  await exposed.stop('SIGKILL');
  const publicUrl = new URL(exposed.url).origin;
  const again = await startBehindRelay({ ...relay, url: publicUrl }, { server: fixture('progress'), home });
  expect(again.url).toBe(exposed.url);
  expect((await call.ended).some(({ result }) => result)).toBe(false);
  const next = await eventually(() => openSession(url, again.token), 15_000);
  const counted = await next.call(1, 'tools/call', { name: 'count', arguments: { n: 2 } });
  expect(textOf(counted)).toBe('step counted to 2');
});
