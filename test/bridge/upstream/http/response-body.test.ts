import { Agent, get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { drainResponse } from '../../../../src/bridge/upstream/http/response-body.ts';
import { eventually, within } from '../../../harness/eventually.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { startScripted, type Visit } from './http-world.ts';

/** What a server says to a request, as the client has it. */
async function ask(url: string, agent = new Agent({ keepAlive: true })): Promise<IncomingMessage> {
  atEnd('test', () => agent.destroy());
  const request = get(url, { agent });
  request.on('error', () => {});
  const [response] = await within<IncomingMessage[]>(15_000, 'a response', once(request, 'response'));
  if (response === undefined) throw new Error('unreachable');
  response.on('error', () => {});
  return response;
}

/** A response of which so many bytes come, and no end. */
async function endless(size: number) {
  const server = await startScripted(({ response }) => void response.writeHead(202).write('x'.repeat(size)));
  const clock = createFakeClock();
  const response = await ask(server.url);
  const seen = { bytes: 0 };
  drainResponse(response, clock);
  response.on('data', (chunk: Buffer) => (seen.bytes += chunk.length));
  return { clock, response, seen, visit: await server.visit(() => true) };
}

describe('a body that means nothing', () => {
  test('leaves its connection to the next request, and no timer', async () => {
    const ports: (number | undefined)[] = [];
    const server = await startScripted((visit: Visit) => {
      ports.push(visit.response.socket?.remotePort);
      visit.status(202, 'x'.repeat(64 * 1024));
    });
    const clock = createFakeClock();
    const agent = new Agent({ keepAlive: true });
    for (let count = 0; count < 3; count++) {
      const response = await ask(server.url, agent); // oxlint-disable-line no-await-in-loop -- one after the other is the point
      drainResponse(response, clock);
      await within(15_000, 'the end', once(response, 'close')); // oxlint-disable-line no-await-in-loop
      expect(response.complete).toBe(true);
    }
    expect(new Set(ports).size).toBe(1);
    expect(clock.pending).toBe(0);
  });

  test('of 64 KiB may still end', async () => {
    const { response, seen, visit } = await endless(64 * 1024);
    await eventually(() => expect(seen.bytes).toBe(64 * 1024));
    expect(response.destroyed).toBe(false);
    visit.response.end();
    await within(15_000, 'the end', once(response, 'close'));
    expect(response.complete).toBe(true);
  });

  test('of more is cut off', async () => {
    const { response, clock, visit } = await endless(64 * 1024 + 1);
    await eventually(() => expect(response.destroyed).toBe(true));
    await eventually(() => expect(visit.response.destroyed).toBe(true));
    await eventually(() => expect(clock.pending).toBe(0));
  });

  test('and does not end is cut off after five seconds', async () => {
    const { clock, response, seen, visit } = await endless(1);
    await eventually(() => expect(seen.bytes).toBe(1));
    clock.advance(4999);
    expect(response.destroyed).toBe(false);
    clock.advance(1);
    expect(response.destroyed).toBe(true);
    await eventually(() => expect(visit.response.destroyed).toBe(true));
  });
});
