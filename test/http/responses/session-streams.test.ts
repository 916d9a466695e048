import { describe, expect, test } from 'vitest';
import { EventStore } from '../../../src/http/responses/event-store.ts';
import { SessionStreams } from '../../../src/http/responses/session-streams.ts';
import { notification, response } from '../../bridge/messages.ts';
import { connections } from './streams-world.ts';

const note = notification('notifications/message', { data: 'x' });

function sessionStreams(maxSessionBytes = 8_000_000): SessionStreams {
  const buffer = new EventStore({ maxSessionBytes }).openBuffer();
  return new SessionStreams({ buffer, retryMs: 1000, graceMs: 5000 });
}

describe('an event id', () => {
  test('finds its stream, and the place in it', () => {
    const streams = sessionStreams();
    const [reply, listening] = [streams.openReply(), streams.openListening()];
    reply.send(note);
    listening.send(note);
    expect(streams.resume('1-1')).toEqual({ kind: 'reply stream', stream: reply, after: 1 });
    expect(streams.resume('1-0')).toEqual({ kind: 'reply stream', stream: reply, after: 0 });
    expect(streams.resume('g2-1')).toEqual({ kind: 'listening stream', stream: listening, after: 1 });
  });

  test.each(['', '1', '1-', '-1', '1-2', '0-0', '3-0', 'g3-0', '1-1-1', ' 1-1', '1-1\n', '01-0x', '1--1', '1-1e0'])(
    '%j is none of ours',
    (id) => {
      const streams = sessionStreams();
      streams.openReply().send(note);
      streams.openListening();
      expect(streams.resume(id)).toEqual({ kind: 'unknown' });
    },
  );

  test('of one session means nothing in another', () => {
    const [first, second] = [sessionStreams(), sessionStreams()];
    first.openReply().send(note);
    expect(second.resume('1-0')).toEqual({ kind: 'unknown' });
  });
});

describe('there is nothing to come', () => {
  test('behind the last event of a stream that is finished, only before it', () => {
    const streams = sessionStreams();
    const reply = streams.openReply();
    reply.send(note);
    reply.finish(response(1).bytes, 1);
    expect(streams.resume('1-2')).toEqual({ kind: 'nothing' });
    expect(streams.resume('1-1')).toMatchObject({ kind: 'reply stream', after: 1 });
  });

  test('on a stream that nobody wants any more', () => {
    const streams = sessionStreams();
    const reply = streams.openReply();
    reply.send(note);
    reply.abandon();
    expect(streams.resume('1-0')).toEqual({ kind: 'nothing' });
  });

  test('where a finished stream had no answers and its events are dropped', () => {
    const streams = sessionStreams(2000);
    const reply = streams.openReply();
    reply.send(note);
    reply.finish();
    expect(streams.resume('1-0')).toMatchObject({ kind: 'reply stream' });
    const other = streams.openReply();
    for (let sent = 0; sent < 5; sent++) other.send(note);
    expect(streams.resume('1-0')).toEqual({ kind: 'nothing' });
  });

  test('after the session is over', () => {
    const streams = sessionStreams();
    const reply = streams.openReply();
    reply.send(note);
    streams.close();
    expect(streams.resume('1-0')).toEqual({ kind: 'nothing' });
    reply.finish(response(1).bytes, 1);
  });
});

test('an answer that was dropped is an error for whoever asks, for the last hundred streams', () => {
  const streams = sessionStreams(2000);
  for (let id = 1; id <= 102; id++) streams.openReply().finish(Buffer.alloc(2000), id);
  expect(streams.resume('1-0')).toEqual({ kind: 'nothing' });
  expect(streams.resume('2-0')).toEqual({ kind: 'nothing' });
  expect(streams.resume('3-0')).toMatchObject({ kind: 'reply stream', after: 0 });
  expect(streams.resume('102-0')).toMatchObject({ kind: 'reply stream', after: 0 });
});

test('a stream of a call that is under way is kept, though nothing that was said on it is', () => {
  const streams = sessionStreams(2000);
  const reply = streams.openReply();
  reply.send(note);
  const other = streams.openReply();
  for (let sent = 0; sent < 5; sent++) other.send(note);
  expect(reply.isKept()).toBe(false);
  expect(streams.resume('1-0')).toEqual({ kind: 'reply stream', stream: reply, after: 0 });
});

test('who listened can listen anew when nothing is left of the stream', async () => {
  const streams = sessionStreams(2000);
  const listening = streams.openListening();
  const connect = await connections('HTTP/1.1');
  const { ours, theirs, closed } = await connect();
  listening.connect(ours);
  listening.send(note);
  (await theirs).hangUp();
  await closed;
  expect(streams.resume('g1-0')).toMatchObject({ kind: 'listening stream', stream: listening });
  const other = streams.openReply();
  for (let sent = 0; sent < 5; sent++) other.send(note);
  expect(streams.resume('g1-0')).toEqual({ kind: 'listening' });
});
