// Slow clients, slow handlers and slow agents hold what belongs to them, and nothing else.
import { request as httpRequest, type ClientRequest } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { heldBytes } from '../../harness/collect-garbage.ts';
import { startBrokenWorld } from './broken-world.ts';
import type { AgentHandler, World } from './world.ts';
import { ask, echo, eventually, headOf, inTurn, settled, startWorld } from './world.ts';

const mib = 1024 * 1024;
/** Of every download and upload here, in bytes: nobody ever gets all of it. */
const totalBytes = 100_000_000;

let world: World;
afterEach(async () => {
  await world.end();
});

const block = Buffer.alloc(64 * 1024);

/** Writes as long as there is room, then waits for it. */
function writeAll(
  sink: { write(chunk: Buffer): boolean; once(event: 'drain', listener: () => void): unknown },
  onWrite: () => void,
): void {
  let written = 0;
  const write = (): void => {
    while (written < totalBytes) {
      written += block.length;
      onWrite();
      if (!sink.write(block)) {
        sink.once('drain', write);
        return;
      }
    }
  };
  write();
}

/** `/download` is large, `/ignored` never reads its body, and everything else is an echo. */
function handlerOf(counts: { written: number; open: number }): AgentHandler {
  return (request, response) => {
    if (request.url === '/download') {
      request.resume();
      counts.open += 1;
      response.on('close', () => (counts.open -= 1));
      writeAll(response, () => (counts.written += block.length));
    } else if (request.url === '/ignored') {
      counts.open += 1;
      response.on('close', () => (counts.open -= 1));
    } else echo(request, response);
  };
}

function begin(url: string, method = 'GET'): ClientRequest {
  const request = httpRequest(url, { method, agent: false });
  request.on('error', () => undefined);
  return request;
}

/** Opens downloads that nobody reads. */
async function stallDownloads(url: string, count: number): Promise<ClientRequest[]> {
  const requests = Array.from({ length: count }, () => begin(`${url}/download`));
  await Promise.all(
    requests.map(async (request) => {
      request.end();
      const response = await headOf(request);
      response.on('error', () => undefined);
      response.pause();
    }),
  );
  return requests;
}

/** Opens uploads of which each goes on as long as there is room. */
function upload(url: string, count: number): { requests: readonly ClientRequest[]; sent: () => number } {
  let sent = 0;
  const requests = Array.from({ length: count }, () => begin(url, 'POST'));
  for (const request of requests) writeAll(request, () => (sent += block.length));
  return { requests, sent: () => sent };
}

async function expectAnswers(url: string): Promise<void> {
  const statuses = await inTurn(Array.from({ length: 20 }), async () => (await ask(`${url}/call`)).status);
  expect(new Set(statuses)).toEqual(new Set([200]));
}

describe('a client that reads nothing of its 100 MB holds its own stream only', () => {
  test.each([1, 20])('%i of them', { timeout: 120_000 }, async (count) => {
    world = await startWorld();
    const counts = { written: 0, open: 0 };
    const { url } = await world.agent(handlerOf(counts));
    const other = await world.agent(echo);
    await expectAnswers(url);
    const before = heldBytes();
    const requests = await stallDownloads(url, count);
    await settled(() => counts.written, 'the writers to stall');
    // Most of it waits in the kernel's buffers of the clients' sockets.
    expect(counts.written / count).toBeLessThan(totalBytes / 4);
    // A stream window at the relay, and the parts of a write at the agent, both of which are in this process.
    expect(heldBytes() - before).toBeLessThan(8 * mib + count * mib);
    await expectAnswers(url);
    await expectAnswers(other.url);
    for (const request of requests) request.destroy();
    await eventually(() => counts.open === 0, 'the streams to end');
    await eventually(() => heldBytes() - before < 8 * mib, 'the memory of the start');
    await expectAnswers(url);
  });
});

test('a handler that reads nothing of 32 uploads holds these only', async () => {
  world = await startWorld();
  const counts = { written: 0, open: 0 };
  const { url } = await world.agent(handlerOf(counts));
  const before = heldBytes();
  const { requests, sent } = upload(`${url}/ignored`, 32);
  await eventually(() => counts.open === 32, 'the uploads');
  await settled(sent, 'the uploads to stall');
  expect(sent() / 32).toBeLessThan(totalBytes / 4);
  expect(heldBytes() - before).toBeLessThan(8 * mib + 32 * 1.5 * mib);
  await expectAnswers(url);
  for (const request of requests) request.destroy();
});

test('clients that send their bodies byte by byte hold their own streams only', async () => {
  world = await startWorld();
  const { url } = await world.agent(echo);
  const requests = Array.from({ length: 200 }, () => begin(url, 'POST'));
  const heads = requests.map(async (request) => await headOf(request));
  await inTurn(['a', 'b'], async (byte) => {
    for (const request of requests) request.write(byte);
    await expectAnswers(url);
  });
  for (const request of requests) request.end('c');
  for (const response of await Promise.all(heads)) {
    expect(response.statusCode).toBe(200);
    response.resume();
  }
});

test('an agent that does not read holds its own requests only, and a bounded part of each; they go on when it reads', async () => {
  const uploaded: number[] = [];
  const handler: AgentHandler = (request, response) => {
    if (request.url !== '/upload') {
      echo(request, response);
      return;
    }
    let bytes = 0;
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    request.on('end', () => response.end(String(uploaded.push(bytes))));
  };
  const broken = await startBrokenWorld(handler);
  ({ world } = broken);
  const { proxy, url } = broken;
  const other = await world.agent(echo, { relayUrl: `http://127.0.0.1:${world.relay.port}` });
  const otherUrl = `http://127.0.0.1:${world.relay.port}${new URL(other.url).pathname}`;
  await expectAnswers(url);
  const before = heldBytes();
  const carryOn = proxy.stall();
  const { requests, sent } = upload(`${url}/upload`, 20);
  const waiting = ask(`${url}/call`);
  await settled(sent, 'the uploads to stall');
  expect(sent() / 20).toBeLessThan(totalBytes / 4);
  expect(heldBytes() - before).toBeLessThan(8 * mib + 20 * mib);
  await expectAnswers(otherUrl);
  carryOn();
  expect((await waiting).status).toBe(200);
  for (const request of requests) request.destroy();
  await expectAnswers(url);
  await eventually(() => heldBytes() - before < 8 * mib, 'the memory of the start');
});
