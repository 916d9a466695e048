import { describe, expect, test } from 'vitest';
import type { Session } from '../../../src/bridge/session/session.ts';
import { createSessions, type Sessions } from '../../../src/bridge/session/sessions.ts';
import { createPolicy } from '../../../src/policy/policy.ts';
import { createFakeClock } from '../../harness/fake-clock.ts';
import { createFakeCall, createFakeSink, type FakeCall } from './fake-sink.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { agreement, failedResponse, initialize, notification, request, response } from '../messages.ts';

interface World {
  readonly sessions: Sessions;
  readonly upstreams: FakeUpstream[];
  readonly counts: number[];
  /** Opens a session whose server agrees at once. */
  readonly opened: (callerId?: string) => { session: Session; upstream: FakeUpstream };
  readonly begin: () => { session: Session | undefined; call: FakeCall };
}

const me = { id: 'me', label: 'me' };

function world(maxSessions?: number, clock = createFakeClock()): World {
  const upstreams: FakeUpstream[] = [];
  const counts: number[] = [];
  const sessions = createSessions({
    nextUpstream() {
      const upstream = createFakeUpstream();
      upstreams.push(upstream);
      return upstream;
    },
    maxSessions,
    startTimeoutMs: 60_000,
    idleTimeoutMs: 60_000,
    clock,
    onChange: (open) => counts.push(open),
    onWarning() {},
  });
  const begin: World['begin'] = () => {
    const call = createFakeCall();
    return { session: sessions.open(me, initialize, call), call };
  };
  const opened: World['opened'] = (callerId = 'me') => {
    const session = sessions.open({ ...me, id: callerId }, initialize, createFakeCall());
    const upstream = upstreams.at(-1);
    if (session === undefined || upstream === undefined) throw new Error('no session was opened');
    upstream.say(agreement());
    return { session, upstream };
  };
  return { sessions, upstreams, counts, begin, opened };
}

describe('session ids', () => {
  test('are 128 bits of base64url, and never come twice', () => {
    const { opened } = world(500);
    const ids = Array.from({ length: 500 }, () => opened().session.id);
    expect(ids.every((id) => /^[A-Za-z0-9_-]{22}$/.test(id))).toBe(true);
    expect(new Set(ids).size).toBe(500);
    // 21 characters carry 6 bits each, the last one 2.
    expect(new Set(ids.map((id) => id[21]))).toEqual(new Set(['A', 'Q', 'g', 'w']));
    expect(new Set(ids.map((id) => id[0])).size).toBeGreaterThan(50);
  });
});

test('open sessions can be ended all at once, and those that are opening go on', () => {
  const { sessions, upstreams, counts, begin, opened } = world();
  opened();
  opened();
  const { call } = begin();
  sessions.dismiss();
  expect([sessions.count(), upstreams.map(({ closeCalls }) => closeCalls > 0)]).toEqual([0, [true, true, false]]);
  upstreams.at(-1)?.say(agreement());
  expect([call.responses.length, counts]).toEqual([1, [1, 2, 1, 0, 1]]);
});

test('what a session may do is decided by the policy that it is opened with, and by no other', async () => {
  const { sessions, upstreams, opened } = world();
  const restricted = sessions.open(
    { ...me, id: 'you' },
    initialize,
    createFakeCall(),
    createPolicy({ denyTools: ['rm'] }),
  );
  upstreams[0]?.say(agreement());
  const { session: open } = opened('me');
  const [denied, allowed] = [createFakeCall(), createFakeCall()];
  const call = request(1, 'tools/call', { name: 'rm' });
  restricted?.request(call, denied);
  open.request(call, allowed);
  await Promise.resolve();
  expect(denied.responses.map(({ json }) => json['error'])).toMatchObject([{ message: 'tool not allowed: rm' }]);
  expect(upstreams.map(({ sent }) => sent.length)).toEqual([1, 2]);
});

describe('a session is found', () => {
  test('by its id and the caller who opened it', () => {
    const { sessions, opened } = world();
    const { session } = opened();
    expect(sessions.find(session.id, 'me')).toBe(session);
  });

  test('by nobody else', () => {
    const { sessions, opened } = world();
    const { session } = opened();
    for (const foreigner of ['you', '', 'ME', 'undefined'])
      expect(sessions.find(session.id, foreigner)).toBeUndefined();
    expect(sessions.find(session.id, 'me')).toBe(session);
  });

  test('not before both sides have agreed, and not after its end', async () => {
    const { sessions, upstreams, begin } = world();
    const { session } = begin();
    const id = session?.id ?? '';
    expect(sessions.find(id, 'me')).toBeUndefined();
    upstreams[0]?.say(agreement());
    expect(sessions.find(id, 'me')).toBe(session);
    await session?.close();
    expect(sessions.find(id, 'me')).toBeUndefined();
  });

  test.each([
    '',
    '__proto__',
    'constructor',
    'toString',
    'x'.repeat(22),
    'x'.repeat(21),
    'x'.repeat(1_000_000),
    '../../etc/passwd',
    'AAAAAAAAAAAAAAAAAAAAA\n',
    'ÄAAAAAAAAAAAAAAAAAAAAA',
  ])('not by the id %.40j', (id) => {
    const { sessions, opened } = world();
    opened();
    expect(sessions.find(id, 'me')).toBeUndefined();
  });

  test('not by its id with something around it', () => {
    const { sessions, opened } = world();
    const { id } = opened().session;
    for (const wrong of [` ${id}`, `${id} `, `${id}\0`, `${id},${id}`, id.slice(0, -1)]) {
      expect(sessions.find(wrong, 'me')).toBeUndefined();
    }
  });
});

