// A web server and a client in one process, over HTTP/1.1 and through our own tunnel alike.
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Readable, type Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { refuse } from '../../src/http/responses/json-response.ts';
import type { HttpRequest, HttpResponse } from '../../src/http/message.ts';
import { createHttp1Server, formatResponse } from '../../src/platform/http1/server.ts';
import { within } from '../harness/eventually.ts';
import { atEnd } from '../harness/lifetime.ts';
import { parseJson } from '../harness/parse-json.ts';
import { startTunnelWeb } from './tunnel-web.ts';

export const protocols = ['HTTP/1.1', 'the tunnel'] as const;
export type Protocol = (typeof protocols)[number];

export type Headers = Record<string, string | string[]>;

export interface Question {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Headers;
  readonly body?: string | Buffer | Readable;
}

/** An answer whose head has come. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** The body as it comes. */
  readonly stream: Readable;
  /** The whole body, when it has come. */
  body(): Promise<string>;
  json<T = unknown>(): Promise<T>;
  /** Goes away without reading on. */
  hangUp(): void;
}

export interface Web {
  readonly port: number;
  /** Sends a request and waits for the head of the answer. */
  ask(question?: Question): Promise<Answer>;
  /** Goes away in the middle of whatever was asked. */
  hangUpAll(): void;
}

export type Handler = (request: HttpRequest, response: HttpResponse) => void;

export async function startWeb(protocol: Protocol, handler: Handler): Promise<Web> {
  const web = await (protocol === 'the tunnel' ? startTunnel(handler) : startHttp1(handler));
  return {
    ...web,
    ask(question) {
      const answered = web.ask(question);
      // A test may end without an answer, or fail before it looks at it.
      answered.catch(() => {});
      return answered;
    },
  };
}

async function startHttp1(handler: Handler): Promise<Web> {
  const server = createHttp1Server({
    onRequest: handler,
    refuse,
    rawResponse: ({ status, message }) => formatResponse(status, Buffer.from(message)),
  });
  const port = await listening(server);
  atEnd('test', () => {
    server.closeAllConnections();
    server.close();
  });
  const asked = new Set<http.ClientRequest>();
  return {
    port,
    hangUpAll() {
      for (const request of asked) request.destroy();
    },
    async ask({ method = 'GET', path = '/mcp', headers = {}, body } = {}) {
      const request = http.request({ host: '127.0.0.1', port, method, path, headers, agent: false });
      asked.add(request);
      const response = new Promise<http.IncomingMessage>((resolve, reject) => {
        request.once('response', resolve);
        request.on('error', reject);
        request.once('close', () => reject(new Error('no answer came')));
      });
      request.flushHeaders();
      send(request, body);
      const message = await within(15_000, 'the head of an answer', response);
      return answer(message.statusCode ?? 0, message.headers, message, () => request.destroy());
    },
  };
}

async function startTunnel(handler: Handler): Promise<Web> {
  const tunnel = startTunnelWeb(handler);
  atEnd('test', () => tunnel.close());
  return {
    port: 80,
    hangUpAll: () => tunnel.close(),
    async ask({ method = 'GET', path = '/mcp', headers = {}, body } = {}) {
      const named: Headers = { host: '127.0.0.1', ...headers };
      // The relay writes names in lower case.
      const raw = Object.entries(named).flatMap(([name, value]) =>
        [value].flat().flatMap((each) => [name.toLowerCase(), each]),
      );
      const request = tunnel.request(method, path, raw, body !== undefined);
      if (body !== undefined) send(request.body, body);
      const {
        status,
        headers: answered,
        body: stream,
      } = await within(15_000, 'the head of an answer', request.response);
      // The relay passes on no body.
      return answer(status, answered, method === 'HEAD' ? Readable.from([]) : stream, request.cancel);
    },
  };
}

function send(target: Writable, body: Question['body']): void {
  if (body instanceof Readable) body.pipe(target);
  else target.end(body);
}

function answer(status: number, headers: Answer['headers'], stream: Readable, hangUp: () => void): Answer {
  const body = (): Promise<string> => within(15_000, 'the end of an answer', text(stream));
  stream.on('error', () => {});
  return { status, headers, stream, body, json: async <T>() => parseJson<T>(await body()), hangUp };
}

interface Listening {
  listen(port: number, host: string, callback: () => void): unknown;
  address(): AddressInfo | string | null;
}

async function listening(server: Listening): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server listens nowhere');
  return address.port;
}

/** The events of an event stream, in order, from the text of it. */
export function eventsIn(stream: string): unknown[] {
  return stream
    .split('\n\n')
    .flatMap((event) => event.split('\n').filter((line) => line.startsWith('data: ')))
    .map((line) => parseJson<unknown>(line.slice('data: '.length)));
}

/** Reads from a stream until what came holds this text. */
export function readUntil(stream: Readable, wanted: string): Promise<string> {
  let seen = '';
  const found = new Promise<string>((resolve, reject) => {
    const look = (chunk: unknown): void => {
      seen += String(chunk);
      if (!seen.includes(wanted)) return;
      stream.off('data', look);
      resolve(seen);
    };
    stream.on('data', look);
    stream.once('close', () => reject(new Error(`the stream ended without ${wanted}; it had: ${seen}`)));
  });
  return within(15_000, `${wanted} on a stream`, found);
}

/** Resolves when the connection has ended, with everything that came on it. */
export function readToEnd(socket: Socket): Promise<string> {
  let seen = '';
  socket.on('data', (chunk) => (seen += chunk.toString('latin1')));
  socket.on('error', () => {});
  const closed = new Promise<string>((resolve) => {
    socket.once('close', () => resolve(seen));
  });
  return within(15_000, 'a connection to end', closed);
}
