// A tool that takes long: its client has something in hand before it loses its patience.
import { expect, test } from 'vitest';
import { startEverything } from '../harness/everything.ts';
import { startBehindRelay, startExpose, startRelay, type Exposed } from '../harness/expose.ts';
import { fixture } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';

/** Far below what hosted clients wait for, far above what a busy machine makes of the 5 s that are promised. */
const patienceMs = 8000;

const shared = ['--isolation', 'shared'];

async function beginOf(exposed: Exposed, name: string, args: object): Promise<unknown> {
  const session = await openSession(exposed.url, exposed.token);
  const askedAt = performance.now();
  const params = { name, arguments: args };
  const { kind, messages, abort } = await session.post({ jsonrpc: '2.0', id: 7, method: 'tools/call', params });
  const isInTime = performance.now() - askedAt < patienceMs;
  abort();
  // A server may have something to say that is no answer.
  return { kind, isAnswered: messages.some(({ id }) => id !== undefined), isInTime };
}

test('the stream of a long call opens while the tool is at work, whatever is in between', async () => {
  const server = fixture('slow');
  const [http, sse, relay] = await Promise.all([startEverything('http'), startEverything('sse'), startRelay()]);
  const own = await Promise.all([
    startExpose({ server }),
    startExpose({ server, args: shared }),
    startBehindRelay(relay, { server }),
  ]);
  const foreign = await Promise.all([
    startExpose({ running: http }),
    startExpose({ running: http, args: shared }),
    startExpose({ running: sse }),
  ]);
  const begins = await Promise.all([
    ...own.map((exposed) => beginOf(exposed, 'wait', { ms: 60_000 })),
    ...foreign.map((exposed) => beginOf(exposed, 'trigger-long-running-operation', { duration: 60, steps: 1 })),
  ]);
  expect(begins).toEqual(begins.map(() => ({ kind: 'sse', isAnswered: false, isInTime: true })));
});
