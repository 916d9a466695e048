// What a handler does has the same effect through the tunnel as with node:http, and it is told the same.
import { createHash } from 'node:crypto';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { TunnelRequest } from '../../../../src/tunnel/relay/agent/tunnel-request.ts';
import type { TunnelResponse } from '../../../../src/tunnel/relay/agent/tunnel-response.ts';
import { parseResponseHead } from '../../../../src/tunnel/relay/protocol/heads.ts';
import { eventually, portOf } from '../world.ts';
import { servedPair } from './served-pair.ts';

type Handler = (request: IncomingMessage | TunnelRequest, response: ServerResponse | TunnelResponse) => void;

interface Case {
  readonly handler: Handler;
  readonly body?: string;
  /** The client sends its body and no end, and leaves when it has received this many bytes. */
  readonly leavesAfter?: number;
}

interface Outcome {
  /** As the client sees it; undefined without a response. */
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
  readonly isComplete: boolean;
  /** What the handler is told, sorted: the order of a request's and a response's events may differ. */
  readonly told: readonly string[];
}

/** Headers of the connection, not of the response. */
const hopByHop = new Set(['connection', 'date', 'keep-alive', 'transfer-encoding', 'content-length']);

/** Runs a handler and notes what it is told. */
function watch(handler: Handler) {
  const told: string[] = [];
  const watched: Handler = (request, response) => {
    request.on('end', () => told.push(`request: end, complete ${request.complete}`));
    request.on('close', () => told.push(`request: close, complete ${request.complete}`));
    request.on('error', () => undefined);
    response.on('close', () => told.push(`response: close, headers ${response.headersSent}, ${response.statusCode}`));
    response.on('error', () => undefined);
    handler(request, response);
  };
  const isOver = (): boolean => told.filter((line) => line.includes('close')).length === 2;
  return { told, watched, isOver };
}

async function throughNode({ handler, body = '', leavesAfter }: Case): Promise<Outcome> {
  const { told, watched, isOver } = watch(handler);
  const server = createServer(watched).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = httpRequest({ port: portOf(server), host: '127.0.0.1', method: 'POST', path: '/path', agent: false });
  client.on('error', () => undefined);
  if (leavesAfter === undefined) client.end(body);
  else client.write(body);
  const outcome = { status: undefined as number | undefined, headers: {}, body: '', isComplete: false };
  client.on('response', (response) => {
    outcome.status = response.statusCode;
    outcome.headers = Object.fromEntries(Object.entries(response.headers).filter(([name]) => !hopByHop.has(name)));
    response.on('error', () => undefined);
    response.on('data', (chunk: Buffer) => {
      outcome.body += chunk.toString('latin1');
      if (outcome.body.length === leavesAfter) client.destroy();
    });
    response.on('end', () => (outcome.isComplete = true));
  });
  await new Promise((resolve) => {
    client.once('close', resolve);
  });
  await eventually(isOver, 'the handler to be told');
  server.closeAllConnections();
  server.close();
  return { ...outcome, body: inShort(outcome.body), told: told.toSorted() };
}

async function throughTunnel({ handler, body = '', leavesAfter }: Case): Promise<Outcome> {
  const { told, watched, isOver } = watch(handler);
  const { send, until } = servedPair(watched);
  const call = send({ path: '/path', body: leavesAfter === undefined ? body : undefined });
  if (leavesAfter !== undefined) {
    call.stream.write(Buffer.from(body));
    call.onEvent = () => (call.bytes === leavesAfter ? call.reset(0) : undefined);
  }
  await until(() => call.stream.isClosed && isOver(), 'the end');
  await nextTurn();
  const head = call.events.find((event) => event.startsWith('head')) ?? 'head {}';
  const { status, headers = [] } = parseResponseHead(Buffer.from(head.slice(5))) ?? {};
  const joined: Record<string, unknown> = {};
  for (let at = 0; at < headers.length; at += 2) {
    const [name = '', value = ''] = headers.slice(at, at + 2);
    if (hopByHop.has(name)) continue;
    joined[name] = name === 'set-cookie' ? [joined[name] ?? [], value].flat() : value;
  }
  return {
    status,
    headers: joined,
    body: inShort(call.body.toString('latin1')),
    isComplete: call.events.at(-1) === 'close',
    told: told.toSorted(),
  };
}

/** A failure does not print all of a long body. */
function inShort(body: string): string {
  return body.length > 100 ? `${body.length}: ${createHash('sha256').update(body).digest('hex')}` : body;
}

const cases: Record<string, Case> = {
  'writeHead and end': {
    handler(request, response) {
      request.resume();
      response.writeHead(201, { 'Content-Type': 'text/plain', 'X-Count': 7 });
      response.end(`${request.method} ${request.url}`);
    },
  },
  'no head, and parts': {
    handler(request, response) {
      request.resume();
      for (const part of ['a', 'b', 'c']) response.write(part);
      response.end();
    },
  },
  'setHeader, statusCode and no body': {
    handler(request, response) {
      request.resume();
      response.statusCode = 404;
      response.setHeader('X-One', 'first');
      response.setHeader('x-one', 'second');
      response.end();
    },
  },
  'writeHead over setHeader, and cookies': {
    handler(request, response) {
      request.resume();
      response.setHeader('content-type', 'text/html');
      response.writeHead(200, { 'Content-Type': 'text/plain', 'Set-Cookie': ['a=b; Path=/', 'c=d'] });
      response.end('cookies');
    },
  },
  'text in two encodings': {
    handler(request, response) {
      request.resume();
      response.write('caf\u00e9', 'latin1');
      response.end('caf\u00e9');
    },
  },
  'an echo': {
    body: 'the body '.repeat(30_000),
    handler(request, response) {
      request.on('data', (chunk: Buffer) => {
        if (response.write(chunk)) return;
        request.pause();
        response.once('drain', () => request.resume());
      });
      request.on('end', () => response.end());
    },
  },
  'a large response that waits for drain': {
    handler(request, response) {
      request.resume();
      let left = 40;
      const write = (): void => {
        for (; left > 0; left -= 1) {
          if (response.write(Buffer.alloc(20_000, left))) continue;
          left -= 1;
          response.once('drain', write);
          return;
        }
        response.end();
      };
      write();
    },
  },
  'destroy of the response before the head, while the body is read': {
    body: 'the body',
    leavesAfter: 1,
    handler(request, response) {
      request.once('data', () => response.destroy());
    },
  },
  'destroy of the response in its body': {
    handler(request, response) {
      request.resume();
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.write('part');
      request.on('end', () => setImmediate(() => response.destroy()));
    },
  },
  'destroy of the request while it is read': {
    body: 'the body',
    leavesAfter: 1,
    handler(request) {
      request.once('data', () => request.destroy());
    },
  },
  'a client that leaves in the body of the response': {
    body: 'some',
    leavesAfter: 4,
    handler(request, response) {
      request.resume();
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.write('part');
    },
  },
};

test.each(Object.keys(cases))('%s', async (name) => {
  const found = cases[name];
  if (found === undefined) throw new Error('no such case');
  const expected = await throughNode(found);
  expect(await throughTunnel(found)).toEqual(expected);
});
