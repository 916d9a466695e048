// The relay is updated while my colleagues work: behind a load balancer nobody notices, in place hardly anybody.
import path from 'node:path';
import { expect, test } from 'vitest';
import { startCuttingProxy } from '../harness/chaos-proxy.ts';
import { eventually } from '../harness/eventually.ts';
import { startBehindRelay, startRelay, type Exposed, type Relay } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { freePort } from '../harness/loopback-server.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { connectWith, type SdkClient, type SdkVersion } from '../harness/sdk-clients.ts';

const sdkVersions: SdkVersion[] = ['v1', 'v2', 'v1', 'v2'];
/** Twice the window of a stream; on a busy machine 4 MiB take longer than the ten seconds that a relay gives to calls. */
const hugeBytes = 1024 * 1024;

/** Calls a tool that reports its steps, 5 ms each; fails unless each comes once, in order, and then the result. */
async function countTo(client: SdkClient, steps: number): Promise<void> {
  const seen: number[] = [];
  const options = { onprogress: ({ progress }: { progress: number }) => void seen.push(progress) };
  expect(await client.call('count', { n: steps, label: 'call' }, options)).toBe(`call counted to ${steps}`);
  expect(seen).toEqual(Array.from({ length: steps }, (_, at) => at + 1));
}

interface Load {
  readonly done: { calls: number; downloads: number };
  /** Resolves when \`isReached\` does not throw any more; rejects with the first failure of a call. */
  until(isReached: () => void): Promise<void>;
  /** Resolves when what is under way has ended; rejects with the first failure. */
  stop(): Promise<void>;
}

/** Four SDK clients that call all the time, and one that downloads all the time. */
async function startLoad(counting: Exposed, huge: Exposed): Promise<Load> {
  const clients = await Promise.all(sdkVersions.map((version) => connectWith[version](counting.url, counting.token)));
  const downloader = await connectWith.v1(huge.url, huge.token);
  const done = { calls: 0, downloads: 0 };
  const phase = { isOver: false };
  const repeat = async (work: () => Promise<void>): Promise<void> => {
    while (!phase.isOver) await work(); // oxlint-disable-line no-await-in-loop -- one after the other
  };
  const working = Promise.all([
    ...clients.map((client, at) =>
      repeat(async () => {
        await countTo(client, 10 + 20 * at);
        done.calls += 1;
      }),
    ),
    repeat(async () => {
      expect((await downloader.call('huge', { bytes: hugeBytes })).length).toBe(hugeBytes);
      done.downloads += 1;
    }),
  ]);
  working.catch(() => {});
  return {
    done,
    until: async (isReached) => void (await Promise.race([working, eventually(isReached, 30_000)])),
    async stop() {
      phase.isOver = true;
      await working;
    },
  };
}

test(
  'behind the same address, one relay after another: no call fails, no step is lost',
  { timeout: 240_000 },
  async () => {
    const state = path.join(temporaryDirectory(), 'names.json');
    const port = await freePort();
    const balancer = await startCuttingProxy(port);
    const publicUrl = `http://127.0.0.1:${balancer.port}`;
    const start = async (at: number): Promise<Relay> =>
      await startRelay({ port: at, args: ['--public-url', publicUrl, '--state', state] });
    let relay = await start(port);
    const counting = await startBehindRelay({ ...relay, url: publicUrl }, { server: fixture('progress') });
    const named = { server: fixture('huge-result'), args: ['--name', 'huge'] };
    const huge = await startBehindRelay({ ...relay, url: publicUrl }, named);
    const load = await startLoad(counting, huge);
    for (const _ of ['the second', 'the third']) {
      /* oxlint-disable no-await-in-loop -- one restart after another */
      const before = { ...load.done };
      await load.until(() => expect(load.done.downloads).toBeGreaterThan(before.downloads));
      const nextPort = await freePort();
      const next = await start(nextPort);
      balancer.retarget(nextPort);
      expect(await relay.stop()).toBe(143);
      relay = next;
      /* oxlint-enable no-await-in-loop */
    }
    const before = { ...load.done };
    await load.until(() => expect(load.done.calls).toBeGreaterThan(before.calls + 3));
    await load.stop();
    // Every client found its way to each new relay without being asked for anything.
    expect([counting, huge].map(({ process: { exitCode } }) => exitCode)).toEqual([null, null]);
  },
);

test('in place: what is under way ends well, and clients that come too early wait', { timeout: 60_000 }, async () => {
  const relay = await startRelay();
  const exposed = await startBehindRelay(relay, { server: fixture('progress') });
  const client = await connectWith.v1(exposed.url, exposed.token);
  const session = await openSession(exposed.url, exposed.token);
  const call = await session.post({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'count', arguments: { n: 600 }, _meta: { progressToken: 1 } },
  });
  await call.next(({ method }) => method === 'notifications/progress');
  const stopped = relay.stop();
  const again = await eventually(() => startRelay({ port: relay.port, home: relay.home }));
  await countTo(client, 20);
  expect(textOf(await call.next(({ result }) => result !== undefined))).toBe('step counted to 600');
  expect(await stopped).toBe(143);
  await countTo(client, 20);
  expect(again.process.exitCode).toBeNull();
});
