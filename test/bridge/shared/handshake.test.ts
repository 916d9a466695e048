// One handshake for all sessions that share a server.
import { describe, expect, test } from 'vitest';
import type { RequestId } from '../../../src/mcp/json-rpc.ts';
import { agreement, failedResponse, notification, response } from '../messages.ts';
import { answered, idIn, opening, sharedWorld, written } from './world.ts';

const initialized = notification('notifications/initialized');

function resultText(id: string, protocolVersion = '2025-11-25'): string {
  return `{"jsonrpc":"2.0","id":${id},"result":{"protocolVersion":"${protocolVersion}","capabilities":{"tools":{}},"serverInfo":{"name":"fake","version":"1.2.3"}}}`;
}

const initializeText = (id: string): string =>
  `{ "method":"initialize", "id":${id}, "params":{"protocolVersion":"2025-06-18","x":1.0},"jsonrpc":"2.0"}`;
const notTakenText = (id: string): string =>
  `{"jsonrpc":"2.0","id":${id},"error":{"code":-32603,"message":"the server does not read its input","data":{"reason":"upstream_not_reading"}}}`;
const failureText = (id: string): string => `{"jsonrpc":"2.0","id":${id},"error":{"code":-32601,"message":"no"}}`;

describe('the first initialize', () => {
  test('goes to the server as it came but for the id, and its result back', () => {
    const world = sharedWorld();
    const a = world.attach();
    a.upstream.send(written(initializeText('"a"')));
    const [line] = world.sent();
    const id = idIn(line);
    expect(line).toBe(initializeText(String(id)));
    world.server().say(agreement(id, 'whatever the server says'));
    expect(a.take()).toEqual([resultText('"a"', 'whatever the server says')]);
  });

  test('keeps its progress token apart from those of calls', () => {
    const world = sharedWorld();
    const a = world.attach();
    a.upstream.send(written('{"jsonrpc":"2.0","id":9,"method":"initialize","params":{"_meta":{"progressToken":2}}}'));
    expect(world.sent()).toEqual([
      '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"_meta":{"progressToken":1}}}',
    ]);
  });
});

describe('later ones', () => {
  test('get the same result at once, and the server hears nothing of them', async () => {
    const world = sharedWorld();
    await world.join();
    const b = world.attach();
    b.upstream.send(opening(5));
    expect(b.take()).toEqual([]);
    await answered();
    expect([b.take(), world.sent()]).toEqual([[resultText('5')], []]);
    world.server().say(notification('notifications/x'));
    expect(b.take()).toHaveLength(1);
  });

  test.each([
    ['2025-11-25', '2025-11-25'],
    ['2025-06-18', '2025-06-18'],
    ['2024-11-05', '2024-11-05'],
    ['2026-07-28', '2025-11-25'],
    ['2025-01-01', '2025-11-25'],
    ['', '2025-11-25'],
  ])('that want %s are given %s', async (wanted, given) => {
    const world = sharedWorld();
    await world.join();
    const b = world.attach();
    b.upstream.send(opening(5, {}, wanted));
    await answered();
    expect(b.take()).toEqual([resultText('5', given)]);
  });

  test('are given no newer revision than the server speaks', async () => {
    const world = sharedWorld();
    const [a, b] = [world.attach(), world.attach()];
    a.upstream.send(opening(1, {}, '2025-11-25'));
    world.server().say(agreement(idIn(world.sent()[0]), '2025-03-26'));
    b.upstream.send(opening(2, {}, '2025-06-18'));
    await answered();
    expect(b.take()).toEqual([resultText('2', '2025-03-26')]);
  });

  test('wait for the first while it is under way', () => {
    const world = sharedWorld();
    const [a, b, c] = [world.attach(), world.attach(), world.attach()];
    a.upstream.send(opening(1, {}, '2025-06-18'));
    b.upstream.send(opening(1, {}, '2025-03-26'));
    c.upstream.send(opening('c'));
    const lines = world.sent();
    expect(lines).toHaveLength(1);
    world.server().say(agreement(idIn(lines[0]), '2025-06-18'));
    expect([a.take(), b.take(), c.take()]).toEqual([
      [resultText('1', '2025-06-18')],
      [resultText('1', '2025-03-26')],
      [resultText('"c"', '2025-06-18')],
    ]);
  });

  test('go on when the first client leaves in the middle', async () => {
    const world = sharedWorld();
    const [a, b] = [world.attach(), world.attach()];
    a.upstream.send(opening(1));
    b.upstream.send(opening(2));
    await a.upstream.close();
    const lines = world.sent();
    expect(lines).toHaveLength(1);
    world.server().say(agreement(idIn(lines[0])));
    expect([a.take(), b.take()]).toEqual([[], [resultText('2')]]);
    b.upstream.send(initialized);
    expect(world.sent()).toEqual([initialized.bytes.toString()]);
  });
});

