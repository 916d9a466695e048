// Known faults of other bridges that are attacked here:
// - supergateway 4.0.0: a body of 120 kB is answered with 413 and a page of HTML (its issue 163); a result is read in
//   quadratic time while nobody else is served: 5.8 s for 24 MB; a process tree for each of 13 initialize requests
// - mcp-proxy 6.7.19: a message over 10 MiB ends its server, one over 20 MiB makes it deaf; events are kept by number, not
//   by size: 40 results of 4 MB cost 315 MB
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { eventually, within } from '../harness/eventually.ts';
import { startExpose, type Exposed, type ExposeOptions } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { childrenWithMark } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { openRequest, send } from '../harness/raw-http.ts';
import { clientHeaders, exchange, initializeRequest, openSession, type RawSession } from '../harness/raw-mcp.ts';
import { inlineServer } from './inline-server.ts';
import { openLegacySession } from './legacy-client.ts';

const mebibyte = 1024 * 1024;

const start = (options: ExposeOptions): Promise<Exposed> =>
  startExpose({ ...options, args: ['--tunnel', 'none', ...(options.args ?? [])] });

const toolCall = (id: number | string, name: string, args: object, progressToken?: string) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args, ...(progressToken !== undefined && { _meta: { progressToken } }) },
});
const pidOf = async (session: RawSession, id: number): Promise<string> =>
  textOf(await session.call(id, 'tools/call', { name: 'pid', arguments: {} }));

describe('a request', () => {
  test.each([120_000, 12 * mebibyte])('of %i bytes reaches the server, over both transports', async (bytes) => {
    const exposed = await start({ server: fixture('huge-result') });
    const args = { name: 'measure', arguments: { text: 'x'.repeat(bytes) } };
    const session = await openSession(exposed.url, exposed.token);
    expect(textOf(await session.call(2, 'tools/call', args))).toBe(String(bytes));
    const legacy = await openLegacySession(exposed.url, exposed.token);
    expect(textOf(await legacy.call(2, 'tools/call', args))).toBe(String(bytes));
  });

  test('that is larger than --max-body is refused in JSON on both transports, and its session goes on', async () => {
    const exposed = await start({ server: fixture('huge-result'), args: ['--max-body', '100KiB'] });
    const body = JSON.stringify(toolCall(2, 'measure', { text: 'x'.repeat(120_000) }));
    const session = await openSession(exposed.url, exposed.token);
    const refused = await send(exposed.url, { method: 'POST', headers: session.headers, body });
    const legacy = await openLegacySession(exposed.url, exposed.token);
    for (const reply of [refused, await legacy.post(body)]) {
      expect(reply.status).toBe(413);
      expect(reply.headers['content-type']).toMatch(/^application\/json/);
      expect(reply.json().error).toBeDefined();
      expect(reply.body).not.toMatch(/<html|at .*\.js/i);
    }
    expect(await session.call(3, 'ping')).toHaveProperty('result');
    expect(await legacy.call(3, 'ping')).toHaveProperty('result');
  });
});

/** Reads everything and keeps nothing. */
async function lengthOf(response: IncomingMessage): Promise<number> {
  let length = 0;
  response.on('data', (chunk: Buffer) => (length += chunk.length));
  await within(20_000, 'the end of the response', once(response, 'end'));
  return length;
}

/** Calls for so many bytes, takes them as they come and returns the milliseconds until the last. */
async function timeOf(exposed: Exposed, session: RawSession, bytes: number): Promise<number> {
  const startedAt = performance.now();
  const response = await openRequest(exposed.url, {
    method: 'POST',
    headers: session.headers,
    body: JSON.stringify(toolCall(`${bytes} bytes`, 'huge', { bytes })),
  });
  expect(await lengthOf(response)).toBeGreaterThan(bytes);
  return performance.now() - startedAt;
}

describe('a result', () => {
  test('costs time in proportion to its size, and the health check is answered in the meantime', async () => {
    const exposed = await start({ server: fixture('huge-result') });
    const session = await openSession(exposed.url, exposed.token);
    await timeOf(exposed, session, 6 * mebibyte); // the first one pays for what is compiled
    const small = await timeOf(exposed, session, 6 * mebibyte);
    const healthz = new URL('/healthz', exposed.localUrl).href;
    const waits: number[] = [];
    const over = new AbortController();
    const large = timeOf(exposed, session, 48 * mebibyte).finally(() => over.abort());
    while (!over.signal.aborted) {
      const askedAt = performance.now();
      const { status } = await send(healthz); // oxlint-disable-line no-await-in-loop -- one look after the other
      expect(status).toBe(200);
      waits.push(performance.now() - askedAt);
    }
    // Eight times the size is eight times the time; in quadratic time it would be 64 times.
    expect(await large).toBeLessThan(24 * Math.max(small, 40));
    expect(waits.length).toBeGreaterThan(2);
    expect(Math.max(...waits)).toBeLessThan(1500);
  });

  test.each([2, 12, 70])('of %i MiB over --max-message fails its request alone', async (mebibytes) => {
    const exposed = await start({
      server: inlineServer(`{
        huge: { call: ({ bytes }) => 'x'.repeat(bytes) },
        pid: { call: () => String(process.pid) },
      }`),
      args: ['--max-message', '1MiB'],
    });
    const [session, other] = await Promise.all([
      openSession(exposed.url, exposed.token),
      openSession(exposed.url, exposed.token),
    ]);
    const [pid, otherPid] = [await pidOf(session, 2), await pidOf(other, 2)];
    const [huge, meanwhile] = await Promise.all([
      session.call(3, 'tools/call', { name: 'huge', arguments: { bytes: mebibytes * mebibyte } }),
      session.call(4, 'tools/call', { name: 'pid', arguments: {} }),
    ]);
    expect(huge.error).toMatchObject({ code: -32603 });
    expect(textOf(meanwhile)).toBe(pid);
    expect([await pidOf(session, 5), await pidOf(other, 5)]).toEqual([pid, otherPid]);
  });
});

