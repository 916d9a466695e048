import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createSession, type Session } from '../../../src/bridge/session/session.ts';
import { createFakeCall, createFakeSink, methodsOf, type FakeCall } from './fake-sink.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { agreement, failedResponse, initialize, notification, request, response } from '../messages.ts';

interface World {
  readonly session: Session;
  readonly upstream: FakeUpstream;
  readonly opening: FakeCall;
  readonly happened: string[];
  readonly warnings: string[];
}

/** A session that has been asked to open. */
function world({ hasRoom = true, accepting = true } = {}): World {
  const upstream = createFakeUpstream();
  upstream.accepting = accepting;
  const opening = createFakeCall();
  const happened: string[] = [];
  const warnings: string[] = [];
  const session = createSession({
    id: 'the-id',
    callerId: 'the-caller',
    upstream,
    isRestricted: false,
    startTimeoutMs: 5000,
    onOpen() {
      happened.push('open');
      return hasRoom;
    },
    onEnd: () => happened.push('end'),
    onWarning: (message) => warnings.push(message),
  });
  session.open(initialize, opening);
  return { session, upstream, opening, happened, warnings };
}

function openWorld(): World {
  const opened = world();
  opened.upstream.say(agreement());
  return opened;
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('opening', () => {
  test('starts the upstream and hands it initialize as it came', () => {
    const { session, upstream, happened } = world();
    expect([upstream.started, upstream.sent]).toEqual([true, [initialize.bytes.toString()]]);
    expect([session.revision, session.isBusy(), happened]).toEqual([undefined, true, []]);
  });

  test('succeeds when the server agrees, before the client hears of it', () => {
    const { session, upstream, opening, happened } = world();
    const finish = vi.spyOn(opening, 'finish').mockImplementation(() => {
      expect(happened).toEqual(['open']);
      return true;
    });
    upstream.say(agreement(0, '2025-06-18'));
    expect(finish).toHaveBeenCalledOnce();
    expect([session.revision, happened]).toEqual(['2025-06-18', ['open']]);
  });

  test('hands on what the server says before it agrees', () => {
    const { upstream, opening } = world();
    upstream.say(notification('notifications/message', { level: 'info', data: 'loading' }));
    expect(methodsOf(opening)).toEqual(['notifications/message']);
  });

  test.each([
    ['an error', failedResponse(0)],
    ['a result without a revision', response(0, {})],
    ['a revision that is no string', agreement(0, 7)],
  ])('fails when the server answers with %s: the client gets the answer, the upstream is ended', (_what, answer) => {
    const { upstream, opening, happened } = world();
    upstream.say(answer);
    expect(opening.responses).toEqual([answer]);
    expect([happened, upstream.closeCalls, opening.failures]).toEqual([['end'], 1, []]);
  });

  test('fails when the server says nothing for as long as it may', () => {
    const { upstream, opening, happened } = world();
    vi.advanceTimersByTime(4999);
    expect([opening.failures, upstream.closeCalls]).toEqual([[], 0]);
    vi.advanceTimersByTime(1);
    expect(opening.failures[0]).toEqual({
      code: -32603,
      message: 'the server did not answer initialize within 5 s',
      data: { reason: 'upstream_silent' },
    });
    expect(happened).toEqual(['end']);
    expect(upstream.closeCalls).toBeGreaterThan(0);
  });

  test('fails when the server exits, with its last words', () => {
    const { upstream, opening, happened } = world();
    upstream.die({ reason: 'the server exited with code 7', exitCode: 7, stderr: 'no database' });
    expect(opening.failures[0]).toMatchObject({
      message: 'the server exited with code 7; its last stderr output: no database',
    });
    expect(happened).toEqual(['end']);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('fails when the server takes nothing', () => {
    const { opening, happened, session } = world({ accepting: false });
    expect(opening.failures[0]).toMatchObject({ data: { reason: 'upstream_not_reading' } });
    expect([happened, session.revision, vi.getTimerCount()]).toEqual([['end'], undefined, 0]);
  });

  test('fails when others have taken the last place meanwhile', () => {
    const { session, upstream, opening, happened } = world({ hasRoom: false });
    upstream.say(agreement());
    expect(opening.failures).toEqual([
      { code: -32603, message: 'there are too many sessions', data: { reason: 'too_many_sessions' } },
    ]);
    expect([opening.responses, happened, session.revision]).toEqual([[], ['open', 'end'], undefined]);
    expect([upstream.closeCalls > 0, vi.getTimerCount()]).toEqual([true, 0]);
  });

  test('ends as soon as the client goes, and not once the server has agreed', () => {
    const [early, late] = [world(), openWorld()];
    for (const { opening } of [early, late]) opening.leave();
    expect([early.happened, early.upstream.closeCalls > 0, vi.getTimerCount()]).toEqual([['end'], true, 0]);
    expect([late.happened, late.upstream.closeCalls]).toEqual([['open'], 0]);
  });

  test('comes to nothing when the client turns out to have gone', () => {
    const { session, upstream, opening, happened } = world();
    opening.open = false;
    upstream.say(agreement());
    expect([happened, upstream.closeCalls, session.revision]).toEqual([['end'], 1, undefined]);
  });

  test('comes to nothing when the session is closed meanwhile', async () => {
    const { session, opening, happened } = world();
    await session.close();
    expect(opening.failures[0]).toMatchObject({ data: { reason: 'session_ended' } });
    expect(happened).toEqual(['end']);
  });

  test('leaves no timer behind once it has succeeded', () => {
    const { upstream } = openWorld();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(60_000);
    expect(upstream.closeCalls).toBe(0);
  });
});

describe('an open session', () => {
  test('carries requests and notifications', () => {
    const { session, upstream } = openWorld();
    const call = createFakeCall();
    session.request(request(1), call);
    session.forward(notification('notifications/initialized'));
    upstream.say(response(1));
    expect([upstream.sent.length, call.responses.length, session.isBusy()]).toEqual([3, 1, false]);
  });

  test('keeps what belongs to no call until the client listens', () => {
    const { session, upstream } = openWorld();
    upstream.say(notification('notifications/tools/list_changed'));
    upstream.say(request('ask', 'roots/list'));
    const sink = createFakeSink();
    session.listen(sink);
    expect(methodsOf(sink)).toEqual(['notifications/tools/list_changed', 'roots/list']);
  });

  test('answers an ask that can no longer be delivered, and warns', () => {
    const { upstream, warnings } = openWorld();
    upstream.say(request('ask', 'roots/list'));
    for (let number = 0; number < 1500; number++) upstream.say(notification('notifications/message', { number }));
    expect(warnings).toEqual(['a client does not listen, messages for it are dropped, the first is roots/list']);
    expect(JSON.parse(upstream.sent.at(-1) ?? '')).toMatchObject({
      id: 'ask',
      error: { data: { reason: 'client_not_listening' } },
    });
  });

  test('answers an ask for which no client listens within a minute', () => {
    const { session, upstream, warnings } = openWorld();
    upstream.say(request('early', 'roots/list'));
    const sink = createFakeSink();
    session.listen(sink);
    sink.open = false;
    upstream.say(request('late', 'roots/list'));
    upstream.say(request('withdrawn', 'roots/list'));
    upstream.say(notification('notifications/cancelled', { requestId: 'withdrawn' }));
    upstream.sent.length = 0;
    vi.advanceTimersByTime(60_000);
    expect(upstream.sent).toEqual([expect.stringMatching(/"id":"late","error":.*"reason":"client_not_listening"/)]);
    expect(warnings).toHaveLength(1);
  });

  test('leaves no ask behind when it ends', async () => {
    const { session, upstream } = openWorld();
    upstream.say(request('ask', 'roots/list'));
    expect(vi.getTimerCount()).toBe(1);
    await session.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is awaited while a client may come back for a response', () => {
    const { session, upstream } = openWorld();
    const call = createFakeCall();
    session.request(request(1), call);
    expect(session.isAwaited()).toBe(false);
    call.open = false;
    call.absent = 'long';
    expect([session.isAwaited(), session.isBusy()]).toEqual([true, false]);
    upstream.say(response(1));
    expect(session.isAwaited()).toBe(false);
  });

  test('ends with its upstream: once, with a warning, the streams are closed', () => {
    const { session, upstream, happened, warnings } = openWorld();
    const sink = createFakeSink();
    session.listen(sink);
    const call = createFakeCall();
    session.request(request(1), call);
    upstream.die({ reason: 'the server exited with code 3' });
    expect(happened).toEqual(['open', 'end']);
    expect(warnings).toEqual(['the server exited with code 3; the session that used it is over']);
    expect([sink.ends, call.failures.length]).toEqual([1, 1]);
  });

  test('when closed resolves as soon as its upstream is gone, and does not warn', async () => {
    const { session, upstream, happened, warnings } = openWorld();
    const release = upstream.holdEnd();
    let closed = false;
    const closing = session.close().then(() => (closed = true));
    await vi.advanceTimersByTimeAsync(0);
    expect([happened, closed]).toEqual([['open', 'end'], false]);
    release();
    await closing;
    await session.close();
    expect([happened, warnings]).toEqual([['open', 'end'], []]);
  });

  test('tells whoever asks that it is over, then and later', () => {
    const { session, upstream } = openWorld();
    const told: string[] = [];
    session.whenOver(() => told.push('then'));
    expect(told).toEqual([]);
    upstream.die();
    session.whenOver(() => told.push('later'));
    expect(told).toEqual(['then', 'later']);
  });
});
