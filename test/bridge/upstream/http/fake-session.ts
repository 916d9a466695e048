// A session that a test scripts without a server: for what would take thousands of requests, or a time that has to be exact.
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { UpstreamExchange, UpstreamFailure } from '../../../../src/bridge/upstream/http/upstream-client.ts';
import type { HttpResponse } from '../../../../src/platform/net/http-client.ts';
import type { SessionStreamContext } from '../../../../src/bridge/upstream/http/http-session.ts';

/** A response as node:http hands it over, with its whole body on hand. */
export function responseOf(headers: Readonly<Record<string, string>>, body = '', status = 200): IncomingMessage {
  const response = new IncomingMessage(new Socket());
  response.statusCode = status;
  Object.assign(response.headers, headers);
  response.complete = true;
  response.push(body);
  response.push(null);
  return response;
}

/** An event stream that the server ends after these events. */
export function streamOf(events: string): IncomingMessage {
  return responseOf({ 'content-type': 'text/event-stream' }, events);
}

/** An event stream that breaks off after these events. */
export function brokenStreamOf(events: string): IncomingMessage {
  const response = new IncomingMessage(new Socket());
  response.statusCode = 200;
  Object.assign(response.headers, { 'content-type': 'text/event-stream' });
  response.on('error', () => {});
  response.once('resume', () => setImmediate(() => response.destroy()));
  response.push(events);
  return response;
}

export function refusal(status: number): IncomingMessage {
  return responseOf({}, '', status);
}

export const unreachable: UpstreamFailure = {
  kind: 'failed',
  reason: 'connection refused',
  isUnsent: true,
  isFinal: false,
};

export interface FakeSession {
  readonly session: SessionStreamContext['session'];
  /** The last event id of each GET. */
  readonly gets: (string | undefined)[];
}

/** @param answer gets the number of the GET, from 1. */
export function fakeSession(
  answer: (count: number) => IncomingMessage | UpstreamFailure,
  id: string | null = 'session-1',
): FakeSession {
  const gets: (string | undefined)[] = [];
  const url = new URL('http://127.0.0.1:9/mcp');
  const outcomeOf = (answered: IncomingMessage | UpstreamFailure): HttpResponse | UpstreamFailure =>
    answered instanceof IncomingMessage
      ? { kind: 'response', status: answered.statusCode ?? 0, response: answered, url }
      : answered;
  return {
    gets,
    session: {
      id: id ?? undefined,
      get(lastEventId): UpstreamExchange {
        gets.push(lastEventId);
        const outcome = Promise.resolve(outcomeOf(answer(gets.length)));
        return { outcome, isUnsent: () => false, abort() {} };
      },
    },
  };
}
