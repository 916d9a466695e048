import { createServer, IncomingMessage, STATUS_CODES, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { createRequestQueue, endConnection, isIdle, type QueueHandlers, type Refusal } from './request-queue.ts';
import { toOriginForm } from './request-target.ts';

export { endConnection, type Refusal } from './request-queue.ts';

/**
 * How long an idle connection stays, in milliseconds: longer than the 60 s that common reverse proxies reuse theirs for,
 * so that no client sends a request into a connection that is being closed.
 */
const keepAliveMs = 65_000;

/** Most headers of one request. node:http would silently drop further ones. */
const maxHeaders = 1000;

/** Whether the body of an upgrade request stays on its socket. From Node 26 on, the request gets it (nodejs/node#60016). */
const isBodyLeftOnSocket: boolean = Number.parseInt(process.versions.node, 10) < 26;

export interface Http1ServerOptions extends QueueHandlers {
  /** Accepts or rejects an upgrade to WebSocket. Without it, the request is served as an ordinary one. */
  readonly onWebSocket?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/**
 * A request that decides whether node:http may detach its connection from HTTP: not while an earlier request is pending,
 * because then the socket loses its parser, and the pending response its back-pressure. A declined upgrade and CONNECT are
 * served as ordinary requests. node:http reads the property `upgrade` after the header; `shouldUpgradeCallback` of Node 22.21
 * does not cover CONNECT, or older versions.
 */
class Http1Request extends IncomingMessage {
  declare asksForUpgrade?: true;
  declare isUpgraded?: boolean;

  get upgrade(): boolean {
    return this.asksForUpgrade === true && (this.isUpgraded ??= mayUpgrade(this));
  }

  set upgrade(asks: boolean | null) {
    if (asks === true) this.asksForUpgrade = true;
  }
}

function mayUpgrade(request: IncomingMessage): boolean {
  const { headers, method, socket } = request;
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  return method !== 'CONNECT' && isIdle(socket) && !hasTooManyHeaders(request) && (!hasBody || isBodyLeftOnSocket);
}

/**
 * An HTTP/1.1 server, not yet listening, that answers requests in order. node:http and llhttp reject ambiguous requests
 * (Content-Length with Transfer-Encoding, obsolete folding, bare CR or LF: RFC 9112 §5.2 and §6.3) and limit the header block
 * (16 KiB) and the time in which a request has to arrive; the time of a response is not limited.
 */
export function createHttp1Server({ onWebSocket, ...handlers }: Http1ServerOptions): Server {
  const queue = createRequestQueue(handlers);
  const server = createServer({
    IncomingMessage: Http1Request,
    keepAliveTimeout: keepAliveMs,
    // A missing Host is rejected later, with a reason; node:http would give none.
    requireHostHeader: false,
    insecureHTTPParser: false,
  });
  server.maxHeadersCount = maxHeaders + 1;

  function add(request: Http1Request, response: ServerResponse, refusal = refusalOf(request)): void {
    // After a declined upgrade, node:http drops bytes, so that the next data may begin in the middle of a request.
    queue.add(request, response, refusal, request.asksForUpgrade === true);
  }

  // With it node:http ends a connection after its last answer, possibly while the client is still sending.
  server.on('connection', (socket) => {
    socket.destroySoon = () => endConnection(socket);
  });
  server.on('request', (request, response) => add(request, response));
  server.on('checkExpectation', (request, response) => {
    add(request, response, { status: 417, message: 'the only expectation that is known here is 100-continue' });
  });
  server.on('upgrade', (request, socket, head) => {
    if (onWebSocket === undefined || request.headers.upgrade?.toLowerCase() !== 'websocket') {
      serveWithoutUpgrade(server, request, socket, head);
      return;
    }
    socket.on('error', () => socket.destroy());
    const refusal = refusalOf(request);
    if (refusal === undefined) onWebSocket(request, socket, head);
    else endConnection(socket, handlers.rawResponse(refusal));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET') socket.destroy();
    else queue.fail(socket, refusalFor(error.code));
  });
  return server;
}

/**
 * Ignores the Upgrade header of a request, which a server may always do (RFC 9110 §7.8). Java's HTTP client asks for h2c with
 * every request to an http: URL, and keeps its connection only this way. Nothing is pending on the connection.
 */
function serveWithoutUpgrade(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
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

/** Why a request is rejected because of its header; undefined if it is not. */
function refusalOf(request: IncomingMessage): Refusal | undefined {
  if (hasTooManyHeaders(request)) return { status: 431, message: `the request has more than ${maxHeaders} headers` };
  if (request.method === 'CONNECT') return { status: 501, message: 'this server is not a forward proxy' };
  return request.url?.startsWith('/') === true ? undefined : toOriginForm(request);
}

function hasTooManyHeaders({ rawHeaders }: IncomingMessage): boolean {
  return rawHeaders.length > 2 * maxHeaders;
}

/** Why bytes are not a valid request, by the code of the parser's error. */
function refusalFor(code: string | undefined): Refusal {
  if (code === 'HPE_HEADER_OVERFLOW') return { status: 431, message: 'the header of the request is too large' };
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return { status: 408, message: 'the request took too long to arrive' };
  return { status: 400, message: 'the request is not valid HTTP/1.1' };
}

/** A whole response with a JSON body, as bytes, for a connection that ends with it. */
export function formatResponse(
  status: number,
  body: Buffer,
  headers: Iterable<readonly [string, string]> = [],
): Buffer {
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Cache-Control: no-store',
    'Connection: close',
    ...[...headers].map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
}
