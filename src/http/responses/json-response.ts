import type { OutgoingHttpHeaders } from 'node:http';

import { asTextIfShort, piecesOf, type Bytes } from '../../platform/bytes.ts';
import type { Refusal } from '../../bridge/session/channel.ts';
import { errorResponse, rpcCode, type RequestId, type RpcErrorOptions } from '../../mcp/json-rpc.ts';
import type { HttpRequest, HttpResponse } from '../message.ts';

/**
 * How long a client may continue to send a body that was refused, in milliseconds, before its connection is cut. Cut at
 * once, it would lose the response: a client that is still writing gets an error and never reads.
 */
const lingerMs = 5000;

/** How long a client should wait before it tries again to open a session, in seconds. */
const retryAfterSeconds = '5';

/** Sends a JSON body and ends the response. */
export function answerJson(
  response: HttpResponse,
  status: number,
  body: Bytes,
  headers: OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, ...headers });
  // node:http passes text to the system together with the head, but bytes in a separate piece.
  const content = asTextIfShort(body);
  if (typeof content === 'string') response.end(content, 'latin1');
  else endWith(response, content);
}

/** Uses one system call, however many pieces there are. */
function endWith(response: HttpResponse, body: Bytes): void {
  response.cork();
  for (const piece of piecesOf(body)) response.write(piece);
  response.end();
  response.uncork();
}

/** Ends the response without a body. */
export function answerEmpty(response: HttpResponse, status: 202 | 204): void {
  response.writeHead(status, status === 202 ? { 'content-length': 0 } : {});
  response.end();
}

export interface Refused extends Partial<Pick<RpcErrorOptions, 'id' | 'code'>> {
  readonly status: number;
  readonly message: string;
  readonly data?: RpcErrorOptions['data'] | undefined;
  readonly headers?: OutgoingHttpHeaders;
}

/**
 * Refuses a request with a JSON-RPC error as the body. The rest of the request's body is not read: the client gets some
 * time to read the response, then its connection is cut.
 */
export function refuse(request: HttpRequest, response: HttpResponse, refused: Refused): void {
  const { status, message, id = null, code = rpcCode.badRequest, data, headers = {} } = refused;
  const body = errorResponse({ id, code, message, ...(data === undefined ? {} : { data }) });
  if (isReceived(request)) {
    answerJson(response, status, body, headers);
    return;
  }
  const isHttp1 = request.httpVersionMajor === 1;
  const closing = isHttp1 ? { ...headers, connection: 'close' } : headers;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, ...closing });
  response.write(body);
  const end = (): void => {
    clearTimeout(linger);
    response.end();
  };
  const linger = setTimeout(() => {
    end();
    request.destroy();
  }, lingerMs);
  // node:http closes the connection when this response ends, so the end waits for the body. The tunnel closes nothing.
  if (isHttp1) request.once('end', end);
  else response.end();
  request.once('close', end);
  request.resume();
}

export function refuseMethod(request: HttpRequest, response: HttpResponse, allow: string): void {
  const message = `the method ${request.method} is not served here`;
  refuse(request, response, { status: 405, message, headers: { allow } });
}

/** @param types the media types that the endpoint can send. */
export function refuseAccept(request: HttpRequest, response: HttpResponse, types: string): void {
  refuse(request, response, { status: 406, message: `the Accept header must admit ${types}` });
}

export function refuseDraining(request: HttpRequest, response: HttpResponse): void {
  refuse(request, response, { status: 503, message: 'mcp-expose is shutting down' });
}

/** Refuses to open another session, and tells the client when to retry. */
export function refuseSession(request: HttpRequest, response: HttpResponse, id: RequestId): void {
  const headers = { 'retry-after': retryAfterSeconds };
  refuse(request, response, { status: 503, message: 'too many sessions are open', id, headers });
}

/** Refuses a message. The error has no id, since the message's id may be that of another call that is in flight. */
export function refuseMessage(request: HttpRequest, response: HttpResponse, { code, reason }: Refusal): void {
  refuse(request, response, { status: 400, code, message: reason });
}

/** Whether the request is complete: it has no body (RFC 9112 §6.3), or all of it has been received. */
function isReceived({ complete, headers, httpVersionMajor }: HttpRequest): boolean {
  const announced = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  return complete || (httpVersionMajor === 1 && !announced);
}
