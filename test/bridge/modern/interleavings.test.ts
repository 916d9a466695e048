// Any order of things: whatever clients and server do, nothing reaches a wrong client, and each call is answered once or lost.
import { describe, expect, test } from 'vitest';
import type { RequestId, RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { createRandom, type Random } from '../../harness/random.ts';
import { notification, request, response } from '../messages.ts';
import { modernWorld, type ModernClient } from './world.ts';

const logLevelKey = 'io.modelcontextprotocol/logLevel';
const subscriptionKey = 'io.modelcontextprotocol/subscriptionId';

/** All clients draw from the same few. */
const ids: readonly RequestId[] = [0, 1, 2, '0', '1', 'x'];
const tokens: readonly (RequestId | null)[] = [null, 0, 1, '1'];

interface Loose {
  id?: RequestId;
  method?: string;
  params?: { mark?: string; requestId?: RequestId; progressToken?: RequestId; _meta?: Record<string, RequestId> };
  result?: { mark?: string; _meta?: Record<string, RequestId> };
}

interface Sent {
  /** Known to the client that sent it and, through the params, to the server. */
  readonly mark: string;
  readonly token: RequestId | null;
}

interface Player {
  readonly client: ModernClient;
  readonly waiting: Map<RequestId, Sent>;
  hasLeft: boolean;
}

interface Working {
  readonly id: RequestId;
  readonly method: string;
  readonly mark: string;
  readonly token: RequestId | undefined;
  readonly wantsLogs: boolean;
  isCancelled: boolean;
}

interface Tally {
  answers: number;
  progress: number;
  updates: number;
  logs: number;
  losses: number;
}

function play(random: Random, knowsOrigin: boolean, tally: Tally): void {
  const { below, pick } = random;
  const working = new Map<RequestId, Working>();
  const world = modernWorld({
    prepare(server) {
      server.onSent = (line) => serverGot(parseJson<Loose>(line));
    },
  });
  let serial = 0;

  function serverGot({ id, method = '', params }: Loose): void {
    if (method === 'notifications/cancelled') {
      // Some servers stop, others answer all the same.
      const cancelled = working.get(params?.requestId ?? '');
      if (cancelled === undefined) return;
      cancelled.isCancelled = true;
      if (below(2) === 0) working.delete(cancelled.id);
    } else if (id !== undefined) {
      expect(working.has(id), 'an id is used twice').toBe(false);
      working.set(id, {
        id,
        method,
        mark: params?.mark ?? '',
        token: params?.['_meta']?.['progressToken'],
        wantsLogs: params?.['_meta']?.[logLevelKey] !== undefined,
        isCancelled: false,
      });
    }
  }

  function got(player: Player, message: RpcMessage): void {
    const { id, method, params, result } = parseJson<Loose>(message.bytes.toString());
    expect(player.hasLeft).toBe(false);
    const sent = [...player.waiting].find(([, { mark }]) => mark === (result?.mark ?? params?.mark));
    expect(sent, `${message.bytes.toString()} is for somebody else`).toBeDefined();
    const [sentId, { token }] = sent ?? [undefined, { token: null }];
    if (method === undefined) {
      expect(id).toBe(sentId);
      if (result?.['_meta'] !== undefined) expect(result['_meta'][subscriptionKey]).toBe(sentId);
      if (id !== undefined) player.waiting.delete(id);
      tally.answers++;
    } else if (method === 'notifications/progress') {
      expect(params?.progressToken).toBe(token);
      tally.progress++;
    } else if (method === 'notifications/tools/list_changed') {
      expect(params?.['_meta']?.[subscriptionKey]).toBe(sentId);
      tally.updates++;
    } else {
      tally.logs++;
    }
  }

  function join(): Player {
    const player: Player = { client: world.attach(), waiting: new Map(), hasLeft: false };
    player.client.onGot = (message) => got(player, message);
    return player;
  }

  const players = [join(), join(), join()];

  function call({ client, waiting }: Player): void {
    const id = pick(ids);
    if (waiting.has(id)) return;
    const mark = `m${++serial}`;
    const token = pick(tokens);
    const method = below(4) === 0 ? 'subscriptions/listen' : 'tools/call';
    waiting.set(id, { mark, token });
    const wanted = below(2) === 0 ? {} : { [logLevelKey]: 'info' };
    const watched = token === null ? {} : { progressToken: token };
    expect(client.upstream.send(request(id, method, { mark, _meta: { ...watched, ...wanted } }))).toBe(true);
  }

  function serve(): void {
    const work = pick([...working.values()]);
    const { id, method, mark, token, wantsLogs, isCancelled } = work;
    const isListen = method === 'subscriptions/listen';
    const server = world.server();
    switch (below(4)) {
      case 0:
        working.delete(id);
        server.say(response(id, { mark, ...(isListen ? { _meta: { [subscriptionKey]: id } } : {}) }));
        break;
      case 1:
        if (token !== undefined) server.say(notification('notifications/progress', { progressToken: token, mark }));
        break;
      case 2:
        if (isListen)
          server.say(notification('notifications/tools/list_changed', { mark, _meta: { [subscriptionKey]: id } }));
        break;
      default:
        if (!isListen && !isCancelled && wantsLogs)
          server.say(notification('notifications/message', { level: 'error', mark }), knowsOrigin ? id : undefined);
    }
  }

  for (let step = 0; step < 300; step++) {
    const player = pick(players);
    const { client, waiting } = player;
    switch (below(10)) {
      case 0:
      case 1:
      case 2:
        call(player);
        break;
      case 3: {
        const id = pick(ids);
        waiting.delete(id);
        client.upstream.send(notification('notifications/cancelled', { requestId: id }));
        break;
      }
      case 4:
        if (below(8) > 0) break;
        player.hasLeft = true;
        void client.upstream.close();
        players[players.indexOf(player)] = join();
        break;
      case 5:
        if (below(20) > 0 || working.size === 0) break;
        working.clear();
        world.server().die();
        for (const each of players) {
          tally.losses += each.waiting.size;
          each.waiting.clear();
        }
        break;
      default:
        world.clock.advance(below(2) === 0 ? 0 : 30_000);
        if (working.size > 0) serve();
    }
  }
  world.clock.advance(30_000);
  for (const { id, mark } of working.values()) world.server().say(response(id, { mark }));
  for (const { waiting, client } of players) {
    expect([...waiting.values()], 'answered or lost').toEqual([]);
    expect(client.ends).toEqual([]);
  }
}

describe.each([
  ['whose transport does not tell where a notification belongs', false],
  ['whose transport tells', true],
])('a server %s', (_name, knowsOrigin) => {
  test('serves everybody their own', () => {
    const tally: Tally = { answers: 0, progress: 0, updates: 0, logs: 0, losses: 0 };
    for (let seed = 1; seed <= 60; seed++) play(createRandom(seed), knowsOrigin, tally);
    for (const count of Object.values(tally)) expect(count).toBeGreaterThan(50);
  });
});
