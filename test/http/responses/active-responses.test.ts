import { EventEmitter } from 'node:events';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Session } from '../../../src/bridge/session/session.ts';
import type { HttpResponse } from '../../../src/http/message.ts';
import { ActiveResponses, type ActiveResponse } from '../../../src/http/responses/active-responses.ts';
import type { RequestReport } from '../../../src/http/responses/call-report.ts';
import { EventStream } from '../../../src/http/responses/event-stream.ts';
import { createKeepAliveTimer } from '../../../src/http/responses/keep-alive-timer.ts';
import { request } from '../../bridge/messages.ts';

const caller = { id: 'anna#1', label: 'anna', address: '192.0.2.1' };

interface Named extends ActiveResponse {
  beats: number;
}

/** Keeps nothing alive unless a test drives it. */
const still = { onBeat: () => () => {}, setMaxSilence() {}, close() {} };

function response(): Named {
  return {
    place: -1,
    beats: 0,
    keepAlive() {
      this.beats++;
    },
  };
}

function activeResponses(onRequest?: (report: RequestReport) => void): ActiveResponses {
  return new ActiveResponses({ keepAliveTimer: still, onRequest });
}

async function isDrained(active: ActiveResponses): Promise<boolean> {
  return Promise.race([active.drain().then(() => true), Promise.resolve().then(() => false)]);
}

afterEach(() => void vi.useRealTimers());

test('every order of ending leaves none', async () => {
  for (const order of ['012', '021', '102', '120', '201', '210']) {
    const active = activeResponses();
    const all = [response(), response(), response()];
    for (const one of all) active.begin(one);
    for (const [ended, at] of order.split('').entries()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      expect([order, ended, await isDrained(active)]).toEqual([order, ended, false]);
      active.end(all[Number(at)] ?? response());
    }
    // oxlint-disable-next-line no-await-in-loop -- as above
    expect(await isDrained(active)).toBe(true);
  }
});

test('a response that has ended can begin again', async () => {
  const active = activeResponses();
  const [first, second] = [response(), response()];
  active.begin(first);
  active.begin(second);
  active.end(first);
  active.begin(first);
  active.end(second);
  expect(await isDrained(active)).toBe(false);
  active.end(first);
  expect(await isDrained(active)).toBe(true);
});

test('a response ends once, whoever else says so', async () => {
  const reports: RequestReport[] = [];
  const active = activeResponses((report) => reports.push(report));
  const [ended, other] = [response(), response()];
  active.begin(ended, request(1), caller);
  active.begin(other);
  active.end(ended);
  active.end(ended);
  expect([reports.length, await isDrained(active)]).toEqual([1, false]);
});

describe('a report', () => {
  test('is made when the response to a request ends, and not before', () => {
    const reports: RequestReport[] = [];
    const active = activeResponses((report) => reports.push(report));
    const call = response();
    active.begin(call, request(1), caller);
    expect(reports).toEqual([]);
    active.end(call);
    active.end(call);
    expect(reports).toMatchObject([{ method: 'tools/call', durationMs: expect.any(Number), client: '192.0.2.1' }]);
    expect(reports).toHaveLength(1);
  });

  test('is not made for a response without a request', () => {
    const reports: RequestReport[] = [];
    const active = activeResponses((report) => reports.push(report));
    const resumed = response();
    active.begin(resumed);
    active.end(resumed);
    expect(reports).toEqual([]);
  });

  test('costs nothing when nobody reads it', () => {
    const active = activeResponses();
    const call = response();
    active.begin(call, request(1), caller);
    expect(call.reported).toBeUndefined();
    active.end(call);
  });
});

const sessionThat = (isRestricted: boolean): Session =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as much of a session as is read
  ({ isRestricted }) as Session;

test('selective reports are those without a session and of restricted ones, and every beginning counts', () => {
  const [begun, ended]: [string[], unknown[]] = [[], []];
  const active = new ActiveResponses({
    keepAliveTimer: still,
    onBegin: (label) => begun.push(label),
    onRequest: ({ method }) => ended.push(method),
    isSelective: true,
  });
  active.report(request(1, 'initialize'), caller)?.make();
  active.report(request(2, 'tools/call'), caller, sessionThat(false))?.make();
  active.report(request(3, 'prompts/get'), caller, sessionThat(true))?.make();
  active.report(request(4, 'tools/list'), caller)?.make();
  expect(ended).toEqual(['initialize', 'prompts/get', 'tools/list']);
  expect(begun).toEqual(Array.from({ length: 4 }, () => caller.label));
});

test('draining refuses new requests, and waits for those that are active', async () => {
  const active = activeResponses();
  const call = response();
  active.begin(call);
  expect(active.isDraining).toBe(false);
  const drained = active.drain();
  expect(active.isDraining).toBe(true);
  active.end(call);
  await drained;
  await active.drain();
});

test('draining does not wait for subscriptions', async () => {
  const active = activeResponses();
  const [call, subscription] = [response(), { ...response(), isSubscription: true }];
  active.begin(subscription);
  active.begin(call);
  expect(await isDrained(active)).toBe(false);
  active.end(call);
  expect(await isDrained(active)).toBe(true);
  active.end(subscription);
});

describe('a stream that answers no request', () => {
  class FakeResponse extends EventEmitter implements HttpResponse {
    readonly headersSent = true;
    readonly writableLength = 0;
    readonly written: string[] = [];
    hasEnded = false;
    setHeader(): void {}
    writeHead(): void {}
    write(chunk: Buffer | string): boolean {
      return this.written.push(chunk.toString()) > 0;
    }
    end(): void {
      this.hasEnded = true;
    }
    cork(): void {}
    uncork(): void {}
    destroy(): void {}
  }

  test('is kept alive like responses, until it closes or the endpoint does', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const keepAliveTimer = createKeepAliveTimer();
    const active = new ActiveResponses({ keepAliveTimer });
    const [call, ended] = [response(), response()];
    const [open, closed] = [new FakeResponse(), new FakeResponse()];
    active.begin(call);
    active.begin(ended);
    active.end(ended);
    for (const each of [open, closed]) active.listen(new EventStream(each));
    closed.emit('close');
    vi.advanceTimersByTime(12_000);
    expect([call.beats, ended.beats, open.written, closed.written]).toEqual([12, 0, [': keep-alive\n\n'], []]);
    active.close();
    vi.advanceTimersByTime(12_000);
    expect([call.beats, open.written.length]).toEqual([12, 1]);
    keepAliveTimer.close();
  });

  test('does not hold up draining, and is ended with the endpoint', async () => {
    const active = activeResponses();
    const listening = new FakeResponse();
    active.listen(new EventStream(listening));
    await active.drain();
    expect(listening.hasEnded).toBe(false);
    active.close();
    expect(listening.hasEnded).toBe(true);
  });
});
