import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { createHttp1Server, type Refusal } from '../../../platform/http1/server.ts';
import type { Answer } from './error-responses.ts';
import { rawAnswer, relayErrorCodes, sendAnswer, sendRawAnswer } from './error-responses.ts';

export interface PublicServerHandlers {
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  /** An upgrade to WebSocket. Returns false to have it refused. */
  readonly onWebSocket: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
}

/** An HTTP/1.1 server for the public side, not yet listening. */
export function createPublicServer({ onRequest, onWebSocket }: PublicServerHandlers): Server {
  return createHttp1Server({
    onRequest(request, response) {
      // What is written after the client has gone fails here; without a listener it would end the process.
      response.on('error', () => undefined);
      onRequest(request, response);
    },
    onWebSocket(request, socket, head) {
      if (onWebSocket(request, socket, head)) return;
      const message = 'this relay forwards HTTP requests, not WebSocket connections';
      sendRawAnswer(socket, { status: 501, code: relayErrorCodes.badRequest, message });
    },
    refuse(_request, response, refusal) {
      sendAnswer(response, answerFor(refusal));
    },
    rawResponse: (refusal) => rawAnswer(answerFor(refusal)),
  });
}

function answerFor(refusal: Refusal): Answer {
  return { ...refusal, code: relayErrorCodes.badRequest };
}
