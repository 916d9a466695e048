// What tries are made to go on with an answer, and when; streamable-http-endings.test.ts has the same with real servers.
import type { IncomingMessage } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { UpstreamFailure } from '../../../../src/bridge/upstream/http/upstream-client.ts';
import { PausableStreams } from '../../../../src/bridge/upstream/http/follow-event-stream.ts';
import { PendingResponse } from '../../../../src/bridge/upstream/http/pending-response.ts';
import { MessageDecoder } from '../../../../src/bridge/upstream/message-decoder.ts';
import { memberOf, type RpcMessage } from '../../../../src/mcp/json-rpc.ts';
import { eventually } from '../../../harness/eventually.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';
import { brokenStreamOf, fakeSession, refusal, streamOf, unreachable } from './fake-session.ts';
import { event, resultOf } from './http-world.ts';

const withId = 'id: 1\ndata:\n\n';
const note = event({ method: 'notifications/a' });

/** The answer to the request 1, which begins with `first`; `resume` answers every resumption. */
function pending(
  first: IncomingMessage,
  resume: (count: number) => IncomingMessage | UpstreamFailure,
  session: 'session' | 'no session' = 'session',
) {
  const clock = createFakeClock();
  const fake = fakeSession(resume, session === 'session' ? undefined : null);
  const messages: RpcMessage[] = [];
  const seen = { over: 0, lost: 0 };
  const answer: PendingResponse = new PendingResponse({
    id: 1,
    context: {
      session: fake.session,
      streams: new PausableStreams(),
      decoder: new MessageDecoder({ maxMessageBytes: 10_000, onWarning() {} }),
      maxMessageBytes: 10_000,
      clock,
      onSessionLost: () => seen.lost++,
    },
    onMessage(message) {
      messages.push(message);
      if (message.kind === 'response') answer.release();
    },
    onOver: () => seen.over++,
  });
  answer.read(first);
  return {
    ...fake,
    clock,
    seen,
    messages,
    /** The error that took the place of the answer. */
    error: () => messages.map(({ json }) => json['error']).find((error) => error !== undefined),
    /** The stream has ended, and its next connection is due at some time. */
    paused: () => eventually(() => expect(clock.pending).toBe(1)),
    /** Lets time pass until nothing is left of the answer. */
    async untilOver(): Promise<void> {
      for (let turns = 0; seen.over === 0; turns++) {
        if (turns > 200_000) throw new Error('it is not over');
        clock.advance(30_000);
        await turn(); // oxlint-disable-line no-await-in-loop -- streams end in turns of their own
      }
    },
  };
}

describe('the next connection', () => {
  test.each([
    ['that the server wants at once', 100, () => streamOf('id: 1\nretry: 0\ndata:\n\n')],
    ['of a server that names no time', 100, () => streamOf(withId)],
    ['after a break', 100, () => brokenStreamOf(withId)],
    ['after a break, of a server that names no time worth it', 100, () => brokenStreamOf(`retry: 1\n${withId}`)],
    ['that the server wants later', 2500, () => streamOf(`retry: 2500\n${withId}`)],
    ['that the server wants next year', 600_000, () => streamOf(`retry: 31536000000\n${withId}`)],
  ])('%s is made after %i ms', async (_what, waitMs, first) => {
    const { paused, clock, gets } = pending(first(), () => streamOf(event(resultOf(1))));
    await paused();
    clock.advance(waitMs - 1);
    expect(gets).toEqual([]);
    clock.advance(1);
    expect(gets).toEqual(['1']);
  });

  test.each([408, 409, 425, 429, 500, 502, 503, 504, 520, 599])('is made again after %i', async (status) => {
    const { untilOver, gets, messages } = pending(streamOf(withId), (count) =>
      count < 5 ? refusal(status) : streamOf(event(resultOf(1))),
    );
    await untilOver();
    expect(gets).toEqual(['1', '1', '1', '1', '1']);
    expect(messages).toMatchObject([{ kind: 'response', id: 1, failed: false }]);
  });

  test.each([
    [400, '400 Bad Request'],
    [405, '405 Method Not Allowed'],
    [410, '410 Gone'],
    [501, '501 Not Implemented'],
    [505, '505 HTTP Version Not Supported'],
  ])('is not made again after %i', async (status, words) => {
    const { untilOver, gets, error } = pending(streamOf(withId), () => refusal(status));
    await untilOver();
    expect(gets).toHaveLength(1);
    expect(error()).toEqual({
      code: -32603,
      message: `the connection broke before the server had answered, and cannot be resumed: the server answered ${words}`,
      data: { reason: 'upstream_stream_lost' },
    });
  });

  test('that is answered with 404 tells that the session is lost, where there is one', async () => {
    const inSession = pending(streamOf(withId), () => refusal(404));
    await eventually(() => {
      inSession.clock.advance(100);
      expect(inSession.seen.lost).toBe(1);
    });
    expect([inSession.messages, inSession.seen.over]).toEqual([[], 0]);
    const without = pending(streamOf(withId), () => refusal(404), 'no session');
    await without.untilOver();
    expect(without.seen.lost).toBe(0);
    expect(memberOf(without.error(), 'message')).toMatch(/cannot be resumed: the server answered 404 Not Found$/);
  });
});

describe('it is given up', () => {
  test.each([
    ['refused for now', () => refusal(503), 'the server answered 503 Service Unavailable'],
    ['not possible', () => unreachable, 'connection refused'],
    ['refused by a proxy', () => refusal(520), 'the server answered 520'],
  ])('after five connections that are %s', async (_what, answer, words) => {
    const { untilOver, gets, error } = pending(streamOf(withId), answer);
    await untilOver();
    expect(gets).toHaveLength(5);
    expect(memberOf(error(), 'message')).toBe(
      `the connection broke before the server had answered, and cannot be resumed: ${words}`,
    );
  });

  test.each([
    ['nothing', () => brokenStreamOf(': hello\n\n')],
    ['the id of an event', () => brokenStreamOf(withId)],
    ['a time to wait', () => brokenStreamOf('retry: 10\n\n')],
    ['an event of another name', () => brokenStreamOf('event: ping\ndata: {}\n\n')],
    ['nothing, and end', () => streamOf(': hello\n\n')],
  ])('after five connections that bring %s', async (_what, answer) => {
    const { untilOver, gets, error } = pending(streamOf(withId), answer);
    await untilOver();
    expect(gets).toHaveLength(5);
    expect(error()).toEqual({
      code: -32603,
      message: 'the server does not resume its answer',
      data: { reason: 'upstream_stream_lost' },
    });
  });

  test('later, when messages have come in between', async () => {
    const { untilOver, gets } = pending(streamOf(withId), (count) =>
      brokenStreamOf(count === 4 ? note : ': hello\n\n'),
    );
    await untilOver();
    // With the message the five begin anew, and the connection that follows it is none of them.
    expect(gets).toHaveLength(4 + 6);
  });

  test('after ten thousand questions of a server that wants them', async () => {
    const { untilOver, gets, error } = pending(streamOf(`retry: 1000\n${withId}`), () => streamOf(''));
    await untilOver();
    expect(gets).toHaveLength(10_000);
    expect(memberOf(error(), 'message')).toBe('the server does not resume its answer');
  });
});