/** What the process has in memory, in bytes; `peak` is the most that it ever had. */
function memoryOf(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kibibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
  return { now: kibibytes('VmRSS') * 1024, peak: kibibytes('VmHWM') * 1024 };
}

test('what is kept for clients that lose their connection is bounded in bytes: 80 results of 4 MB', async () => {
  const exposed = await start({
    server: inlineServer(`{
      huge: { call: ({ bytes }, { meta: { progressToken }, notify }) => {
        notify('notifications/progress', { progressToken, progress: 1 });
        return 'x'.repeat(bytes);
      } },
    }`),
  });
  const session = await openSession(exposed.url, exposed.token);
  await session.call('first', 'ping');
  const before = memoryOf(exposed.pid).now;
  for (let id = 0; id < 80; id++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, so that only what is kept adds up
    const response = await openRequest(exposed.url, {
      method: 'POST',
      headers: session.headers,
      body: JSON.stringify(toolCall(id, 'huge', { bytes: 4_000_000 }, 'token')),
    });
    expect(response.headers['content-type']).toMatch(/^text\/event-stream/); // only streams are kept
    // oxlint-disable-next-line no-await-in-loop
    expect(await lengthOf(response)).toBeGreaterThan(4_000_000);
  }
  const grown = memoryOf(exposed.pid).peak - before;
  // 8 MiB are kept and one message is on its way; the rest is what the collector has not returned yet. All of it: 320 MB.
  expect(grown).toBeLessThan(200_000_000);
});

const initialize = (exposed: Exposed) =>
  exchange(exposed.url, { method: 'POST', headers: clientHeaders(exposed.token), body: initializeRequest() });

/** The process that said at the start what it is has to be gone before others are counted. */
const untilNoneIsLeft = (exposed: Exposed) => eventually(() => expect(childrenWithMark(exposed.mark)).toEqual([]));

describe('sessions', () => {
  test('beyond --max-sessions are refused while all are in use: 503, when to come again, and no process', async () => {
    const exposed = await start({ server: fixture('slow'), args: ['--max-sessions', '3', '--warm', '0'] });
    await untilNoneIsLeft(exposed);
    const sessions = await Promise.all([1, 2, 3].map(() => openSession(exposed.url, exposed.token)));
    const busy = await Promise.all(sessions.map((session) => session.post(toolCall(2, 'wait', {}, 'token'))));
    await Promise.all(busy.map((reply) => reply.next(({ method }) => method === 'notifications/progress')));
    const before = childrenWithMark(exposed.mark).map(({ pid }) => pid);
    expect(before).toHaveLength(3);
    const replies = await Promise.all(Array.from({ length: 13 }, () => initialize(exposed)));
    for (const { status, headers, ended } of replies) {
      expect(status).toBe(503);
      expect(Number(headers['retry-after'])).toBeGreaterThan(0);
      expect(await ended).toMatchObject([{ id: 1, error: {} }]); // oxlint-disable-line no-await-in-loop -- has come
    }
    expect(childrenWithMark(exposed.mark).map(({ pid }) => pid)).toEqual(before);
    await Promise.all(sessions.map((session) => session.call(3, 'ping')));
  });

  test('that clients open and abandon make way for new ones, and so do their processes', async () => {
    const exposed = await start({ server: fixture('echo'), args: ['--max-sessions', '4', '--warm', '1'] });
    const ids: string[] = [];
    let most = 0;
    for (let opened = 0; opened < 13; opened++) {
      // oxlint-disable-next-line no-await-in-loop -- each abandons the one before
      const session = await openSession(exposed.url, exposed.token);
      ids.push(session.id);
      most = Math.max(most, childrenWithMark(exposed.mark).length);
    }
    // Four in use, one that waits, and those that are on their way out.
    expect(most).toBeLessThanOrEqual(4 + 1 + 4);
    await eventually(() => expect(childrenWithMark(exposed.mark)).toHaveLength(5));
    const statuses = await Promise.all(
      ids.map(async (id) => {
        const headers = clientHeaders(exposed.token, [['Mcp-Session-Id', id]]);
        return (await send(exposed.url, { method: 'POST', headers, body: '{"jsonrpc":"2.0","id":2,"method":"ping"}' }))
          .status;
      }),
    );
    expect(statuses).toEqual([...Array.from({ length: 9 }, () => 404), 200, 200, 200, 200]);
  });

  test('13 that are opened at once have few processes, those of the ones that make way included', async () => {
    const exposed = await start({ server: fixture('echo'), args: ['--max-sessions', '4', '--warm', '0'] });
    await untilNoneIsLeft(exposed);
    const replies = Promise.all(Array.from({ length: 13 }, () => initialize(exposed)));
    let most = 0;
    let answered = false;
    void replies.finally(() => (answered = true));
    await eventually(() => {
      most = Math.max(most, childrenWithMark(exposed.mark).length);
      expect(answered).toBe(true);
    }, 15_000);
    const statuses = (await replies).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(4);
    expect(statuses.every((status) => status === 200 || status === 503)).toBe(true);
    expect(most).toBeLessThanOrEqual(2 * 4);
    await eventually(() => expect(childrenWithMark(exposed.mark)).toHaveLength(4));
  });
});
