import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Answer } from './answers.ts';
import { relayErrorCodes, sendAnswer, sendRawAnswer } from './answers.ts';

/**
 * How long an idle public connection stays, in milliseconds: longer than the 60 s that common reverse proxies reuse
 * theirs for, so that none sends a request into a connection that is being closed.
 */
const keepAliveMs = 65_000;

export interface PublicServerHandlers {
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  /** An upgrade to WebSocket. Returns false to have it refused. */
  readonly onWebSocket: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
}

/**
 * An HTTP/1.1 server for the public side, not yet listening. node:http and llhttp refuse what is ambiguous
 * (Content-Length with Transfer-Encoding, obsolete folding, bare CR or LF: RFC 9112, sections 5.2 and 6.3) and bound the
 * header block (16 KiB) and the time a request may take to arrive; a response may take as long as it likes.
 */
export function createPublicServer(handlers: PublicServerHandlers): Server {
  const server = createServer({
    keepAliveTimeout: keepAliveMs,
    // The answer to a missing Host is ours, with a body.
    requireHostHeader: false,
    insecureHTTPParser: false,
  });
  const responses = new WeakMap<Duplex, ServerResponse>();
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    responses.set(request.socket, response);
    // What is written after the client has gone fails here; without a listener it would end the process.
    response.on('error', () => undefined);
    handlers.onRequest(request, response);
  });
  server.on('checkExpectation', (_request, response: ServerResponse) => {
    const message = 'the only expectation that this relay knows is 100-continue';
    sendAnswer(response, { status: 417, code: relayErrorCodes.badRequest, message });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      ignoreUpgrade(server, request, socket, head);
    } else if (!handlers.onWebSocket(request, socket, head)) {
      const message = 'this relay forwards HTTP requests, not WebSocket connections';
      sendRawAnswer(socket, { status: 501, code: relayErrorCodes.badRequest, message });
    }
  });
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    const message = 'this relay is not a forward proxy';
    sendRawAnswer(socket, { status: 501, code: relayErrorCodes.badRequest, message });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A response that has begun cannot be followed by another one.
    const response = responses.get(socket);
    const hasBegun = response !== undefined && response.headersSent && !response.writableFinished;
    if (error.code === 'ECONNRESET' || hasBegun) socket.destroy();
    else sendRawAnswer(socket, parseAnswer(error));
  });
  return server;
}

/**
 * Goes on as if the request had no Upgrade header, which a server may always do (RFC 9110, section 7.8). Java's HTTP
 * client asks every http: server for h2c, with its first request's body on the way; refusing it would lock it out.
 */
function ignoreUpgrade(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method ?? 'GET'} ${request.url ?? '/'} HTTP/${request.httpVersion}`];
  for (let index = 0; index + 1 < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index] ?? '';
    const value = request.rawHeaders[index + 1] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'upgrade' || lower === 'http2-settings') continue;
    lines.push(lower === 'connection' ? `${name}: ${withoutUpgrade(value)}` : `${name}: ${value}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}

function withoutUpgrade(connection: string): string {
  const options = connection.split(/\s*,\s*/);
  return options.filter((option) => !/^(?:upgrade|http2-settings)$/i.test(option)).join(', ');
}

function parseAnswer(error: NodeJS.ErrnoException): Answer {
  const code = relayErrorCodes.badRequest;
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return { status: 431, code, message: 'the request header is larger than 16 KiB' };
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { status: 408, code, message: 'the request did not arrive in time' };
  }
  return { status: 400, code, message: `the request is not valid HTTP/1.1 (${error.code ?? 'unknown'})` };
}
