// Any order of things: whatever clients and server do, nothing reaches a wrong session and all is answered once.
import { describe, expect, test } from 'vitest';
import type { RequestId, RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { createRandom, type Random } from '../../harness/random.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { notification, request, response } from '../messages.ts';
import { answered, opening, sharedWorld, written, type Client } from './world.ts';

/** The members that are looked at, of whatever kind of message. */
interface Loose {
  id?: RequestId;
  method?: string;
  params?: { mark?: string; requestId?: RequestId; progressToken?: RequestId; _meta?: { progressToken?: RequestId } };
  result?: { mark?: string };
  error?: { data?: { reason?: string } };
}

/** All clients draw from the same few. */
const ids: readonly RequestId[] = [0, 1, 2, '0', '1', 'x'];
const tokens: readonly (RequestId | null)[] = [null, 0, 1, '1'];

interface Sent {
  /** Known to the client that sent it and, through the params, to the server. */
  readonly mark: string;
  readonly token: RequestId | null;
  cancelled: boolean;
}

interface Player {
  readonly name: string;
  readonly client: Client;
  readonly waiting: Map<RequestId, Sent>;
  /** Server requests that it has not answered. */
  readonly asked: Map<RequestId, string>;
  left: boolean;
}

/** A call as the server has it; it may go on with one that was cancelled. */
interface Working {
  readonly line: string;
  readonly id: RequestId;
  readonly mark: string;
  readonly token: RequestId | undefined;
}

interface Tally {
  answers: number;
  progress: number;
  serverRequests: number;
  refusedAsks: number;
}

/** The name of the client that something marked so belongs to. */
function ownerOf(mark: string | undefined): string | undefined {
  return mark?.split(' ')[0];
}

async function play(random: Random, knowsOrigin: boolean): Promise<Tally> {
  const { below, pick } = random;
  const world = sharedWorld();
  const tally: Tally = { answers: 0, progress: 0, serverRequests: 0, refusedAsks: 0 };
  const players: Player[] = [];
  const working = new Map<RequestId, Working>();
  const openAsks = new Map<RequestId, string>();
  let serial = 0;
  let lastAsk = 0;

  function clientGot(player: Player, { id, method, params, result, error }: Loose): void {
    expect(player.left, `${player.name} has left`).toBe(false);
    if (method === undefined) {
      const sent = id === undefined ? undefined : player.waiting.get(id);
      expect(error).toBeUndefined();
      expect(result?.mark, `to ${player.name}`).toBe(sent?.mark);
      expect(sent).toBeDefined();
      if (id !== undefined) player.waiting.delete(id);
      tally.answers++;
    } else if (method === 'notifications/progress') {
      const of = [...player.waiting.values()].find(({ mark }) => mark === params?.mark);
      expect(of?.token, `to ${player.name}`).toBe(params?.progressToken);
      tally.progress++;
    } else if (id !== undefined) {
      expect(ownerOf(params?.mark), `to ${player.name}`).toBe(player.name);
      player.asked.set(id, params?.mark ?? '');
      tally.serverRequests++;
    }
  }

  function serverGot(line: string): void {
    const { id, method, params, result, error } = parseJson<Loose>(line);
    if (method === 'notifications/cancelled') {
      // Some servers stop, others do not care.
      if (params?.requestId !== undefined && below(2) === 0) working.delete(params.requestId);
    } else if (method === 'tools/call' && id !== undefined) {
      expect(working.has(id), 'an id is used twice').toBe(false);
      working.set(id, { line, id, mark: params?.mark ?? '', token: params?.['_meta']?.progressToken });
    } else if (method === undefined && id !== undefined) {
      expect(openAsks.has(id), 'an ask is answered that is not open').toBe(true);
      if (error === undefined) expect(result?.mark).toBe(openAsks.get(id));
      else tally.refusedAsks++;
      openAsks.delete(id);
    }
  }

  async function arrive(): Promise<void> {
    const player: Player = {
      name: `client-${serial++}`,
      client: world.attach(),
      waiting: new Map(),
      asked: new Map(),
      left: false,
    };
    const { client } = player;
    client.upstream.send(opening('open', { sampling: {} }));
    if (players.length === 0) {
      const { id = '' } = parseJson<Loose>(world.server().sent[0] ?? '{}');
      world.server().onSent = serverGot;
      world.server().say(response(id, { protocolVersion: '2025-11-25', capabilities: {} }));
    }
    await answered();
    expect(client.take()).toHaveLength(1);
    client.onGot = (message: RpcMessage) => clientGot(player, parseJson<Loose>(message.bytes.toString()));
    players.push(player);
  }

  function call({ name, client, waiting }: Player): void {
    const id = pick(ids);
    if (waiting.has(id)) return;
    const sent = { mark: `${name} ${serial++}`, token: pick(tokens), cancelled: false };
    waiting.set(id, sent);
    const meta = sent.token === null ? {} : { _meta: { progressToken: sent.token } };
    client.upstream.send(request(id, 'tools/call', { mark: sent.mark, ...meta }));
  }

  function cancel({ client, waiting }: Player): void {
    const requestId = pick(ids);
    const sent = waiting.get(requestId);
    client.upstream.send(notification('notifications/cancelled', { requestId }));
    if (sent !== undefined) sent.cancelled = true;
  }

  function answerAsk({ client, asked }: Player): void {
    const [first] = asked;
    if (first === undefined) return;
    asked.delete(first[0]);
    client.upstream.send(response(first[0], { mark: first[1] }));
  }

  /** Answers a server request that somebody else was asked. */
  function forge(player: Player): void {
    const open = [...openAsks.keys()].filter((id) => ownerOf(openAsks.get(id)) !== player.name);
    if (open.length > 0) player.client.upstream.send(response(pick(open), { mark: 'forged' }));
  }

  async function leave(player: Player): Promise<void> {
    player.left = true;
    await player.client.upstream.close();
  }

  function serverActs(): void {
    if (working.size === 0) return;
    const { id, mark, token } = pick([...working.values()]);
    const action = below(4);
    if (action === 0) {
      working.delete(id);
      world.server().say(response(id, { mark }));
    } else if (action === 1) {
      if (token !== undefined)
        world.server().say(notification('notifications/progress', { progressToken: token, mark }));
    } else if (action === 2) {
      const ask = `ask-${lastAsk++}`;
      openAsks.set(ask, mark);
      world.server().say(request(ask, 'sampling/createMessage', { mark }), knowsOrigin ? id : undefined);
    } else {
      world.server().say(notification('notifications/x', { mark }));
    }
  }

  /** The connection is made anew; some calls have not reached the server yet. */
  function lose(): void {
    const inFlight = players.filter(({ left }) => !left).flatMap(({ waiting }) => [...waiting.values()]);
    const marks = new Set(inFlight.filter(({ cancelled }) => !cancelled).map(({ mark }) => mark));
    for (const [id, { mark }] of working) if (!marks.has(mark) || below(2) === 0) working.delete(id);
    openAsks.clear();
    world.server().lose({ untaken: [...working.values()].map(({ line }) => written(line)) });
    for (const { name, client, waiting, asked } of players.filter(({ left }) => !left)) {
      const untaken = client.losses.pop()?.untaken ?? [];
      const own = [...working.values()].map(({ mark }) => mark).filter((mark) => ownerOf(mark) === name);
      expect(untaken.map(({ json }) => parseJson<Loose>(JSON.stringify(json)).params?.mark)).toEqual(own);
      for (const [id, { mark }] of waiting) if (!own.includes(mark)) waiting.delete(id);
      asked.clear();
    }
  }

  await arrive();
  for (let step = 0; step < 200; step++) {
    const here = players.filter(({ left }) => !left);
    const player = here.length === 0 ? undefined : pick(here);
    const action = below(15);
    /* oxlint-disable no-await-in-loop -- things happen one after the other */
    if (player === undefined || (action === 0 && here.length < 5)) await arrive();
    else if (action === 1 && below(3) === 0) await leave(player);
    else if (action === 2) cancel(player);
    else if (action === 3) answerAsk(player);
    else if (action === 4) forge(player);
    else if (action === 5) player.client.upstream.pause();
    else if (action === 6) player.client.upstream.resume();
    else if (action === 7 && below(4) === 0) lose();
    else if (action < 11) call(player);
    else serverActs();
    /* oxlint-enable no-await-in-loop */
  }

  for (const { id, mark } of working.values()) world.server().say(response(id, { mark }));
  const here = players.filter(({ left }) => !left);
  for (const { client } of here) client.upstream.resume();
  for (const player of here) while (player.asked.size > 0) answerAsk(player);
  for (const { name, waiting } of here) {
    expect(
      [...waiting.values()].filter(({ cancelled }) => !cancelled),
      `${name} waits for ever`,
    ).toEqual([]);
  }
  expect([...openAsks], 'asks without an answer').toEqual([]);
  expect(world.warnings.filter((warning) => warning.includes('not sent'))).toEqual([]);
  return tally;
}

describe('sessions with equal ids and tokens in any order', () => {
  test.each([
    ['over a transport that tells what belongs to which call', true],
    ['over one that does not', false],
  ])('%s', async (_what, knowsOrigin) => {
    const sum: Tally = { answers: 0, progress: 0, serverRequests: 0, refusedAsks: 0 };
    for (let seed = 0; seed < 150; seed++) {
      // oxlint-disable-next-line no-await-in-loop -- the seed of a failure is to be clear
      const tally = await play(createRandom(seed), knowsOrigin).catch((cause: unknown) => {
        throw new Error(`with the seed ${seed}`, { cause });
      });
      sum.answers += tally.answers;
      sum.progress += tally.progress;
      sum.serverRequests += tally.serverRequests;
      sum.refusedAsks += tally.refusedAsks;
    }
    // Otherwise little would have been tried.
    expect(sum.answers).toBeGreaterThan(1000);
    expect(sum.progress).toBeGreaterThan(200);
    expect(sum.serverRequests).toBeGreaterThan(100);
    expect(sum.refusedAsks).toBeGreaterThan(200);
  });
});
