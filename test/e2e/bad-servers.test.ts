// My server misbehaves; the people who use it are told what happened, and mcp-expose goes on.
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { childrenWithMark, killIfAlive } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { openRequest } from '../harness/raw-http.ts';
import { openSession, type RawSession } from '../harness/raw-mcp.ts';
import { connectWith, type SdkVersion } from '../harness/sdk-clients.ts';
import { exposeBy, ways } from '../harness/ways.ts';

const tool = (session: RawSession, name: string, args: object = {}) =>
  session.call(`${name} ${Math.random()}`, 'tools/call', { name, arguments: args });

describe.each(ways)('a server that dies, %s', (way) => {
  let exposed: Exposed;
  beforeAll(async () => {
    // What happens when it is started again is told in supervision.test.ts.
    const args = ['--restart', 'never'];
    exposed = await exposeBy(way, { server: fixture('crash-on-call'), args, lifetime: 'file' });
  });

  test('the call it dies in fails at once with -32603, the exit code and its last words', async () => {
    const session = await openSession(exposed.url, exposed.token);
    await tool(session, 'echo', { text: 'warm' });
    const started = performance.now();
    const answer = await tool(session, 'crash', { code: 3 });
    const tookMs = performance.now() - started;
    expect(answer.error?.code).toBe(-32603);
    const told = JSON.stringify(answer.error);
    expect(told).toContain('about to fall over');
    expect(told).toContain('last words of the server');
    expect(told).toMatch(/\b3\b/);
    expect(tookMs).toBeLessThan(2000); // the promise is 200 ms; this machine may be busy with ten other things
  });

  test('every call in progress fails, and the GET stream ends', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const general = await session.listen();
    const waiting = await Promise.all(
      [1, 2].map((id) =>
        session.post({
          jsonrpc: '2.0',
          id,
          method: 'tools/call',
          params: { name: 'wait', arguments: {}, _meta: { progressToken: id } },
        }),
      ),
    );
    await Promise.all(waiting.map((reply) => reply.next(({ method }) => method === 'notifications/progress')));
    await tool(session, 'crash');
    for (const messages of await Promise.all(waiting.map((reply) => reply.ended))) {
      expect(messages.at(-1)).toMatchObject({ error: { code: -32603 } });
    }
    await general.ended;
  });

  test('its session is gone (404), the next initialize works', async () => {
    const session = await openSession(exposed.url, exposed.token);
    await tool(session, 'crash');
    const after = await session.post({ jsonrpc: '2.0', id: 2, method: 'tools/list' });
    expect(after.status).toBe(404);
    const next = await openSession(exposed.url, exposed.token);
    expect(textOf(await tool(next, 'echo', { text: 'back again' }))).toBe('back again');
  });

  test('the other sessions do not notice', async () => {
    const [dying, living] = await Promise.all([
      openSession(exposed.url, exposed.token),
      openSession(exposed.url, exposed.token),
    ]);
    await tool(dying, 'crash');
    expect(textOf(await tool(living, 'echo', { text: 'alive' }))).toBe('alive');
  });

  test('an exit with code 0 in the middle of a call is a failure too', async () => {
    const session = await openSession(exposed.url, exposed.token);
    expect((await tool(session, 'crash', { code: 0 })).error?.code).toBe(-32603);
  });

  test('a server killed from outside is noticed without any call', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const general = await session.listen();
    killIfAlive(Number(textOf(await tool(session, 'pid'))));
    await general.ended;
    expect((await session.post({ jsonrpc: '2.0', id: 2, method: 'ping' })).status).toBe(404);
  });

  test.each<SdkVersion>(['v1', 'v2'])('SDK client %s shows the last words to its user', async (version) => {
    const client = await connectWith[version](exposed.url, exposed.token);
    await expect(client.call('crash')).rejects.toThrow(/last words of the server/);
  });
});

test('half a line and an exit: the call fails, half a message is never passed on', async () => {
  const exposed = await startExpose({ server: fixture('half-line-then-exit') });
  const session = await openSession(exposed.url, exposed.token);
  const answer = await tool(session, 'half');
  expect(answer.error?.code).toBe(-32603);
  expect(answer.result).toBeUndefined();
});

