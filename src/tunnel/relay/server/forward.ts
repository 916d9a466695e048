import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type ClientHttp2Stream } from 'node:http2';
import type { AgentSession } from './agent-session.ts';
import { CallIds } from './call-ids.ts';
import { relayErrorCodes, sendAnswer } from './error-responses.ts';
import { eventStreamIn, type EventStream } from './event-stream.ts';
import { maxInterimResponses } from '../protocol/limits.ts';
import { toRequestHeaders, toResponseHeaders, type PublicOrigin } from './headers.ts';

/** How long clients are told to wait before a retry, in seconds: longer than an agent's first attempts to reconnect. */
const retryAfterS = 2;

/**
 * Sends one public HTTP/1.1 request over an agent's HTTP/2 connection and streams the response back, unbuffered and with
 * back-pressure in both directions. When the client disconnects, the stream is reset at once; when a stream breaks, the public
 * socket is destroyed, so that a truncated body never looks complete. When the agent is lost, an event stream ends with an error
 * for the call.
 */
export function forward(
  request: IncomingMessage,
  response: ServerResponse,
  to: {
    readonly agent: AgentSession;
    readonly path: string;
    readonly scheme: 'http' | 'https';
    readonly origin: PublicOrigin;
    readonly clientAddress: string | undefined;
  },
): void {
  const head = toRequestHeaders({
    method: request.method ?? 'GET',
    path: to.path,
    rawHeaders: request.rawHeaders,
    scheme: to.scheme,
    clientAddress: to.clientAddress,
    sharesOrigin: to.origin.isShared,
  });
  if (!head.ok) {
    sendAnswer(response, { status: head.status, code: relayErrorCodes.badRequest, message: head.message });
    return;
  }
  const stream = to.agent.request(head.headers, !head.hasBody);
  if (stream === 'gone') {
    answerOffline(response, to.agent.name);
    return;
  }
  if (stream === 'busy') {
    const message = `the agent of ${to.agent.name} has as many open requests as it can serve`;
    sendAnswer(response, { status: 429, code: relayErrorCodes.busy, message, retryAfterS: retryAfterS });
    return;
  }
  const calls = new CallIds(request);
  sendBody(request, stream, head.hasBody);
  receiveAnswer(response, stream, { ...to, calls });
}

export function answerOffline(response: ServerResponse, name: string): void {
  const message = `the agent of ${name} is offline`;
  sendAnswer(response, { status: 503, code: relayErrorCodes.offline, message, retryAfterS: retryAfterS });
}

function sendBody(request: IncomingMessage, stream: ClientHttp2Stream, hasBody: boolean): void {
  if (!hasBody) {
    request.resume();
    return;
  }
  request.pipe(stream);
  let bytesLeft = Number(request.headers['content-length']);
  request.on('data', ({ length }: Buffer) => {
    bytesLeft -= length;
    // In the same turn as the last write, so that its frame has END_STREAM and the agent need not wait for another one.
    if (bytesLeft === 0) stream.end();
  });
  // A response may come before the whole body was read; the rest is then discarded.
  stream.once('close', () => {
    request.unpipe(stream);
    request.resume();
  });
}

function receiveAnswer(
  response: ServerResponse,
  stream: ClientHttp2Stream,
  { agent, origin, calls }: { readonly agent: AgentSession; readonly origin: PublicOrigin; readonly calls: CallIds },
): void {
  const body = watchEnd(stream);
  const lost = `the agent of ${agent.name} was lost before it answered`;
  let events: EventStream | undefined;
  let hasBegun = false;
  let interimResponses = 0;
  stream.on('headers', () => {
    interimResponses += 1;
    if (interimResponses <= maxInterimResponses || response.headersSent) return;
    failAnswer(response, `the agent of ${agent.name} gave too many interim responses`);
    agent.cancel(stream);
  });
  stream.once('response', (headers) => {
    try {
      const status = headers[':status'];
      if (!isFinalStatus(status)) throw new TypeError('not the status of an answer');
      response.statusCode = status;
      for (const [name, value] of toResponseHeaders(headers, origin)) response.setHeader(name, value);
      hasBegun = true;
      events = eventStreamIn(response);
      if (events === undefined) {
        calls.forget();
        // One system call for the headers and what comes of the body in this turn.
        setImmediate(flushHeaders, response);
      } else {
        response.flushHeaders();
        watchEvents(events, stream, agent);
      }
      stream.pipe(response, { end: false });
    } catch {
      // node:http rejects some of what nghttp2 accepts; an exception here would end the process.
      failAnswer(response, `the agent of ${agent.name} gave an answer that is not valid HTTP`);
      agent.cancel(stream);
    }
  });
  stream.once('end', () => {
    if (body.isComplete && hasBegun) response.end();
  });
  // 'close' follows and is handled; without a listener the error would end the process.
  stream.on('error', () => undefined);
  stream.once('close', () => {
    if (response.writableEnded) return;
    if (agent.hasEnded && events?.fail(calls.read(), lost) === true) return;
    if (response.headersSent || response.destroyed) response.destroy();
    else if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) answerOffline(response, agent.name);
    else failAnswer(response, lost);
  });
  response.once('close', () => {
    if (!stream.destroyed && !(response.writableFinished && stream.writableFinished)) agent.cancel(stream);
  });
}

function flushHeaders(response: ServerResponse): void {
  if (!response.headersSent && !response.destroyed) response.flushHeaders();
}

/** Follows what the client gets, and keeps its connection alive while the agent is not connected. */
function watchEvents(events: EventStream, stream: ClientHttp2Stream, agent: AgentSession): void {
  stream.on('data', (chunk: Buffer) => events.watch(chunk));
  const stop = agent.whileDetached(() => events.keepAlive());
  stream.once('close', stop);
}

/** Ends one failed request: with a 502 without any of the agent's headers, or by closing the connection if a response has begun. */
export function failAnswer(response: ServerResponse, message: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  sendAnswer(response, { status: 502, code: relayErrorCodes.agentLost, message });
}

/** RFC 9110, section 15: nghttp2 accepts any three digits. Informational statuses never arrive as the response. */
function isFinalStatus(status: unknown): status is number {
  return typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599;
}

/**
 * Tells END_STREAM from RST_STREAM(NO_ERROR): node:http2 ends the readable side after both, but END_STREAM does so while the
 * stream is still open, and a reset closes the stream first.
 */
function watchEnd(stream: ClientHttp2Stream): { readonly isComplete: boolean } {
  const state = { isComplete: false };
  const push = stream.push.bind(stream);
  stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (chunk === null && !stream.closed) state.isComplete = true;
    return push(chunk, encoding);
  };
  return state;
}
