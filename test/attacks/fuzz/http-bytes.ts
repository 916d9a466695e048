// What may arrive at a port that speaks HTTP/1.1: requests of MCP clients, browsers and agents, whole, broken and mixed.
import { connect } from 'node:net';
import type { Random } from '../../harness/random.ts';
import { bytesOf, mutant, type Vocabulary } from './mutation.ts';

/** A connection on which nothing comes is given up after this time, in milliseconds. */
const quietMs = 12;

export interface HttpTarget {
  readonly port: number;
  /** Before `/mcp`. */
  readonly base: string;
  readonly host: string;
  readonly token: string;
  /** Of a session that may be harmed. */
  readonly sessionId: string;
}

export function httpVocabulary({ base, host, token, sessionId }: HttpTarget): Vocabulary {
  const head = (line: string, ...fields: string[]): string =>
    `${line} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n${fields.map((field) => `${field}\r\n`).join('')}`;
  const types = ['Content-Type: application/json', 'Accept: application/json, text/event-stream'];
  const session = `Mcp-Session-Id: ${sessionId}`;
  const post = (body: object | string, ...fields: string[]): string => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return `${head(`POST ${base}/mcp`, ...types, ...fields, `Content-Length: ${Buffer.byteLength(text)}`)}\r\n${text}`;
  };
  const chunked = (path: string, ...fields: string[]): string =>
    `${head(`POST ${base}${path}`, ...types, ...fields, 'Transfer-Encoding: chunked')}\r\n10;x=y\r\n{"jsonrpc":"2.0"\r\n16\r\n,"id":7,"method":"ping"}\r\n0\r\n\r\n`;
  const echo = { name: 'echo', arguments: { text: 'hello' } };
  const initialize = {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'fuzz', version: '1' },
  };
  const upgrade = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  const samples = bytesOf(
    post({ jsonrpc: '2.0', id: 1, method: 'initialize', params: initialize }),
    post({ jsonrpc: '2.0', id: 3, method: 'tools/call', params: echo }, session),
    post({ jsonrpc: '2.0', id: 'a', method: 'tools/list', params: { _meta: { progressToken: 1 } } }, session),
    post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 3 } }, session),
    post({ jsonrpc: '2.0', id: 1, result: {} }, session, 'Expect: 100-continue'),
    post([{ jsonrpc: '2.0', id: 5, method: 'ping' }].map((each) => JSON.stringify(each)).join(','), session),
    chunked('/mcp', session),
    chunked('/messages?session=x'),
    `${head(`GET ${base}/mcp`, 'Accept: text/event-stream', session, 'Last-Event-ID: 1-1')}\r\n`,
    `${head(`GET ${base}/sse`, 'Accept: text/event-stream')}\r\n`,
    `${head(`DELETE ${base}/mcp`, session)}\r\n`,
    `${head(`OPTIONS ${base}/mcp`, 'Origin: https://app.example', 'Access-Control-Request-Method: POST')}\r\n`,
    `${head('GET /healthz')}\r\n${head(`GET ${base}/readyz`)}\r\n${head('HEAD /')}\r\n`,
    `${head(`GET http://${host}${base}/mcp`)}\r\n`,
    `${head('GET /healthz')}\r\n${head('GET /healthz', 'Connection: Upgrade', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk')}\r\n`,
    `${head('GET /_mcp-expose/v1/tunnel', ...upgrade, 'Sec-WebSocket-Protocol: mcp-expose.v1')}\r\n\x81\x05hello`,
    `${head('GET /_mcp-expose/tls-check?domain=x')}\r\n`,
    `${head('CONNECT a:1')}\r\n`,
    `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0`,
    '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
  );
  const words = bytesOf(
    '\r\n',
    '\r\n\r\n',
    '\n',
    '\0',
    ' ',
    '\xff\xfe',
    '%2e%2e%2f',
    '//',
    '/mcp/../sse',
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding: gzip, chunked\r\n',
    'Content-Length: 0\r\n',
    'Content-Length: 99\r\n',
    'Connection: close, upgrade\r\nUpgrade: h2c\r\n',
    'Connection: Content-Length\r\n',
    'Host: elsewhere\r\n',
    'Origin: null\r\n',
    'Expect: 100-continue\r\n',
    'Accept: text/html\r\n',
    'Last-Event-ID: 999-999\r\n',
    'Mcp-Protocol-Version: 2026-07-28\r\n',
    `${session}\r\n`,
    'X: ' + 'a'.repeat(20_000) + '\r\n',
    'a: b\r\n'.repeat(1200),
    '0\r\n\r\n',
    '{"jsonrpc":"2.0","id":1,"id":2,"method":"',
    '['.repeat(600),
    '\\ud800',
    '"__proto__":',
    'HTTP/1.0',
    'HTTP/9.9',
  );
  return { samples, words };
}

/**
 * One connection with up to three requests, pipelined or a moment apart, in pieces; ended in one of the ways in which
 * clients end theirs.
 */
export function sendHttpInput(
  random: Random,
  { port }: HttpTarget,
  vocabulary: Vocabulary,
  from?: string,
): Promise<void> {
  const pieces = Array.from({ length: 1 + random.below(3) }, () => mutant(random, vocabulary)).flatMap((input) => {
    const cut = random.below(2) === 0 ? input.length : random.below(input.length + 1);
    return [input.subarray(0, cut), input.subarray(cut)].map((bytes) => ({ bytes, afterMs: random.below(4) }));
  });
  const isReset = random.below(4) === 0;
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', ...(from === undefined ? {} : { localAddress: from }) });
    let waiting: NodeJS.Timeout | undefined;
    const writeNext = (): void => {
      const piece = pieces.shift();
      if (piece === undefined) {
        socket.setTimeout(quietMs, () => (isReset ? socket.resetAndDestroy() : socket.destroy()));
        return;
      }
      if (piece.bytes.length > 0 && socket.writable) socket.write(piece.bytes);
      if (piece.afterMs === 0) writeNext();
      else waiting = setTimeout(writeNext, piece.afterMs - 1);
    };
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(waiting);
      resolve();
    });
    socket.on('connect', () => {
      socket.setNoDelay();
      writeNext();
    });
    socket.resume();
  });
}
