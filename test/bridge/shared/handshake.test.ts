// One handshake for all sessions that share a server.
import { describe, expect, test } from 'vitest';
import { agreement, failedResponse, notification, response } from '../messages.ts';
import { answered, idIn, opening, sharedWorld, written } from './world.ts';

const initialized = notification('notifications/initialized');

function resultText(id: string, protocolVersion = '2025-11-25'): string {
  return `{"jsonrpc":"2.0","id":${id},"result":{"protocolVersion":"${protocolVersion}","capabilities":{"tools":{}},"serverInfo":{"name":"fake","version":"1.2.3"}}}`;
}

const initializeText = (id: string): string =>
  `{ "method":"initialize", "id":${id}, "params":{"protocolVersion":"2025-06-18","x":1.0},"jsonrpc":"2.0"}`;
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
  test('fails for all that waited, and the next one is tried', () => {
    const world = sharedWorld();
    const [a, b] = [world.attach(), world.attach()];
    a.upstream.send(opening(1));
    b.upstream.send(opening('b'));
    world.server().say(failedResponse(idIn(world.sent()[0])));
    expect([a.take(), b.take()]).toEqual([[failureText('1')], [failureText('"b"')]]);
    world.server().say(notification('notifications/x'));
    expect(a.take()).toEqual([]);
    b.upstream.send(opening(2));
    world.server().say(agreement(idIn(world.sent()[0])));
    expect(b.take()).toEqual([resultText('2')]);
  });

  test('a result without a revision is kept for nobody', async () => {
    const world = sharedWorld();
    const [a, b] = [world.attach(), world.attach()];
    a.upstream.send(opening(1));
    world.server().say(response(idIn(world.sent()[0]), { odd: true }));
    expect(a.take()).toEqual(['{"jsonrpc":"2.0","id":1,"result":{"odd":true}}']);
    b.upstream.send(opening(2));
    await answered();
    expect([b.take(), world.sent().length]).toEqual([[], 1]);
  });

  test('one that the server does not take can be tried again', () => {
    const world = sharedWorld();
    const a = world.attach();
    world.server().accepting = false;
    expect(a.upstream.send(opening(1))).toBe(false);
    world.server().accepting = true;
    expect(a.upstream.send(opening(1))).toBe(true);
    expect(world.sent()).toHaveLength(1);
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
});
