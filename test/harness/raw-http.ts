// HTTP as curl would send it: every header under control, duplicates too. No fetch, which rewrites what it is given.
import http from 'node:http';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { within } from './eventually.ts';
import type { JsonRpcMessage } from './json-rpc-message.ts';
import { parseJson } from './parse-json.ts';

export interface RawRequest {
  method?: string;
  /** In order, names may repeat. Host and Content-Length are added where missing. */
  headers?: [string, string][];
  body?: string | Buffer;
  /** Replaces path and query of the URL, byte for byte. */
  path?: string;
  /** Address of this machine to send from. */
  from?: string;
}

export interface RawReply<T = JsonRpcMessage> {
  status: number;
  headers: http.IncomingHttpHeaders;
  rawHeaders: string[];
  body: string;
  json(): T;
}

/** Sends one request on its own connection and hands over the response before its body. */
export function openRequest(url: string, request: RawRequest = {}): Promise<http.IncomingMessage> {
  const target = new URL(url);
  const { method = 'GET', headers = [], body, path = target.pathname + target.search, from } = request;
  const has = (name: string) => headers.some(([other]) => other.toLowerCase() === name);
  const all: [string, string][] = [...headers];
  if (!has('host')) all.unshift(['Host', target.host]);
  if (body !== undefined && !has('content-length') && !has('transfer-encoding')) {
    all.push(['Content-Length', String(Buffer.byteLength(body))]);
  }
  return new Promise((resolve, reject) => {
    const outgoing = http.request(
      { host: target.hostname, port: target.port, localAddress: from, method, path, headers: all.flat(), agent: false },
      (response) => {
        outgoing.off('error', reject);
        outgoing.on('error', () => {}); // a server may close before it has read a body that it refuses
        resolve(response);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** Sends one request and reads the whole response. */
export async function send<T = JsonRpcMessage>(url: string, request: RawRequest = {}): Promise<RawReply<T>> {
  const response = await within(15_000, `an answer of ${url}`, openRequest(url, request));
  const body = await within(15_000, `the end of the response of ${url}`, text(response));
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    body,
    json: () => parseJson<T>(body),
  };
}

/** Writes bytes to the port of the URL and returns what came back until the peer closed or `quietMs` passed in silence. */
export function sendBytes(url: string, bytes: string | Buffer, quietMs = 1000): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let answer = '';
    const socket = net.connect(Number(port), hostname, () => socket.write(bytes));
    const finish = () => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(quietMs, finish);
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => (answer += chunk));
    socket.on('close', finish);
    socket.on('error', finish);
  });
}
