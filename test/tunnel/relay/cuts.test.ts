// The connection between agent and relay breaks, again and again: nobody who calls through it notices.
import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { heldBytes } from '../../harness/collect-garbage.ts';
import { createRandom } from '../../harness/random.ts';
import { startBrokenWorld, type BrokenWorld } from './broken-world.ts';
import type { AgentHandler } from './world.ts';
import { ask, echo, eventually, headOf, inTurn, pause } from './world.ts';

const mib = 1024 * 1024;
const seed = Number(process.env['CUT_SEED'] ?? 20_261_129);

let broken: BrokenWorld | undefined;
afterEach(async () => {
  await broken?.world.end();
  broken = undefined;
});

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const events = { 'content-type': 'text/event-stream' };
const eventCount = 40;
const stream = Array.from({ length: eventCount }, (_, at) => `data: ${at}\n\n`).join('');

/** `/call`, `/events`, `/upload` and `/download`, which goes on until `isOver`. */
function mixedHandler(isOver: () => boolean, downloaded: { digest: string; bytes: number }): AgentHandler {
  const blocks = Array.from({ length: 8 }, () => randomBytes(200_000));
  return (request, response) => {
    if (request.url === '/events') {
      request.resume();
      response.writeHead(200, events);
      let at = 0;
      const next = (): void => {
        response.write(`data: ${at}\n\n`);
        at += 1;
        if (at < eventCount) setTimeout(next, 10);
        else response.end();
      };
      next();
    } else if (request.url === '/upload') {
      const hash = createHash('sha256');
      request.on('data', (chunk: Buffer) => hash.update(chunk));
      request.on('end', () => response.end(hash.digest('hex')));
    } else if (request.url === '/download') {
      request.resume();
      const hash = createHash('sha256');
      const write = (): void => {
        while (!isOver() || downloaded.bytes < 400 * mib) {
          const block = blocks[Math.floor(Math.random() * blocks.length)] ?? Buffer.alloc(0);
          hash.update(block);
          downloaded.bytes += block.length;
          if (!response.write(block)) {
            response.once('drain', write);
            return;
          }
        }
        downloaded.digest = hash.digest('hex');
        response.end();
      };
      write();
    } else echo(request, response);
  };
}

/** The digest and the length of a response, however long it is. */
async function download(url: string): Promise<{ digest: string; bytes: number }> {
  const request = httpRequest(url, { agent: false });
  request.end();
  const response = await headOf(request);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { digest: hash.digest('hex'), bytes };
}

test(
  'fifty cuts at random moments under calls, event streams, uploads and a download of 400 MiB: nothing fails, is lost or doubled',
  { timeout: 240_000 },
  async () => {
    const random = createRandom(seed);
    const phase = { isOver: false };
    const downloaded = { digest: '', bytes: 0 };
    broken = await startBrokenWorld(mixedHandler(() => phase.isOver, downloaded));
    const { world, proxy, agent, url } = broken;
    const upload = randomBytes(3 * mib);
    const done = { calls: 0, streams: 0, uploads: 0 };
    await ask(`${url}/call`);
    const before = heldBytes();

    const repeat = async (work: () => Promise<void>): Promise<void> => {
      while (!phase.isOver) await work(); // oxlint-disable-line no-await-in-loop -- one after the other
    };
    const call = async (): Promise<void> => {
      done.calls += 1;
      const body = `call ${done.calls}`;
      const reply = await ask(`${url}/call`, { method: 'POST', body });
      expect([reply.status, reply.body.includes(`"${body}"`)]).toEqual([200, true]);
      await pause(5);
    };
    const listen = async (): Promise<void> => {
      expect((await ask(`${url}/events`)).body).toBe(stream);
      done.streams += 1;
    };
    const send = async (): Promise<void> => {
      expect((await ask(`${url}/upload`, { method: 'POST', body: upload })).body).toBe(sha256(upload));
      done.uploads += 1;
    };
    const cut = async (): Promise<void> => {
      const cuts = Array.from({ length: 50 }, () => random.below(400));
      await inTurn(cuts, async (delayMs) => {
        await pause(delayMs);
        await eventually(() => proxy.cutOne(random), 'a connection to cut');
        // Some cuts hit the next dial, but not one after the other for seconds, when a new call may be told to come later.
        if (random.below(4) > 0) await eventually(() => agent.statuses.at(-1)?.state === 'up', 'up');
      });
      phase.isOver = true;
    };
    const whole = download(`${url}/download`);
    await Promise.all([cut(), repeat(call), repeat(call), repeat(listen), repeat(listen), repeat(send), repeat(send)]);
    expect(await whole).toEqual(downloaded);
    expect(downloaded.bytes).toBeGreaterThanOrEqual(400 * mib);
    expect(Math.min(...Object.values(done))).toBeGreaterThan(3);
    expect(world.events.filter(({ type }) => type !== 'warning').map(({ type }) => type)).toEqual(['agent_connected']);
    expect(agent.statuses.filter(({ state }) => state === 'reconnecting').length).toBeGreaterThan(10);
    await eventually(() => heldBytes() - before < 8 * mib, 'the memory of the start');
  },
);