describe('a server that writes garbage on stdout', () => {
  test('works; each line that is no JSON-RPC message is reported and skipped', async () => {
    const exposed = await startExpose({ server: fixture('garbage-on-stdout') });
    const session = await openSession(exposed.url, exposed.token);
    const general = await session.listen();
    expect(textOf(await tool(session, 'echo', { text: 'through the noise' }))).toBe('through the noise');
    await exposed.waitForStderr(/stdout/i);
    await exposed.waitForStderr(/starting up\.\.\./);
    expect(general.messages).toEqual([]);
    // oxlint-disable-next-line no-control-regex
    expect(exposed.stderr()).not.toMatch(/[\0\u0001\u001b]/);
    general.abort();
  });
});

describe('a server with huge messages', () => {
  test('24 MB in one line come through in one piece, and others are served meanwhile', async () => {
    const exposed = await startExpose({ server: fixture('huge-result') });
    const [large, small] = await Promise.all([
      openSession(exposed.url, exposed.token),
      openSession(exposed.url, exposed.token),
    ]);
    const bytes = 24 * 1024 * 1024;
    const [huge, ...others] = await Promise.all([
      tool(large, 'huge', { bytes }),
      ...[1, 2, 3].map((n) => tool(small, 'echo', { text: String(n) })),
    ]);
    const received = textOf(huge);
    expect(received.length).toBe(bytes);
    expect(/^x+$/.test(received)).toBe(true);
    expect(others.map((answer) => textOf(answer))).toEqual(['1', '2', '3']);
    expect(textOf(await tool(large, 'echo', { text: 'still fine' }))).toBe('still fine');
  });

  test('24 MB through the relay too', async () => {
    const exposed = await exposeBy('through the relay', { server: fixture('huge-result') });
    const session = await openSession(exposed.url, exposed.token);
    const bytes = 24 * 1024 * 1024;
    expect(textOf(await tool(session, 'huge', { bytes })).length).toBe(bytes);
  });
});

const hugeCall = (id: number) =>
  JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name: 'huge', arguments: { bytes: 16_000_000 } },
  });

test.each(ways)('a client that does not read its answer keeps nobody else waiting, %s', async (way) => {
  const exposed = await exposeBy(way, { server: fixture('huge-result') });
  const [greedy, other] = await Promise.all([
    openSession(exposed.url, exposed.token),
    openSession(exposed.url, exposed.token),
  ]);
  // Three answers of 16 MB arrive, and nobody takes them.
  const unread = await Promise.all(
    [1, 2, 3].map((id) => openRequest(exposed.url, { method: 'POST', headers: greedy.headers, body: hugeCall(id) })),
  );
  expect(textOf(await tool(other, 'echo', { text: 'quick' }))).toBe('quick');
  const lengths = await Promise.all(unread.map(async (response) => (await text(response)).length));
  expect(lengths.every((length) => length > 16_000_000)).toBe(true);
});

test('a server that stops reading for a while gets everything in the end, and nothing piles up on others', async () => {
  const exposed = await startExpose({ server: fixture('slow-reader') });
  const [resting, other] = await Promise.all([
    openSession(exposed.url, exposed.token),
    openSession(exposed.url, exposed.token),
  ]);
  const pid = Number(textOf(await tool(resting, 'rest')));
  const words = 'x'.repeat(2_000_000);
  const order: string[] = [];
  const measured = Promise.all(
    [1, 2, 3].map(async () => {
      const answer = textOf(await tool(resting, 'measure', { text: words }));
      order.push('resting');
      return answer;
    }),
  );
  await tool(other, 'measure', { text: words });
  order.push('other');
  process.kill(pid, 'SIGUSR2');
  expect(await measured).toEqual(['2000000', '2000000', '2000000']);
  expect(order[0]).toBe('other');
});

test('what a server writes on stderr is shown with a prefix and cannot steer the terminal', async () => {
  const exposed = await startExpose({ server: fixture('paints-on-stderr') });
  await openSession(exposed.url, exposed.token);
  await exposed.waitForStderr(/red alert/);
  const lines = exposed.stderr().split('\n');
  expect(lines.filter((line) => line.includes('red alert')).every((line) => /^\[[^\]]+\] /.test(line))).toBe(true);
  // oxlint-disable-next-line no-control-regex
  expect(exposed.stderr()).not.toMatch(/[\u0007\u001b\r]/);
});

test('stderr of a server: each line bears its name', async () => {
  const exposed = await startExpose({ server: fixture('crash-on-call') });
  const session = await openSession(exposed.url, exposed.token);
  await tool(session, 'crash');
  await exposed.waitForStderr(/^\[[^\]\n]+\] about to fall over\n\[[^\]\n]+\] last words of the server$/m);
  await eventually(() => expect(childrenWithMark(exposed.mark).length).toBeLessThanOrEqual(1));
});
