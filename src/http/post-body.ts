import type { Refusal } from '../bridge/channel.ts';
import type { Session } from '../bridge/session.ts';
import { isJson } from '../mcp/headers.ts';
import { parseMessages, type RequestId, type RpcBatch, type RpcMessage } from '../mcp/json-rpc.ts';
import { createTextReader, type TextReader } from '../mcp/text-reader.ts';
import type { BodyReader } from './body.ts';
import { refuse } from './json-answer.ts';
import type { HttpRequest, HttpResponse } from './message.ts';

/** What a client waits before it tries again to open a session, in seconds. */
const retryAfterSeconds = '5';

export interface PostOptions {
  readonly bodies: BodyReader;
  readonly isDraining: () => boolean;
  /** The session that it is for, where it has one: its body is not read while the server leaves much unread. */
  readonly session: Session | undefined;
}

/** Reads what was POSTed. Undefined when the request has been refused, or its client has gone. */
export async function readPost(
  request: HttpRequest,
  response: HttpResponse,
  { bodies, isDraining, session }: PostOptions,
): Promise<RpcMessage | RpcBatch | undefined> {
  if (!isJson(request.headers['content-type'])) {
    refuse(request, response, { status: 415, message: 'the Content-Type must be application/json' });
    return undefined;
  }
  while (session?.isWritable() === false) {
    // oxlint-disable-next-line no-await-in-loop -- others may have filled it again in the meantime
    if (!(await whenServerReads(session, response))) return undefined;
  }
  let reader: TextReader | undefined;
  const body = await bodies.read(request, (piece) => (reader ??= createTextReader()).push(piece));
  if (body === 'cut off') return undefined;
  if (isDraining()) {
    refuseDraining(request, response);
    return undefined;
  }
  if (body === 'too large') {
    const message = `the body is larger than ${bodies.maxBytes} bytes`;
    refuse(request, response, { status: 413, message });
    return undefined;
  }
  const message = parseMessages(body, reader?.end());
  if (message.kind !== 'fault') return message;
  const { code, reason, id = null } = message;
  refuse(request, response, { status: 400, code, message: reason, id });
  return undefined;
}

/** Resolves with false when the client has gone before; nothing of its request is kept then. */
function whenServerReads(session: Session, response: HttpResponse): Promise<boolean> {
  return new Promise((resolve) => {
    let settle: typeof resolve | undefined = resolve;
    const finish = (isThere: boolean): void => {
      settle?.(isThere);
      settle = undefined;
    };
    response.once('close', () => finish(false));
    session.whenWritable(() => finish(true));
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
