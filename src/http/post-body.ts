import type { Session } from '../bridge/session/session.ts';
import { codingsOf, isJson } from '../mcp/headers.ts';
import { parseMessages, type RpcBatch, type RpcMessage } from '../mcp/json-rpc.ts';
import { TextReader } from '../mcp/json/text-reader.ts';
import type { BodyReader } from './body.ts';
import type { ActiveResponses } from './responses/active-responses.ts';
import { refuse, refuseDraining } from './responses/json-response.ts';
import type { HttpRequest, HttpResponse } from './message.ts';

export interface PostOptions {
  readonly bodies: BodyReader;
  readonly active: Pick<ActiveResponses, 'isDraining'>;
  /** The session that the request names, if any: the body is not read while its server is slow to read. */
  readonly session: Session | undefined;
}

/** Reads a POSTed message. `onMessage` is not called if the request was refused or its client has disconnected. */
export function readPost(
  request: HttpRequest,
  response: HttpResponse,
  options: PostOptions,
  onMessage: (message: RpcMessage | RpcBatch) => void,
): void {
  const { bodies, active, session } = options;
  const codings = codingsOf(request.headers['content-encoding']);
  if (codings !== undefined) {
    // The response says which coding is accepted (RFC 9110 §15.5.16 and §12.5.3).
    const headers = { 'accept-encoding': 'identity' };
    const message = `the body is compressed (Content-Encoding: ${codings.slice(0, 64)}): send it uncompressed`;
    refuse(request, response, { status: 415, message, headers });
    return;
  }
  // Another coding below chunked (RFC 9112 §6.1): node:http decodes only the chunks.
  if (/,\s*chunked$/i.test(request.headers['transfer-encoding'] ?? '')) {
    refuse(request, response, { status: 501, message: 'the only transfer coding that is served is chunked' });
    return;
  }
  if (!isJson(request.headers['content-type'])) {
    refuse(request, response, { status: 415, message: 'the Content-Type must be application/json' });
    return;
  }
  if (session?.isWritable() === false) {
    // Other requests may have filled the queue again by then, so it is checked again.
    whenServerReads(session, response, () => readPost(request, response, options, onMessage));
    return;
  }
  let reader: TextReader | undefined;
  bodies.read(
    request,
    (body) => {
      if (body === 'cut off') return;
      if (active.isDraining) {
        refuseDraining(request, response);
      } else if (body === 'too large') {
        refuse(request, response, { status: 413, message: `the body is larger than ${bodies.maxBytes} bytes` });
      } else {
        const message = parseMessages(body, reader?.end());
        if (message.kind === 'fault') {
          const { code, reason, id = null } = message;
          refuse(request, response, { status: 400, code, message: reason, id });
        } else {
          onMessage(message);
        }
      }
    },
    (piece) => (reader ??= new TextReader()).push(piece),
  );
}

/** Calls back once, unless the client disconnects before; then nothing of its request is kept. */
function whenServerReads(session: Session, response: HttpResponse, callback: () => void): void {
  let waiting: typeof callback | undefined = callback;
  response.once('close', () => (waiting = undefined));
  session.whenWritable(() => {
    const called = waiting;
    waiting = undefined;
    called?.();
  });
}
