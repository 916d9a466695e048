import type { Refusal } from '../bridge/session/channel.ts';
import type { Session } from '../bridge/session/session.ts';
import { codingsOf, isJson } from '../mcp/headers.ts';
import { parseMessages, type RequestId, type RpcBatch, type RpcMessage } from '../mcp/json-rpc.ts';
import { createTextReader, type TextReader } from '../mcp/json/text-reader.ts';
import type { BodyReader } from './body.ts';
import { refuse } from './responses/json-response.ts';
import type { HttpRequest, HttpResponse } from './message.ts';

/** What a client waits before it tries again to open a session, in seconds. */
const retryAfterSeconds = '5';

export interface PostOptions {
  readonly bodies: BodyReader;
  readonly isDraining: () => boolean;
  /** The session that it is for, where it has one: its body is not read while the server leaves much unread. */
  readonly session: Session | undefined;
}

/** Reads what was POSTed. `onMessage` is not called when the request has been refused, or its client has gone. */
export function readPost(
  request: HttpRequest,
  response: HttpResponse,
  options: PostOptions,
  onMessage: (message: RpcMessage | RpcBatch) => void,
): void {
  const { bodies, isDraining, session } = options;
  const codings = codingsOf(request.headers['content-encoding']);
  if (codings !== undefined) {
    // What would be taken is told (RFC 9110 §15.5.16 and §12.5.3).
    const headers = { 'accept-encoding': 'identity' };
    const message = `the body is compressed (Content-Encoding: ${codings.slice(0, 64)}): send it uncompressed`;
    refuse(request, response, { status: 415, message, headers });
    return;
  }
  // Chunked on top of something else (RFC 9112 §6.1): node:http takes off the chunks and leaves the rest as it came.
  if (/,\s*chunked$/i.test(request.headers['transfer-encoding'] ?? '')) {
    refuse(request, response, { status: 501, message: 'the only transfer coding that is served is chunked' });
    return;
  }
  if (!isJson(request.headers['content-type'])) {
    refuse(request, response, { status: 415, message: 'the Content-Type must be application/json' });
    return;
  }
  if (session?.isWritable() === false) {
    // Others may have filled it again by then.
    whenServerReads(session, response, () => readPost(request, response, options, onMessage));
    return;
  }
  let reader: TextReader | undefined;
  bodies.read(
    request,
    (body) => {
      if (body === 'cut off') return;
      if (isDraining()) {
        refuseDraining(request, response);
        return;
      }
      if (body === 'too large') {
        const message = `the body is larger than ${bodies.maxBytes} bytes`;
        refuse(request, response, { status: 413, message });
        return;
      }
      const message = parseMessages(body, reader?.end());
      if (message.kind === 'fault') {
        const { code, reason, id = null } = message;
        refuse(request, response, { status: 400, code, message: reason, id });
      } else {
        onMessage(message);
      }
    },
    (piece) => (reader ??= createTextReader()).push(piece),
  );
}

/** Calls back once, unless the client has gone before; nothing of its request is kept then. */
function whenServerReads(session: Session, response: HttpResponse, callback: () => void): void {
  let waiting: typeof callback | undefined = callback;
  response.once('close', () => (waiting = undefined));
  session.whenWritable(() => {
    const called = waiting;
    waiting = undefined;
    called?.();
  });
}

export function refuseDraining(request: HttpRequest, response: HttpResponse): void {
  refuse(request, response, { status: 503, message: 'mcp-expose is shutting down' });
}

/** There is no room for another session; the client is told when to come again. */
export function refuseSession(request: HttpRequest, response: HttpResponse, id: RequestId): void {
  const headers = { 'retry-after': retryAfterSeconds };
  refuse(request, response, { status: 503, message: 'too many sessions are open', id, headers });
}

/** The message itself cannot be served. Its id is not answered: it may be that of another call, still in flight. */
export function refuseMessage(request: HttpRequest, response: HttpResponse, { code, reason }: Refusal): void {
  refuse(request, response, { status: 400, code, message: reason });
}
