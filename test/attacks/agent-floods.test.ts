// Agents that make the relay work: each is sent away, and no other agent's clients notice.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { frame, frameTypes, headerBlock, headersFrame, hostileAgent } from '../tunnel/relay/hostile-agent.ts';
import type { World } from '../tunnel/relay/world.ts';
import { ask, echo, eventually, inTurn, startWorld, within } from '../tunnel/relay/world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

const priority = 2;
const ping = 6;
const windowUpdate = 8;
const continuation = 9;
const endHeaders = 4;
/** Dynamic table size update to 0 (RFC 7541, section 6.3), which has to follow our settings. */
const noTable = Buffer.from([0x20]);
const one = Buffer.from([0, 0, 0, 1]);

/** Puts `x: aaa…` of 4,000 bytes into the table with a 103, as literal with incremental indexing (RFC 7541, section 6.2.1). */
function tableEntry(streamId: number): Buffer {
  const entry = headerBlock([['x', 'a'.repeat(4_000)]]);
  entry[0] = 0x40;
  return frame(frameTypes.headers, endHeaders, streamId, Buffer.concat([headerBlock([[':status', '103']]), entry]));
}

/** A 103 whose 15 headers are one byte each and 60,000 when they are read. */
function referringHead(streamId: number): Buffer {
  const references = Buffer.alloc(15, 0x80 | 62);
  return frame(
    frameTypes.headers,
    endHeaders,
    streamId,
    Buffer.concat([headerBlock([[':status', '103']]), references]),
  );
}

interface Flood {
  readonly what: string;
  readonly acknowledges: boolean;
  readonly reason: RegExp;
  /** Sent once. */
  readonly first?: (streamId: number) => readonly Buffer[];
  /** Sent again and again. */
  readonly frame: (streamId: number) => Buffer;
}

const floods: readonly Flood[] = [
  {
    what: 'heads that refer to a large entry of the HPACK table',
    acknowledges: false,
    reason: /settings were not acknowledged/,
    first: (id) => [tableEntry(id)],
    frame: referringHead,
  },
  {
    what: 'the same by an agent that has acknowledged that there is no table',
    acknowledges: true,
    reason: /HTTP\/2/,
    first: (id) => [tableEntry(id)],
    frame: referringHead,
  },
  {
    what: 'interim responses',
    acknowledges: true,
    reason: /too many header bytes/,
    frame: (id) =>
      frame(frameTypes.headers, endHeaders, id, Buffer.concat([noTable, headerBlock([[':status', '103']])])),
  },
  {
    what: 'interim responses of 1,500 headers of a byte each',
    acknowledges: true,
    reason: /too many header bytes/,
    frame: (id) =>
      frame(
        frameTypes.headers,
        endHeaders,
        id,
        Buffer.concat([noTable, headerBlock([[':status', '103']]), Buffer.alloc(1_500, 0x80 | 19)]),
      ),
  },
  {
    what: 'trailers for a stream that is over',
    acknowledges: true,
    reason: /too many header bytes|HTTP\/2/,
    first: (id) => [frame(frameTypes.headers, endHeaders | 1, id, Buffer.concat([noTable, Buffer.from([0x88])]))],
    frame: (id) => frame(frameTypes.headers, endHeaders | 1, id, headerBlock([['x', 'y']])),
  },
  {
    what: 'CONTINUATION without end',
    acknowledges: true,
    reason: /too many header bytes|HTTP\/2/,
    first: (id) => [frame(frameTypes.headers, 0, id, noTable)],
    frame: (id) => frame(continuation, 0, id, headerBlock([['x', 'a'.repeat(1_000)]])),
  },
  {
    what: 'PING',
    acknowledges: true,
    reason: /too many frames|HTTP\/2/,
    frame: () => frame(ping, 0, 0, Buffer.alloc(8)),
  },
  {
    what: 'SETTINGS',
    acknowledges: true,
    reason: /too many frames|HTTP\/2/,
    frame: () => frame(frameTypes.settings, 0, 0, Buffer.from([0, 4, 0, 0, 255, 255])),
  },
  {
    what: 'PRIORITY',
    acknowledges: true,
    reason: /too many frames/,
    frame: (id) => frame(priority, 0, id, Buffer.from([0, 0, 0, 0, 1])),
  },
  {
    what: 'WINDOW_UPDATE',
    acknowledges: true,
    reason: /too many frames/,
    frame: () => frame(windowUpdate, 0, 0, one),
  },
  {
    what: 'frames of a type that nobody knows',
    acknowledges: true,
    reason: /too many frames/,
    frame: () => frame(0xbe, 0, 0, one),
  },
  {
    what: 'DATA that is empty',
    acknowledges: true,
    reason: /too many frames|HTTP\/2/,
    first: (id) => [frame(frameTypes.headers, endHeaders, id, Buffer.concat([noTable, Buffer.from([0x88])]))],
    frame: (id) => frame(frameTypes.data, 0, id),
  },
  {
    what: 'DATA that is padding',
    acknowledges: true,
    reason: /too many frames/,
    first: (id) => [frame(frameTypes.headers, endHeaders, id, Buffer.concat([noTable, Buffer.from([0x88])]))],
    frame: (id) => frame(frameTypes.data, 8, id, Buffer.from([1, 0])),
  },
];

