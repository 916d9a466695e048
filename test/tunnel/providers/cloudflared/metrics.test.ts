import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { systemClock } from '../../../../src/platform/clock.ts';
import type { OutputEvent } from '../../../../src/tunnel/providers/external/output-event.ts';
import { watchMetrics } from '../../../../src/tunnel/providers/cloudflared/metrics.ts';
import { eventually, within } from '../../../harness/eventually.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';
import { listenOnLoopback } from '../../../harness/loopback-server.ts';

interface Metrics {
  readonly port: number;
  hostname: string;
  ready: number;
  looks: number;
}

/** The two endpoints, as metrics.go and readiness.go of cloudflared have them. */
async function startMetrics(): Promise<Metrics> {
  const metrics = { port: 0, hostname: '', ready: 0, looks: 0 };
  const server = createServer((request, response) => {
    if (request.url === '/quicktunnel') {
      response.end(`{"hostname":"${metrics.hostname}"}`);
    } else {
      metrics.looks++;
      response.statusCode = metrics.ready > 0 ? 200 : 503;
      response.end(JSON.stringify({ status: response.statusCode, readyConnections: metrics.ready, connectorId: 'x' }));
    }
  });
  metrics.port = await listenOnLoopback(server);
  return metrics;
}

test('tells the name and that it is connected, as soon as either is so, until it is ended', async () => {
  const metrics = await startMetrics();
  const clock = createFakeClock();
  const events: OutputEvent[] = [];
  const stop = new AbortController();
  const watched = watchMetrics(`127.0.0.1:${metrics.port}`, clock, stop.signal, (event) => events.push(event));
  const waiting = (): Promise<void> => eventually(() => expect(clock.pending).toBe(1));
  await waiting();
  expect(events).toEqual([]);
  metrics.hostname = 'x.trycloudflare.com';
  clock.advance(250);
  await waiting();
  expect(events).toEqual([{ kind: 'urls', urls: ['https://x.trycloudflare.com'] }]);
  metrics.ready = 1;
  clock.advance(250);
  await waiting();
  expect(events.slice(1)).toEqual([{ kind: 'urls', urls: ['https://x.trycloudflare.com'] }, { kind: 'ready' }]);
  stop.abort();
  await within(15_000, 'the end of the watch', watched);
  expect([metrics.looks, clock.pending]).toEqual([3, 0]);
});

test.each([
  '10.0.0.1:80',
  'metrics.example:80',
  '127.0.0.1.evil.example:80',
  '127.0.0.1',
  '127.0.0.1:80/x',
  '0.0.0.0:80',
])('asks nobody at %s', async (address) => {
  const asked: OutputEvent[] = [];
  const { signal } = new AbortController();
  const watched = watchMetrics(address, systemClock, signal, (event) => asked.push(event));
  await within(15_000, 'nothing to watch', watched);
  expect(asked).toEqual([]);
});
