// Sessions: one child each, bound to who opened them, gone when they are ended, and strict about their ids.
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import type { Exposed } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { childrenWithMark, isAlive, processInfo } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, openSession, type RawSession } from '../harness/raw-mcp.ts';
import { exposeBy, ways } from '../harness/ways.ts';

const list = JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/list' });

async function childOf(session: RawSession) {
  const pid = Number(textOf(await session.call('pid', 'tools/call', { name: 'pid', arguments: {} })));
  const info = processInfo(pid);
  if (!info) throw new Error(`the child ${pid} is not there`);
  return info;
}

describe.each(ways)('%s', (way) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await exposeBy(way, { server: fixture('echo'), lifetime: 'file' });
  });

  const post = (headers: [string, string][], body = list) =>
    send(exposed.url, { method: 'POST', headers: clientHeaders(exposed.token, headers), body });

  test('every session has a child of its own, which ends with DELETE', async () => {
    const [one, two] = await Promise.all([
      openSession(exposed.url, exposed.token),
      openSession(exposed.url, exposed.token),
    ]);
    expect(one.id).not.toBe(two.id);
    const children = await Promise.all([childOf(one), childOf(two)]);
    expect(children[0].pid).not.toBe(children[1].pid);
    expect([200, 204]).toContain((await one.end()).status);
    await eventually(() => expect(children.map((child) => isAlive(child))).toEqual([false, true]));
    const after = await one.post(list);
    expect(after.status).toBe(404);
    expect(await two.call(9, 'tools/list')).toHaveProperty('result');
  });

  test('DELETE ends the GET stream and the calls in progress', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const general = await session.listen();
    expect(general.status).toBe(200);
    expect(general.kind).toBe('sse');
    await session.end();
    expect(await general.ended).toEqual([]);
  });

  test.each([
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '00000000-0000-4000-8000-000000000000',
    'x'.repeat(5000),
    '../../etc/passwd',
    '%00',
    'a, b',
  ])('session id %.40s: 404 with a JSON-RPC error', async (id) => {
    const headers: [string, string][] = [
      ['Mcp-Session-Id', id],
      ['Mcp-Protocol-Version', '2025-11-25'],
    ];
    const requests = ['POST', 'GET', 'DELETE'].map((method) =>
      send(exposed.url, {
        method,
        headers: clientHeaders(exposed.token, headers),
        ...(method === 'POST' && { body: list }),
      }),
    );
    for (const reply of await Promise.all(requests)) {
      expect(reply.status).toBe(404);
      expect(reply.json()).toMatchObject({ jsonrpc: '2.0', error: { code: expect.any(Number) } });
    }
  });

  test('an id with one character changed is unknown', async () => {
    const { id } = await openSession(exposed.url, exposed.token);
    const changed = id.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    expect((await post([['Mcp-Session-Id', changed]])).status).toBe(404);
  });

  test('two session ids in one request are refused', async () => {
    const { id } = await openSession(exposed.url, exposed.token);
    const reply = await post([
      ['Mcp-Session-Id', id],
      ['Mcp-Session-Id', id],
    ]);
    expect([400, 404]).toContain(reply.status);
  });

  test('no session id: 400 with a JSON-RPC error', async () => {
    const reply = await post([['Mcp-Protocol-Version', '2025-11-25']]);
    expect(reply.status).toBe(400);
    expect(reply.json()).toMatchObject({ jsonrpc: '2.0', error: { code: expect.any(Number) } });
  });

  test.each(['GET', 'DELETE'])('no session id: 405 for %s, which modern clients do not send', async (method) => {
    const reply = await send(exposed.url, { method, headers: clientHeaders(exposed.token) });
    expect([reply.status, reply.headers.allow]).toEqual([405, 'POST']);
  });

  test.each(['2025-03-26', '2025-06-18', '2025-11-25'])('revision %s is spoken as asked', async (protocolVersion) => {
    const session = await openSession(exposed.url, exposed.token, { protocolVersion });
    expect(session.initializeResult.protocolVersion).toBe(protocolVersion);
    expect(await session.call(1, 'tools/list')).toHaveProperty('result.tools');
  });

  test.each(['1999-01-01', 'nonsense', '__proto__', '2025-11-25, 2025-11-25'])(
    'Mcp-Protocol-Version %s: 400',
    async (version) => {
      const { id } = await openSession(exposed.url, exposed.token);
      const reply = await post([
        ['Mcp-Session-Id', id],
        ['Mcp-Protocol-Version', version],
      ]);
      expect(reply.status).toBe(400);
      expect(reply.json()).toMatchObject({ jsonrpc: '2.0', error: { code: expect.any(Number) } });
    },
  );

  test('no Mcp-Protocol-Version is what 2025-03-26 sends', async () => {
    const { id } = await openSession(exposed.url, exposed.token, { protocolVersion: '2025-03-26' });
    expect((await post([['Mcp-Session-Id', id]])).status).toBe(200);
  });

  test('a second initialize in a session is refused and the session goes on', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const reply = await session.post({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '0' } },
    });
    const [answer] = await reply.ended;
    expect(answer?.error ?? reply.status).not.toBe(200);
    expect(await session.call(2, 'tools/list')).toHaveProperty('result.tools');
  });

  test('a client that hangs up in the middle of a call leaves the session in order', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const general = await session.listen();
    general.abort();
    const call = await session.post({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'echo', arguments: { text: 'x'.repeat(100) } },
    });
    call.abort();
    expect(await session.call(2, 'tools/list')).toHaveProperty('result.tools');
  });
});

test('the children of all sessions are counted: one each, at most one more kept ready', async () => {
  const exposed = await exposeBy('locally', { server: fixture('echo') });
  const sessions = await Promise.all([1, 2, 3].map(() => openSession(exposed.url, exposed.token)));
  expect(new Set(sessions.map(({ id }) => id)).size).toBe(3);
  const alive = childrenWithMark(exposed.mark).length;
  expect(alive).toBeGreaterThanOrEqual(3);
  expect(alive).toBeLessThanOrEqual(4);
});
