// A session belongs to the credential that opened it: whoever else knows its id can neither use it, nor read it, nor end it.
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { within } from '../harness/eventually.ts';
import { signInByForm } from '../harness/oauth-form.ts';
import { startShared } from '../harness/oauth-sign-in.ts';
import { fixture, startProgram } from '../harness/program.ts';
import { openRequest, type RawRequest, send } from '../harness/raw-http.ts';
import { clientHeaders, openSession } from '../harness/raw-mcp.ts';
import { exposeBy, ways } from '../harness/ways.ts';

const list = JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/list' });
const cancel = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });

/** Another token of the same run. */
async function addToken({ home, pid }: Exposed): Promise<string> {
  const run = startProgram(['token', 'add', 'thief', '--run', String(pid)], { mark: randomUUID(), home });
  expect(await run.exited).toBe(0);
  return run.stdout().trim();
}

/** What the holder of another credential gets with the id of a session. */
async function statusesOf(url: string, sessionId: string, token: string): Promise<number[]> {
  const headers = clientHeaders(token, [
    ['Mcp-Session-Id', sessionId],
    ['Mcp-Protocol-Version', '2025-11-25'],
  ]);
  const requests: RawRequest[] = [
    { method: 'POST', body: list, headers },
    { method: 'POST', body: cancel, headers },
    { headers },
    { headers: [...headers, ['Last-Event-ID', '1']] },
    { method: 'DELETE', headers },
  ];
  const statuses: number[] = [];
  // oxlint-disable-next-line no-await-in-loop -- in order: the last one would end the session
  for (const request of requests) statuses.push((await send(url, request)).status);
  return statuses;
}

const unknown = [404, 404, 404, 404, 404];

describe.each(ways)('R16 %s', (way) => {
  let exposed: Exposed;
  let other: string;
  beforeAll(async () => {
    exposed = await exposeBy(way, { server: fixture('echo'), lifetime: 'file' });
    other = await addToken(exposed);
  });

  test('a session is unknown to another token, and goes on', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const stream = await session.listen();
    expect(stream.status).toBe(200);
    expect(await statusesOf(exposed.url, session.id, other)).toEqual(unknown);
    expect(await session.call(3, 'tools/list')).toHaveProperty('result.tools');
    // It works with what owns it, so it was not the request.
    expect((await session.end()).status).toBe(204);
    await stream.ended;
  });

  test('nothing is posted into the connection of another token, over HTTP+SSE', async () => {
    const base = exposed.url.replace(/\/mcp$/, '');
    const stream = await openRequest(`${base}/sse`, { headers: clientHeaders(exposed.token) });
    const first = new Promise<string>((resolve) => {
      stream.setEncoding('utf8').once('data', resolve);
    });
    const [, id = ''] = /sessionId=([\w-]+)/.exec(await within(10_000, 'the endpoint event', first)) ?? [];
    const post = (token: string) =>
      send(`${base}/messages?sessionId=${id}`, { method: 'POST', headers: clientHeaders(token), body: list });
    expect((await post(other)).status).toBe(404);
    expect((await post(exposed.token)).status).not.toBe(404);
    stream.destroy();
  });
});

test('R16 with OAuth: clients that have signed in, and the token, know nothing of each other', async () => {
  const exposed = await startShared({ lifetime: 'test' });
  const anna = await signInByForm(exposed);
  const ben = await signInByForm(exposed);
  const session = await openSession(exposed.url, anna.access_token);
  for (const token of [ben.access_token, exposed.token]) {
    // oxlint-disable-next-line no-await-in-loop -- in order
    expect(await statusesOf(exposed.url, session.id, token)).toEqual(unknown);
  }
  const own = await openSession(exposed.url, exposed.token);
  expect(await statusesOf(exposed.url, own.id, anna.access_token)).toEqual(unknown);
  expect(await session.call(3, 'tools/list')).toHaveProperty('result.tools');
});

test('R16 the id of a session of another run is unknown', async () => {
  const [mine, theirs] = await Promise.all([
    startExpose({ server: fixture('echo') }),
    startExpose({ server: fixture('echo') }),
  ]);
  const { id } = await openSession(mine.url, mine.token);
  expect(await statusesOf(theirs.url, id, theirs.token)).toEqual(unknown);
});
