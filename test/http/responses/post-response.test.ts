import { describe, expect, test } from 'vitest';
import { createDeferred } from '../../../src/platform/deferred.ts';
import type { HttpResponse } from '../../../src/http/message.ts';
import { ActiveResponses } from '../../../src/http/responses/active-responses.ts';
import { commentBeats, openingBeats } from '../../../src/http/responses/keep-alive-timer.ts';
import { PostResponse, type PostResponseOptions } from '../../../src/http/responses/post-response.ts';
import type { AnswerForm } from '../../../src/mcp/headers.ts';
import { notification, request, response } from '../../bridge/messages.ts';
import { within } from '../../harness/eventually.ts';
import { eventsIn, protocols, readUntil, startWeb, type Answer, type Protocol } from '../web.ts';

interface Exchange {
  readonly ours: PostResponse;
  readonly response: HttpResponse;
  /** The client's side, once the head of the answer has come. */
  readonly theirs: Promise<Answer>;
  /** How often the response was reported as done. */
  readonly done: () => number;
  readonly closed: Promise<void>;
}

async function replyExchange(
  protocol: Protocol,
  headersAt?: PostResponseOptions['headersAt'],
  form: AnswerForm = 'either',
): Promise<Exchange> {
  let done = 0;
  const keepAliveTimer = { onBeat: () => () => {}, setMaxSilence() {}, close() {} };
  const active = new ActiveResponses({ keepAliveTimer, onRequest: () => done++ });
  const begun = createDeferred<Omit<Exchange, 'theirs'>>();
  const web = await startWeb(protocol, (_request, served) => {
    served.on('error', () => {});
    const closed = new Promise<void>((resolve) => {
      served.once('close', () => resolve());
    });
    const ours = new PostResponse({ response: served, id: 7, form, onDone: active.end, headersAt });
    active.begin(ours, request(7), { id: 'anna#1', label: 'anna' });
    begun.resolve({ ours, response: served, done: () => done, closed });
  });
  const theirs = web.ask();
  return { ...(await within(15_000, 'the request', begun.promise)), theirs };
}

/** So many beats of the keep-alive timer. */
function beat(reply: PostResponse, beats: number): void {
  for (let at = 0; at < beats; at++) reply.keepAlive();
}

const note = notification('notifications/progress', { progressToken: 1, progress: 1 });
const answer = response(7, { content: [] });
const large = notification('notifications/message', { filling: 'x'.repeat(64 * 1024) });