describe('when there are too many sessions', () => {
  test('the one that has been idle longest gives way', () => {
    const { sessions, opened } = world(2);
    const [first, second] = [opened(), opened()];
    sessions.find(first.session.id, 'me');
    opened();
    expect(sessions.find(second.session.id, 'me')).toBeUndefined();
    expect(second.upstream.closeCalls).toBeGreaterThan(0);
    expect(sessions.find(first.session.id, 'me')).toBe(first.session);
  });

  test('one with a call in flight does not', () => {
    const { sessions, opened } = world(2);
    const [busy, idle] = [opened(), opened()];
    busy.session.request(request(1), createFakeCall());
    opened();
    expect(sessions.find(busy.session.id, 'me')).toBe(busy.session);
    expect(sessions.find(idle.session.id, 'me')).toBeUndefined();
  });

  test('one whose client has gone does, though its call goes on', () => {
    const { sessions, opened } = world(2);
    const [abandoned, busy] = [opened(), opened()];
    const dropped = createFakeCall();
    abandoned.session.request(request(1), dropped);
    busy.session.request(request(1), createFakeCall());
    dropped.open = false;
    opened();
    expect(sessions.find(abandoned.session.id, 'me')).toBeUndefined();
    expect(sessions.find(busy.session.id, 'me')).toBe(busy.session);
  });

  test('and none is idle, there is no new one, and nothing is started for it', () => {
    const { sessions, upstreams, opened, begin } = world(2);
    for (const { session } of [opened(), opened()]) session.request(request(1), createFakeCall());
    const { session, call } = begin();
    expect([session, call.failures, upstreams.length]).toEqual([undefined, [], 2]);
    expect(sessions).toBeDefined();
  });

  test('those that are still opening count, and are not ended', () => {
    const { upstreams, begin } = world(2);
    begin();
    begin();
    expect(begin().session).toBeUndefined();
    expect(upstreams.map(({ closeCalls }) => closeCalls)).toEqual([0, 0]);
  });

  test('those that are opening need one each that gives way to them', () => {
    const { upstreams, opened, begin, counts } = world(3);
    opened().session.request(request(1), createFakeCall());
    const idle = [opened(), opened()];
    const opening = [begin(), begin(), begin()];
    expect(opening.map(({ session }) => session !== undefined)).toEqual([true, true, false]);
    for (const upstream of upstreams.slice(3)) upstream.say(agreement());
    expect(idle.map(({ upstream }) => upstream.closeCalls > 0)).toEqual([true, true]);
    expect([upstreams[0]?.closeCalls, counts.at(-1)]).toEqual([0, 3]);
  });

  test('one that is opening leaves its place to another when it fails, and when its client goes', () => {
    const { upstreams, opened, begin } = world(3);
    for (const { session } of [opened(), opened()]) session.request(request(1), createFakeCall());
    const first = begin();
    expect(begin().session).toBeUndefined();
    first.call.leave();
    expect(begin().session).toBeDefined();
    upstreams.at(-1)?.say(failedResponse(0));
    expect(begin().session).toBeDefined();
  });

  test('by the time that the server has agreed, the new one ends, and nobody else', () => {
    const { sessions, upstreams, opened, begin, counts } = world(1);
    const mine = opened();
    const { session, call } = begin();
    mine.session.request(request(1), createFakeCall());
    upstreams.at(-1)?.say(agreement());
    expect(call.failures).toMatchObject([{ data: { reason: 'too_many_sessions' } }]);
    expect(upstreams.map(({ closeCalls }) => closeCalls > 0)).toEqual([false, true]);
    expect([sessions.find(session?.id ?? '', 'me'), counts]).toEqual([undefined, [1]]);
    expect(sessions.find(mine.session.id, 'me')).toBe(mine.session);
  });

  test('a client that fails to open one costs nobody theirs', () => {
    const { sessions, upstreams, opened, begin } = world(1);
    const mine = opened();
    begin();
    upstreams.at(-1)?.say(failedResponse(0));
    expect(sessions.find(mine.session.id, 'me')).toBe(mine.session);
  });

  test('the first to give way is one that nobody listens to, the last one that may be awaited', () => {
    const { opened } = world(3);
    const [awaited, listening, quiet] = [opened(), opened(), opened()];
    const away = createFakeCall();
    awaited.session.request(request(1), away);
    away.open = false;
    away.absent = 'long';
    listening.session.listen(createFakeSink());
    const left = (): boolean[] => [awaited, listening, quiet].map(({ upstream }) => upstream.closeCalls === 0);
    const replaceOne = (): void => void opened().session.request(request(1), createFakeCall());
    replaceOne();
    expect(left()).toEqual([true, true, false]);
    replaceOne();
    expect(left()).toEqual([true, false, false]);
    replaceOne();
    expect(left()).toEqual([false, false, false]);
  });

  test('processes that do not want to end count as well', () => {
    const { upstreams, begin } = world(1);
    const opening = [0, 1, 2, 3].map(() => {
      const { session } = begin();
      void session?.close();
      return session !== undefined;
    });
    expect(opening).toEqual([true, true, false, false]);
    expect(upstreams).toHaveLength(2);
  });

  test('and all are closed, there is no new one', async () => {
    const { sessions, begin } = world(2);
    await sessions.close();
    expect(begin().session).toBeUndefined();
  });

  test('a place that became free is taken again', () => {
    const { upstreams, begin } = world(1);
    begin();
    upstreams[0]?.die();
    expect(begin().session).toBeDefined();
  });

  test('32 are enough unless told otherwise', () => {
    const { begin } = world();
    const results = Array.from({ length: 33 }, () => begin().session !== undefined);
    expect(results.filter(Boolean)).toHaveLength(32);
    expect(results.at(-1)).toBe(false);
  });
});

