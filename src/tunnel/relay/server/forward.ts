import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AgentSession } from './agent-session.ts';
import { CallIds } from './call-ids.ts';
import { relayErrorCodes, sendAnswer } from './error-responses.ts';
import { eventStreamIn, type EventStream } from './event-stream.ts';
import { toRequestHeaders, toResponseHeaders, type PublicOrigin } from './headers.ts';
import { encodeHead, parseResponseHead } from '../protocol/heads.ts';
import { resetCodes, type MuxStream, type StreamReceiver } from '../protocol/mux-stream.ts';

/** How long clients are told to wait before a retry, in seconds: longer than an agent's first attempts to reconnect. */
const retryAfterS = 2;

export interface ForwardTarget {
  readonly agent: AgentSession;
  readonly path: string;
  readonly scheme: 'http' | 'https';
  readonly origin: PublicOrigin;
  readonly clientAddress: string | undefined;
}

/**
 * Sends one public HTTP/1.1 request to an agent and streams the response back, unbuffered and with back-pressure in both
 * directions. When the client disconnects, the stream is reset at once; when a stream breaks, the public socket is destroyed, so
 * that a truncated body never looks complete. When the agent is lost, an event stream ends with an error for the call.
 */
export function forward(request: IncomingMessage, response: ServerResponse, to: ForwardTarget): void {
  const head = toRequestHeaders({
    rawHeaders: request.rawHeaders,
    scheme: to.scheme,
    clientAddress: to.clientAddress,
    sharesOrigin: to.origin.isShared,
  });
  if (!head.ok) {
    sendAnswer(response, { status: head.status, code: relayErrorCodes.badRequest, message: head.message });
    return;
  }
  const bytes = encodeHead({ method: request.method ?? 'GET', path: to.path, headers: head.headers });
  if (bytes === undefined) {
    const message = 'the headers of the request are too large for the tunnel';
    sendAnswer(response, { status: 431, code: relayErrorCodes.badRequest, message });
    return;
  }
  const forwarded = new ForwardedResponse(request, response, to);
  const stream = to.agent.request(bytes, !head.hasBody, forwarded);
  if (stream === 'gone') {
    answerOffline(response, to.agent.name);
  } else if (stream === 'busy') {
    const message = `the agent of ${to.agent.name} has as many open requests as it can serve`;
    sendAnswer(response, { status: 429, code: relayErrorCodes.busy, message, retryAfterS: retryAfterS });
  } else {
    forwarded.begin(stream);
    if (head.hasBody) sendBody(request, stream);
    else request.resume();
  }
}

export function answerOffline(response: ServerResponse, name: string): void {
  const message = `the agent of ${name} is offline`;
  sendAnswer(response, { status: 503, code: relayErrorCodes.offline, message, retryAfterS: retryAfterS });
}

function sendBody(request: IncomingMessage, stream: MuxStream): void {
  let bytesLeft = Number(request.headers['content-length']);
  request.on('data', (chunk: Buffer) => {
    // A response may come before the whole body was read; the rest is then discarded.
    if (stream.isClosed) return;
    if (!stream.write(chunk)) request.pause();
    bytesLeft -= chunk.length;
    // Now, so that the end needs no frame of its own.
    if (bytesLeft === 0) stream.end();
  });
  request.once('end', () => stream.end());
}

/** The response of an agent on its way to the client. */
class ForwardedResponse implements StreamReceiver {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #agent: AgentSession;
  readonly #origin: PublicOrigin;
  readonly #calls: CallIds;
  #stream: MuxStream | undefined;
  #events: EventStream | undefined;
  #stopKeepAlive: (() => void) | undefined;
  /** Bytes that the client's connection has not taken yet. */
  #waitingBytes = 0;
  /** What is missing of a body with Content-Length. */
  #bytesLeft: number | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, { agent, origin }: ForwardTarget) {
    this.#request = request;
    this.#response = response;
    this.#agent = agent;
    this.#origin = origin;
    this.#calls = new CallIds(request);
  }

  begin(stream: MuxStream): void {
    this.#stream = stream;
    this.#response.on('drain', () => this.#consume());
    this.#response.once('close', () => {
      if (!this.#response.writableFinished) stream.reset(resetCodes.cancelled);
      this.#agent.done(this);
      this.#end();
    });
  }

  onHead(bytes: Buffer): void {
    const response = this.#response;
    try {
      this.#setHead(bytes);
    } catch {
      failAnswer(response, `the agent of ${this.#agent.name} gave an answer that is not valid HTTP`);
      this.#stream?.reset(resetCodes.failed);
      this.#request.resume();
      return;
    }
    this.#events = eventStreamIn(response);
    if (this.#events === undefined) this.#calls.forget();
    else this.#stopKeepAlive = this.#agent.whileDetached(() => this.#events?.keepAlive());
    // One system call for the headers and what has come of the body with them.
    process.nextTick(flushHeaders, response);
  }

  onData(bytes: Buffer): void {
    if (this.#bytesLeft !== undefined) {
      this.#bytesLeft -= bytes.length;
      if (this.#bytesLeft < 0) {
        // The client would take the rest for another response.
        this.#stream?.reset(resetCodes.failed);
        this.#response.destroy();
        return;
      }
    }
    this.#events?.watch(bytes);
    this.#waitingBytes += bytes.length;
    const response = this.#response;
    // A piece that waits for its client must not keep in memory the whole message that it came in.
    const isPart = bytes.length < bytes.buffer.byteLength / 2;
    if (response.write(response.writableLength > 0 && isPart ? Buffer.from(bytes) : bytes)) this.#consume();
  }

  onEnd(): void {
    if ((this.#bytesLeft ?? 0) > 0) this.#response.destroy();
    else this.#response.end();
  }

  onDrain(): void {
    this.#request.resume();
  }

  onClose(reset: number | 'lost' | undefined): void {
    this.#end();
    // The rest of the request is discarded.
    this.#request.resume();
    const response = this.#response;
    if (reset === undefined || response.writableEnded) return;
    const lost = `the agent of ${this.#agent.name} was lost before it answered`;
    if (reset === 'lost' && this.#events?.fail(this.#calls.read(), lost) === true) return;
    if (response.headersSent || response.destroyed) response.destroy();
    else if (reset === resetCodes.refused) answerOffline(response, this.#agent.name);
    else failAnswer(response, lost);
  }

  /** @throws what is not valid HTTP; node:http rejects the names and values that are not. */
  #setHead(bytes: Buffer): void {
    const response = this.#response;
    const head = parseResponseHead(bytes);
    if (head === undefined) throw new TypeError('not the head of a response');
    response.statusCode = head.status;
    for (const [name, value] of toResponseHeaders(head.headers, this.#origin)) response.setHeader(name, value);
    const length = response.getHeader('content-length');
    if (length === undefined) return;
    if (typeof length !== 'string' || !/^\d{1,15}$/.test(length)) throw new TypeError('not a length');
    // No body follows (RFC 9110, sections 9.3.2, 15.3.5 and 15.4.5); node:http sends none.
    const isBodyless = this.#request.method === 'HEAD' || head.status === 204 || head.status === 304;
    if (!isBodyless) this.#bytesLeft = Number(length);
  }

  #consume(): void {
    this.#stream?.consumed(this.#waitingBytes);
    this.#waitingBytes = 0;
  }

  #end(): void {
    this.#stopKeepAlive?.();
    this.#stopKeepAlive = undefined;
  }
}

function flushHeaders(response: ServerResponse): void {
  if (!response.headersSent && !response.destroyed) response.flushHeaders();
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
