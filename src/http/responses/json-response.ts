import type { OutgoingHttpHeaders } from 'node:http';

import { asTextIfShort, piecesOf, type Bytes } from '../../platform/bytes.ts';
import { errorResponse, rpcCode, type RpcErrorOptions } from '../../mcp/json-rpc.ts';
import { cutOff, type HttpRequest, type HttpResponse } from '../message.ts';

/**
 * How long a client may go on sending a body that was refused, before its connection is cut. Cut at once, the answer
 * would be lost with it: a client that is still writing finds the connection broken and never reads.
 */
const lingerMs = 5000;

/** Answers with a JSON body and ends the response. */
export function answerJson(
  response: HttpResponse,
  status: number,
  body: Bytes,
  headers: OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, ...headers });
  // node:http hands text to the system in one piece with the head, and bytes in a piece of their own.
  const content = asTextIfShort(body);
  if (typeof content === 'string') response.end(content, 'latin1');
  else endWith(response, content);
}

/** In one system call, however many pieces there are. */
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

export interface Refused extends Partial<Pick<RpcErrorOptions, 'id' | 'code' | 'data'>> {
  readonly status: number;
  readonly message: string;
  readonly headers?: OutgoingHttpHeaders;
}

/**
 * Refuses a request with a JSON-RPC error as the body. A body that is still on its way is not waited for: the client
 * gets a moment to read the answer, then its connection is cut.
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
    cutOff(request);
  }, lingerMs);
  // node:http closes the connection with the end of this response, so that waits; HTTP/2 closes nothing.
  if (isHttp1) request.once('end', end);
  else response.end();
  request.once('close', end);
  request.resume();
}

/** Nothing of the request is still to come: it has no body (RFC 9112 §6.3), or all of it is here. */
function isReceived({ complete, headers, httpVersionMajor }: HttpRequest): boolean {
  const announced = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  return complete || (httpVersionMajor === 1 && !announced);
}