describe('an initialize that fails', () => {
  test.each([
    ['an error', (id: RequestId) => failedResponse(id)],
    ['a result without a revision', (id: RequestId) => response(id, { odd: true })],
    ['a revision that is no string', (id: RequestId) => agreement(id, 7)],
  ])('with %s fails for its own session, and that of the next who waits is sent', (_what, refusal) => {
    const world = sharedWorld();
    const [a, b, c] = [world.attach(), world.attach(), world.attach()];
    a.upstream.send(opening(1));
    b.upstream.send(written(initializeText('"b"')));
    c.upstream.send(opening('c'));
    world.server().say(refusal(idIn(world.sent()[0])));
    expect([a.take(), b.take(), c.take()]).toEqual([[refusal(1).bytes.toString()], [], []]);
    const lines = world.sent();
    expect(lines).toEqual([initializeText(String(idIn(lines[0])))]);
    world.server().say(agreement(idIn(lines[0])));
    expect([b.take(), c.take(), world.sent()]).toEqual([[resultText('"b"')], [resultText('"c"')], []]);
    world.server().say(notification('notifications/x'));
    expect([a, b, c].map((client) => client.take().length)).toEqual([0, 1, 1]);
  });

  test('may fail for one after the other, and the next is tried again', () => {
    const world = sharedWorld();
    const clients = [world.attach(), world.attach(), world.attach()];
    for (const [n, { upstream }] of clients.entries()) upstream.send(opening(n));
    for (const [n, client] of clients.entries()) {
      const lines = world.sent();
      expect(lines).toHaveLength(1);
      world.server().say(failedResponse(idIn(lines[0])));
      expect(client.take()).toEqual([failureText(String(n))]);
    }
    expect(world.sent()).toEqual([]);
    clients[0]?.upstream.send(opening('again'));
    world.server().say(agreement(idIn(world.sent()[0])));
    expect(clients[0]?.take()).toEqual([resultText('"again"')]);
  });

  test('leaves out those who have gone, and is no end for those who wait behind one', async () => {
    const world = sharedWorld();
    const [gone, left, b] = [world.attach(), world.attach(), world.attach()];
    gone.upstream.send(opening(1));
    left.upstream.send(opening(1));
    b.upstream.send(written(initializeText('"b"')));
    await gone.upstream.close();
    await left.upstream.close();
    world.server().say(failedResponse(idIn(world.sent()[0])));
    const lines = world.sent();
    expect(lines).toEqual([initializeText(String(idIn(lines[0])))]);
    world.server().say(agreement(idIn(lines[0])));
    expect([gone.take(), left.take(), b.take()]).toEqual([[], [], [resultText('"b"')]]);
  });

  test('lets a session that opens anew at once go before those who wait', () => {
    const world = sharedWorld();
    const [a, b] = [world.attach(), world.attach()];
    a.upstream.send(opening(1));
    b.upstream.send(opening(2));
    a.onGot = () => {
      a.onGot = () => {};
      a.upstream.send(opening(3));
    };
    const ids = world.sent().map(idIn);
    world.server().say(failedResponse(ids[0] ?? ''));
    const lines = world.sent();
    expect(lines).toHaveLength(1);
    world.server().say(failedResponse(idIn(lines[0])));
    expect([a.take(), b.take()]).toEqual([[failureText('1'), failureText('3')], []]);
    world.server().say(agreement(idIn(world.sent()[0])));
    expect(b.take()).toEqual([resultText('2')]);
  });

  test('fails those who wait when the server takes nothing more, and the next can try again', async () => {
    const world = sharedWorld();
    const [a, b, c] = [world.attach(), world.attach(), world.attach()];
    a.upstream.send(opening(1));
    b.upstream.send(opening('b'));
    c.upstream.send(opening('c'));
    world.server().accepting = false;
    world.server().say(failedResponse(idIn(world.sent()[0])));
    await answered();
    expect([a.take(), b.take(), c.take()]).toEqual([[failureText('1')], [notTakenText('"b"')], [notTakenText('"c"')]]);
    world.server().accepting = true;
    b.upstream.send(opening('again'));
    world.server().say(agreement(idIn(world.sent()[0])));
    expect([b.take(), c.take()]).toEqual([[resultText('"again"')], []]);
  });

  test('one that the server does not take can be tried again', async () => {
    const world = sharedWorld();
    const a = world.attach();
    world.server().accepting = false;
    expect(a.upstream.send(opening(1))).toBe(false);
    await answered();
    expect(a.take()).toEqual([]);
    world.server().accepting = true;
    expect(a.upstream.send(opening(2))).toBe(true);
    world.server().say(agreement(idIn(world.sent()[0])));
    expect([a.take(), world.sent()]).toEqual([[resultText('2')], []]);
  });

  test('one that was lost with the connection can be tried again', () => {
    const world = sharedWorld();
    const [a, b] = [world.attach(), world.attach()];
    a.upstream.send(opening(1));
    const id = idIn(world.sent()[0]);
    world.server().lose();
    b.upstream.send(opening(2));
    world.server().say(agreement(id));
    expect([a.take(), b.take()]).toEqual([[], []]);
    world.server().say(agreement(idIn(world.sent()[0])));
    expect([a.take(), b.take()]).toEqual([[], [resultText('2')]]);
  });
});

describe('initialized', () => {
  test('goes to the server once, whoever says it first', async () => {
    const world = sharedWorld();
    const [a, b] = [world.attach(), world.attach()];
    a.upstream.send(opening(1));
    b.upstream.send(opening(2));
    b.upstream.send(initialized);
    world.server().say(agreement(idIn(world.sent()[0])));
    b.upstream.send(initialized);
    a.upstream.send(initialized);
    b.upstream.send(initialized);
    expect(world.sent()).toEqual([initialized.bytes.toString()]);
    world.server().lose();
    a.upstream.send(initialized);
    expect(world.sent()).toEqual([]);
  });

  test('is said again when the server has not taken it', async () => {
    const world = sharedWorld();
    const a = world.attach();
    a.upstream.send(opening(1));
    world.server().say(agreement(idIn(world.sent()[0])));
    world.server().accepting = false;
    expect(a.upstream.send(initialized)).toBe(false);
    world.server().accepting = true;
    for (let times = 0; times < 2; times++) expect(a.upstream.send(initialized)).toBe(true);
    expect(world.sent()).toEqual([initialized.bytes.toString()]);
  });
});
