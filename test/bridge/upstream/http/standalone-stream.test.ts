import { STATUS_CODES } from 'node:http';
import { describe, expect, test } from 'vitest';
import { eventually } from '../../../harness/eventually.ts';
import { createFakeClock, type FakeClock } from '../../../harness/fake-clock.ts';
import {
  afterHandshake,
  event,
  openSession,
  resultOf,
  sessionId,
  startScripted,
  type Connection,
  type ScriptedServer,
  type Visit,
} from './http-world.ts';

const isGet = ({ method }: Visit) => method === 'GET';
const hello = ': hello\n\n';
const note = (name: string, id?: string) => event({ method: `notifications/${name}` }, id);
const notHeard = 'messages of the server outside of calls are not received: ';

interface World {
  readonly server: ScriptedServer;
  readonly connection: Connection;
  readonly clock: FakeClock;
  /** The last event id of each GET. */
  readonly gets: () => (string | undefined)[];
  /** Advances the clock until `check` passes. */
  readonly later: (check: () => void) => Promise<void>;
  /** Calls are answered, before and after all timers that may be due. */
  readonly goesOn: () => Promise<void>;
}

/** A session whose server lets `answer` see the GETs, with their numbers from 1. */
async function world(
  answer: (visit: Visit, count: number) => void,
  options: Parameters<typeof afterHandshake>[1] = {},
): Promise<World> {
  let count = 0;
  const server = await startScripted(
    afterHandshake((visit) => {
      if (isGet(visit)) answer(visit, ++count);
      else visit.json(resultOf(visit.body?.id));
    }, options),
  );
  const clock = createFakeClock();
  const connection = await openSession(server.url, { clock });
  // Time that passes earlier would be over for the handshake.
  await server.visit(isGet);
  let calls = 0;
  const call = async (): Promise<void> => {
    const id = `call ${++calls}`;
    connection.send({ id, method: 'tools/call' });
    expect(await connection.answerTo(id)).toMatchObject({ result: {} });
  };
  return {
    server,
    connection,
    clock,
    gets: () =>
      server.visits
        .filter(isGet)
        .map(({ headers }) => headers['last-event-id'])
        .map((id) => (typeof id === 'string' ? Buffer.from(id, 'latin1').toString() : undefined)),
    later: (check) =>
      eventually(() => {
        clock.advance(30_000);
        check();
      }),
    async goesOn() {
      await call();
      clock.advance(60_000);
      await call();
    },
  };
}

const notesOf = ({ connection }: World) => connection.others().map(({ method }) => method);

describe('the standalone stream', () => {
  test('its messages come without an origin', async () => {
    const { server, connection } = await world(({ stream }) => stream(event({ id: 'r', method: 'roots/list' })));
    await eventually(() => expect(connection.received.at(-1)?.message).toMatchObject({ method: 'roots/list' }));
    expect(connection.received.at(-1)?.origin).toBeUndefined();
    expect((await server.visit(isGet)).headers).toMatchObject({
      accept: 'text/event-stream',
      'mcp-session-id': sessionId,
    });
  });

  test('goes on behind the last event, after the time that the server names', async () => {
    const opened = await world(({ stream }, count) => {
      if (count === 1) stream('retry: 300\n', note('a', 'e-ü')).end();
      else stream(note('b'));
    });
    const { clock, gets } = opened;
    await eventually(() => expect([notesOf(opened), clock.pending]).toEqual([['notifications/a'], 1]));
    clock.advance(299);
    expect(clock.pending).toBe(1);
    clock.advance(1);
    await eventually(() => expect(notesOf(opened)).toEqual(['notifications/a', 'notifications/b']));
    expect(gets()).toEqual([undefined, 'e-ü']);
  });

  test.each([408, 409, 425, 429, 500, 502, 503, 504, 520])('is asked for again after %i', async (status) => {
    const opened = await world((visit, count) => {
      if (count < 4) visit.status(status);
      else visit.stream(note('b'));
    });
    await opened.later(() => expect(notesOf(opened)).toHaveLength(1));
    expect([opened.gets(), opened.connection.warnings]).toEqual([Array(4).fill(undefined), []]);
  });

  test('is asked for again after a break', async () => {
    const opened = await world((visit, count) => {
      if (count < 3) visit.response.socket?.resetAndDestroy();
      else visit.stream(note('b'));
    });
    await opened.later(() => expect(notesOf(opened)).toHaveLength(1));
    expect(opened.gets()).toHaveLength(3);
  });
});