/** Early hints. */
function early(streamId: number): Buffer {
  return headersFrame(streamId, [
    [':status', '103'],
    ['link', '<x>'],
  ]);
}

/** More than any budget has. */
const floodFrames = 60_000;

describe('floods', () => {
  test.each(floods.map((flood) => [flood.what, flood] as const))(
    '%s',
    async (_what, { acknowledges, reason, first, frame: repeated }) => {
      const honest = await world.agent(echo);
      const agent = await hostileAgent(world.relay.url, () => [], { acknowledges });
      const closed = new Promise<number>((resolve) => agent.socket.once('close', resolve));
      const waiting = ask(agent.url).then(
        ({ status }) => status,
        () => 'broken off',
      );
      const [id] = await eventually(() => agent.requests.length > 0 && agent.requests, 'a request');
      for (const bytes of first?.(id ?? 1) ?? []) agent.socket.send(bytes);
      const bytes = repeated(id ?? 1);
      const perMessage = Math.max(1, Math.floor(32_000 / bytes.length));
      const message = Buffer.concat(Array.from({ length: perMessage }, () => bytes));
      const statuses = await inTurn(Array.from({ length: floodFrames / perMessage }), async () => {
        if (agent.socket.readyState !== agent.socket.OPEN) return 200;
        agent.socket.send(message);
        return (await ask(honest.url)).status;
      });
      expect(new Set(statuses)).toEqual(new Set([200]));
      expect(await within(closed, 'the agent to be sent away')).toBe(4000);
      // Where its answer had come, the client has that.
      expect([200, 502, 'broken off']).toContain(await waiting);
      const gone = await eventually(
        () => world.events.find((event) => event.type === 'agent_disconnected'),
        'the agent to be gone',
      );
      expect(gone).toMatchObject({ reason: expect.stringMatching(reason) });
      expect((await ask(honest.url)).status).toBe(200);
      // Nobody else was sent away.
      expect(world.events.filter((event) => event.type === 'agent_disconnected')).toHaveLength(1);
    },
  );
});

describe('interim responses', () => {
  test('a few are passed over', async () => {
    const agent = await hostileAgent(world.relay.url, (id) => [
      early(id),
      early(id),
      headersFrame(id, [[':status', '204']], true),
    ]);
    world.defer(() => agent.socket.terminate());
    expect((await ask(agent.url)).status).toBe(204);
  });

  test('more than 16 end the request that they answer, and no other', async () => {
    const agent = await hostileAgent(world.relay.url, (id) =>
      id === 1
        ? [...Array.from({ length: 17 }, () => early(id)), headersFrame(id, [[':status', '204']], true)]
        : [headersFrame(id, [[':status', '204']], true)],
    );
    world.defer(() => agent.socket.terminate());
    expect((await ask(agent.url)).status).toBe(502);
    expect((await ask(agent.url)).status).toBe(204);
  });
});

test('an agent that answers thousands of requests with large heads goes on', async () => {
  const agent = await world.agent((request, response) => {
    request.resume();
    response.writeHead(200, { 'x-large': 'a'.repeat(700) });
    response.end('ok');
  });
  const statuses = await inTurn(Array.from({ length: 40 }), async () => {
    const replies = await Promise.all(Array.from({ length: 50 }, async () => await ask(agent.url)));
    return replies.every(({ status }) => status === 200);
  });
  expect(statuses).not.toContain(false);
});