describe.each(protocols)('a reply over %s', (protocol) => {
  test('that was discarded leaves the answer to others, and says nothing ever', async () => {
    const { ours, response: served, theirs, done } = await replyExchange(protocol);
    ours.discard();
    served.writeHead(400, {});
    for (let look = 0; look < 3; look++) ours.keepAlive();
    ours.send(note);
    ours.fail({ code: -32603, message: 'late' });
    served.end('refused');
    const { status, body } = await theirs;
    expect([status, await body(), done(), ours.isOpen()]).toEqual([400, 'refused', 1, false]);
  });

  test('tells when its client goes before it is over, and not when it is over', async () => {
    const first = await replyExchange(protocol);
    let gone = 0;
    first.ours.whenGone(() => gone++);
    first.ours.finish(answer);
    await (await first.theirs).body();
    await within(15_000, 'the end', first.closed);
    expect(gone).toBe(0);
    const second = await replyExchange(protocol);
    second.ours.whenGone(() => gone++);
    second.ours.send(note);
    (await second.theirs).stream.destroy();
    await within(15_000, 'the end', second.closed);
    expect(gone).toBe(1);
  });

  test('whose client takes nothing for six looks is cut off', async () => {
    const { ours, theirs, closed } = await replyExchange(protocol);
    // More than any buffer on the way holds, and nobody reads.
    for (let sent = 0; sent < 400; sent++) ours.send(large);
    (await theirs).stream.on('error', () => {});
    let looks = 0;
    while (ours.isOpen() && looks++ < 10_000) {
      ours.keepAlive();
      // oxlint-disable-next-line no-await-in-loop -- what can be sent is sent between the looks
      await new Promise(setImmediate);
    }
    expect(looks).toBeGreaterThan(5);
    await within(15_000, 'the end', closed);
    expect(ours.isOpen()).toBe(false);
  });

  test('is JSON, byte for byte, when the response is all there is to say', async () => {
    const { ours, theirs, done } = await replyExchange(protocol, (begin) => ({ 'mcp-session-id': `the-id ${begin}` }));
    expect(ours.finish(answer)).toBe(true);
    const { status, headers, body } = await theirs;
    expect([status, headers['content-type'], headers['mcp-session-id']]).toEqual([
      200,
      'application/json',
      'the-id final',
    ]);
    expect(headers['content-length']).toBe(String(answer.bytes.length));
    expect(await body()).toBe(answer.bytes.toString());
    expect([done(), ours.isOpen()]).toEqual([1, false]);
  });

  test('is an event stream as soon as something comes before the response', async () => {
    const { ours, theirs, done } = await replyExchange(protocol, (begin) => ({ 'mcp-session-id': `the-id ${begin}` }));
    ours.send(note);
    const { status, headers, stream, body } = await theirs;
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'mcp-session-id': 'the-id early',
    });
    expect([status, done(), ours.isOpen()]).toEqual([200, 0, true]);
    await new Promise((resolve) => {
      stream.once('readable', resolve);
    });
    ours.send(request('ask', 'roots/list'));
    ours.finish(answer);
    expect(eventsIn(await body())).toEqual([
      note.json,
      { jsonrpc: '2.0', id: 'ask', method: 'roots/list', params: {} },
      answer.json,
    ]);
    expect(done()).toBe(1);
  });

  test('that fails is an error with the id of the request', async () => {
    const { ours, theirs } = await replyExchange(protocol);
    ours.fail({ code: -32603, message: 'gone', data: { reason: 'x' } });
    const { status, json } = await theirs;
    expect(status).toBe(200);
    expect(await json()).toEqual({
      jsonrpc: '2.0',
      id: 7,
      error: { code: -32603, message: 'gone', data: { reason: 'x' } },
    });
  });

  test('that fails in the middle of a stream ends the stream with the error', async () => {
    const { ours, theirs } = await replyExchange(protocol);
    ours.send(note);
    ours.fail({ code: -32603, message: 'gone' });
    expect(eventsIn(await (await theirs).body())).toMatchObject([note.json, { id: 7, error: { message: 'gone' } }]);
  });

  test('that is cancelled ends without a message', async () => {
    const { ours, theirs, done } = await replyExchange(protocol);
    ours.end();
    const { status, headers, body } = await theirs;
    expect([status, headers['content-type'], await body()]).toEqual([200, 'text/event-stream', '']);
    expect(done()).toBe(1);
  });

  test('that is cancelled in the middle of a stream ends the stream', async () => {
    const { ours, theirs } = await replyExchange(protocol);
    ours.send(note);
    ours.end();
    expect(eventsIn(await (await theirs).body())).toEqual([note.json]);
  });

  test('has one end: the first', async () => {
    const { ours, theirs, done, closed } = await replyExchange(protocol);
    ours.finish(answer);
    ours.fail({ code: 1, message: 'too late' });
    expect(ours.finish(response(7, { second: true }))).toBe(true);
    expect(ours.send(note)).toBe(true);
    ours.end();
    ours.keepAlive();
    expect(await (await theirs).json()).toEqual(answer.json);
    await closed;
    expect(done()).toBe(1);
  });

  test('becomes a stream after some beats of silence, and is kept alive from then on', async () => {
    const { ours, theirs } = await replyExchange(protocol, (begin) => ({ 'mcp-session-id': `the-id ${begin}` }));
    beat(ours, openingBeats);
    const { headers, stream } = await theirs;
    expect(headers).toMatchObject({ 'content-type': 'text/event-stream', 'mcp-session-id': 'the-id early' });
    await readUntil(stream, ': listening\n\n');
    beat(ours, commentBeats);
    await readUntil(stream, ': keep-alive\n\n');
    ours.finish(answer);
    await readUntil(stream, answer.bytes.toString());
  });

  test('that is ready sooner is JSON', async () => {
    const { ours, theirs } = await replyExchange(protocol);
    beat(ours, openingBeats - 1);
    ours.finish(answer);
    expect((await theirs).headers['content-type']).toBe('application/json');
  });

  test('that has just said something needs no keep-alive', async () => {
    const { ours, theirs } = await replyExchange(protocol);
    ours.send(note);
    beat(ours, commentBeats - 1);
    ours.send(note);
    beat(ours, commentBeats - 1);
    ours.finish(answer);
    expect(await (await theirs).body()).not.toContain('keep-alive');
  });

  test('to a client that takes JSON alone is JSON, whatever came before and however long it took', async () => {
    const { ours, theirs, done } = await replyExchange(protocol, (begin) => ({ 'mcp-session-id': begin }), 'json');
    expect([ours.isResponseOnly, ours.send(note)]).toEqual([true, true]);
    beat(ours, 10 * commentBeats);
    expect(ours.isOpen()).toBe(true);
    ours.finish(answer);
    const { headers, body } = await theirs;
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'mcp-session-id': 'final' });
    expect([await body(), done()]).toEqual([answer.bytes.toString(), 1]);
  });

  test('to a client that takes JSON alone has no body when it is cancelled', async () => {
    const { ours, theirs } = await replyExchange(protocol, undefined, 'json');
    ours.end();
    const { status, body } = await theirs;
    expect([status, await body()]).toEqual([202, '']);
  });

  test('to a client that takes event streams alone is one, however soon it comes', async () => {
    const { ours, theirs, done } = await replyExchange(protocol, (begin) => ({ 'mcp-session-id': begin }), 'stream');
    ours.finish(answer);
    const { headers, body } = await theirs;
    expect(headers).toMatchObject({ 'content-type': 'text/event-stream', 'mcp-session-id': 'final' });
    expect([eventsIn(await body()), done()]).toEqual([[answer.json], 1]);
    const failed = await replyExchange(protocol, undefined, 'stream');
    failed.ours.fail({ code: -32603, message: 'gone' });
    expect(eventsIn(await (await failed.theirs).body())).toMatchObject([{ id: 7, error: { message: 'gone' } }]);
  });

  test('to a client that has gone is over, and everything that comes later is harmless', async () => {
    const { ours, theirs, done, closed } = await replyExchange(protocol);
    ours.send(note);
    (await theirs).hangUp();
    await within(15_000, 'the end of the response', closed);
    expect([ours.isOpen(), done()]).toEqual([false, 1]);
    expect([ours.send(note), ours.finish(answer)]).toEqual([true, true]);
    ours.fail({ code: 1, message: 'x' });
    ours.end();
    ours.keepAlive();
    expect(done()).toBe(1);
  });

  test('tells when its client does not read, and when it reads again', async () => {
    const { ours, theirs } = await replyExchange(protocol);
    let sent = 0;
    while (ours.send(large) && sent < 10_000) sent++;
    expect(sent).toBeLessThan(10_000);
    const writable = new Promise<void>((resolve) => ours.whenWritable(resolve));
    const { stream } = await theirs;
    stream.resume();
    await within(15_000, 'the client to be writable', writable);
    ours.end();
  });

  test('to a slow client that goes away lets go on who waits for it', async () => {
    const { ours, theirs, closed } = await replyExchange(protocol);
    while (ours.send(large));
    const writable = new Promise<void>((resolve) => ours.whenWritable(resolve));
    (await theirs).hangUp();
    await within(15_000, 'the wait to end', Promise.all([writable, closed]));
    expect(ours.isOpen()).toBe(false);
  });

  test('to a client that has gone already makes nobody wait', async () => {
    const { ours, theirs, closed } = await replyExchange(protocol);
    ours.send(note);
    (await theirs).hangUp();
    await within(15_000, 'the end of the response', closed);
    let called = 0;
    ours.whenWritable(() => called++);
    expect(called).toBe(1);
  });

  test('calls back once, though the client reads and then goes', async () => {
    const { ours, theirs, closed } = await replyExchange(protocol);
    while (ours.send(large));
    let called = 0;
    const writable = new Promise<void>((resolve) =>
      ours.whenWritable(() => {
        called++;
        resolve();
      }),
    );
    const { stream, hangUp } = await theirs;
    stream.resume();
    await within(15_000, 'the client to be writable', writable);
    hangUp();
    await within(15_000, 'the end of the response', closed);
    expect(called).toBe(1);
  });
});