describe('a server has no standalone stream', () => {
  test.each([404, 405, 501])('when it answers %i, which is no fault', async (status) => {
    const { connection, gets, goesOn } = await world((visit) => visit.status(status));
    await goesOn();
    expect([gets(), connection.warnings, connection.ends]).toEqual([[undefined], [], []]);
  });

  test.each([400, 401, 403, 410, 415, 505, 204])('when it answers %i, which is reported once', async (status) => {
    const { connection, gets, goesOn } = await world((visit) => visit.status(status));
    await goesOn();
    expect([gets(), connection.warnings, connection.ends]).toEqual([
      [undefined],
      [`${notHeard}the server answered ${status} ${STATUS_CODES[status]}`],
      [],
    ]);
  });

  test('when it answers with something else', async () => {
    const { connection, gets, goesOn } = await world(({ json }) => json({}));
    await goesOn();
    expect([gets(), connection.warnings]).toEqual([[undefined], [`${notHeard}it answered with no event stream`]]);
  });

  test('when it compresses it all the same', async () => {
    const headers = { 'Content-Type': 'text/event-stream', 'Content-Encoding': 'gzip' };
    const { connection, goesOn } = await world(({ status }) => status(200, '', headers));
    await goesOn();
    expect(connection.warnings).toEqual([expect.stringContaining('the server compressed its answer (gzip)')]);
  });

  test('when it sends us elsewhere', async () => {
    const { connection, gets, goesOn } = await world((visit) => visit.status(302, '', { Location: '/login' }));
    await goesOn();
    expect(gets()).toEqual([undefined]);
    expect(connection.warnings).toEqual([
      expect.stringMatching(/^the server redirects to .*\/login \(302\), which is not followed/),
      `${notHeard}it redirects elsewhere (302)`,
    ]);
  });
});

describe('a stream that the server does not go on with', () => {
  test.each([400, 403, 405, 410, 422])('is opened anew, without the last event, after %i', async (status) => {
    const opened = await world(({ stream, ...visit }, count) => {
      if (count === 1) stream(note('a', 'e')).end();
      else if (count === 2) visit.status(status);
      else stream(note('b'));
    });
    await opened.later(() => expect(notesOf(opened)).toEqual(['notifications/a', 'notifications/b']));
    expect([opened.gets(), opened.connection.warnings]).toEqual([[undefined, 'e', undefined], []]);
  });

  test('is given up when it is refused then, too', async () => {
    const { connection, gets, later, goesOn } = await world(({ stream, status }, count) => {
      if (count === 1) stream(note('a', 'e')).end();
      else status(400);
    });
    await later(() => expect(connection.warnings).toEqual([`${notHeard}the server answered 400 Bad Request`]));
    await goesOn();
    expect(gets()).toEqual([undefined, 'e', undefined]);
    expect([connection.warnings.length, connection.ends]).toEqual([1, []]);
  });

  test.each([
    ['behind an event', note('a', 'e'), 'e'],
    ['from where it ended', hello, undefined],
  ])('%s, since there is none: the session is lost', async (_what, events, lastEventId) => {
    const { connection, gets, later } = await world(({ stream, status }, count) => {
      if (count === 1) stream(events).end();
      else status(404);
    });
    await later(() => expect(connection.ends).toMatchObject([{ code: 'upstream_session_lost', untaken: [] }]));
    expect([gets(), connection.warnings]).toEqual([[undefined, lastEventId], []]);
  });

  test.each([
    ['behind an event', note('a', 'e'), [undefined, 'e', undefined]],
    ['from where it ended', hello, [undefined, undefined]],
  ])('%s, where there is no session, is given up at 404', async (_what, events, lastEventIds) => {
    const { connection, gets, later, goesOn } = await world(
      ({ stream, status }, count) => {
        if (count === 1) stream(events).end();
        else status(404);
      },
      { session: false },
    );
    await later(() => expect(connection.warnings).toEqual([`${notHeard}the server answered 404 Not Found`]));
    await goesOn();
    expect([gets(), connection.ends]).toEqual([lastEventIds, []]);
  });
});