describe('the number of open sessions', () => {
  test('is told whenever it changes', async () => {
    const { sessions, upstreams, begin, opened, counts } = world();
    opened();
    opened();
    begin();
    expect(counts).toEqual([1, 2]);
    upstreams[0]?.die();
    expect(counts).toEqual([1, 2, 1]);
    await sessions.close();
    expect(counts).toEqual([1, 2, 1, 0]);
  });
});

describe('closing', () => {
  test('ends all sessions, those that are opening too, and waits for the last', async () => {
    const { sessions, upstreams, begin, opened } = world();
    opened();
    const { call } = begin();
    const release = upstreams[0]?.holdEnd();
    let closed = false;
    const closing = sessions.close().then(() => (closed = true));
    await Promise.resolve();
    expect(upstreams.every(({ closeCalls }) => closeCalls > 0)).toBe(true);
    expect(call.failures).toHaveLength(1);
    await new Promise(setImmediate);
    expect(closed).toBe(false);
    release?.();
    await closing;
    expect(closed).toBe(true);
  });

  test('waits also for a session that ended shortly before', async () => {
    const { sessions, upstreams, opened } = world();
    const { session } = opened();
    const release = upstreams[0]?.holdEnd();
    void session.close();
    let closed = false;
    const closing = sessions.close().then(() => (closed = true));
    await new Promise(setImmediate);
    expect(closed).toBe(false);
    release?.();
    await closing;
  });

  test('without sessions is done at once, and twice is fine', async () => {
    const { sessions } = world();
    await sessions.close();
    await sessions.close();
    expect(sessions.find('x'.repeat(22), 'me')).toBeUndefined();
  });
});

describe('an idle session', () => {
  const times = { almost: 59_000, over: 64_000 };

  test('ends after the time-out, though its client holds a stream open', () => {
    const clock = createFakeClock();
    const { sessions, opened, counts } = world(undefined, clock);
    const { session, upstream } = opened();
    const stream = createFakeSink();
    session.listen(stream);
    clock.advance(times.almost);
    expect(sessions.count()).toBe(1);
    clock.advance(times.over - times.almost);
    expect([sessions.count(), counts, stream.ends, upstream.closeCalls > 0]).toEqual([0, [1, 0], 1, true]);
  });

  test.each([
    ['the client', ({ session }: ReturnType<World['opened']>) => void session.forward(notification('notifications/x'))],
    ['the server', ({ upstream }: ReturnType<World['opened']>) => upstream.say(notification('notifications/x'))],
  ])('is none after a message of %s', (_who, speak) => {
    const clock = createFakeClock();
    const { sessions, opened } = world(undefined, clock);
    const session = opened();
    for (let minutes = 0; minutes < 5; minutes++) {
      clock.advance(50_000);
      speak(session);
    }
    expect(sessions.count()).toBe(1);
    clock.advance(times.over);
    expect(sessions.count()).toBe(0);
  });

  test('is none while somebody waits for a response', () => {
    const clock = createFakeClock();
    const { sessions, opened } = world(undefined, clock);
    const { session, upstream } = opened();
    session.request(request(1), createFakeCall());
    clock.advance(10 * times.over);
    expect(sessions.count()).toBe(1);
    upstream.say(response(1));
    clock.advance(times.over);
    expect(sessions.count()).toBe(0);
  });

  test('leaves no timer behind after the end', async () => {
    const clock = createFakeClock();
    const { sessions, opened } = world(undefined, clock);
    opened();
    await sessions.close();
    expect(clock.pending).toBe(0);
  });
});
