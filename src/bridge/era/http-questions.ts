import type { HttpResponse } from '../../platform/net/http-client.ts';
import { methodHeader, revisionHeader } from '../../mcp/headers.ts';
import type { RpcMessage, RpcRequest } from '../../mcp/json-rpc.ts';
import { claimedRevision } from '../../mcp/request-envelope.ts';
import { eventStreamType } from '../../mcp/sse.ts';
import { followEventStream, isEventStream, isJsonResponse } from '../upstream/http/follow-event-stream.ts';
import { readResponseBody } from '../upstream/http/http-response.ts';
import { HttpUpstream, type Refusal } from '../upstream/http/http-upstream.ts';
import type { OutgoingPost } from '../upstream/http/outgoing-posts.ts';
import { connectFailure, notMcp, openingFailure } from '../upstream/http/response-problems.ts';
import type { PostOptions, UpstreamExchange, UpstreamFailure } from '../upstream/http/upstream-client.ts';

/** With these statuses, a JSON-RPC error in the body tells nothing of the era: something in front may have written it. */
const unrelated: ReadonlySet<number> = new Set([401, 403, 429]);

/**
 * Questions of our own to a modern server over HTTP (MCP 2026-07-28, Streamable HTTP): each request is a POST of its own, and
 * names no tool, prompt or resource. Ends at the first answer that is not MCP.
 * @throws ExposeError `upstream_url_refused`, or `usage` for headers that cannot be sent.
 */
export class HttpQuestions extends HttpUpstream {
  send(message: RpcMessage): boolean {
    // A notification of a client that answers nothing has nobody to go to.
    if (message.kind !== 'request') return true;
    const outgoing = this.accept(message);
    if (outgoing !== undefined) void this.sendNow(outgoing);
    return outgoing !== undefined;
  }

  protected isOpen(): boolean {
    return true;
  }

  protected post({ message }: OutgoingPost, options: PostOptions): UpstreamExchange {
    return this.client.send({
      ...options,
      method: 'POST',
      url: this.url,
      body: message.bytes,
      headers: {
        'Content-Type': 'application/json',
        Accept: `application/json, ${eventStreamType}`,
        ...(message.kind === 'request' ? standardHeaders(message) : {}),
      },
    });
  }

  protected onAnswer(): boolean {
    return true;
  }

  protected onFailed(_outgoing: OutgoingPost, failure: UpstreamFailure): void {
    this.end(connectFailure(failure));
  }

  protected onAccepted(outgoing: OutgoingPost, { response }: HttpResponse): void {
    this.posts.settle(outgoing);
    const onMessage = (message: RpcMessage): void => this.receive(message);
    if (isEventStream(response)) {
      const cursor = { lastEventId: undefined, retryMs: undefined };
      followEventStream({ ...this.context, response, cursor, onMessage, onEnd() {} });
    } else if (isJsonResponse(response)) {
      void this.#readJson(response, onMessage);
    } else {
      this.end(notMcp('--http', response));
    }
  }

  protected onRefused(outgoing: OutgoingPost, refusal: Refusal): void {
    this.posts.settle(outgoing);
    const { status, error } = refusal;
    if (error === undefined || status >= 500 || unrelated.has(status)) {
      this.end(openingFailure('--http', refusal, this.clock.now()));
    } else {
      this.receive(error);
    }
  }

  async #readJson(response: HttpResponse['response'], onMessage: (message: RpcMessage) => void): Promise<void> {
    const body = await readResponseBody(response, this.context.maxMessageBytes);
    const messages = typeof body === 'string' ? [] : this.context.decoder.read(body);
    for (const message of messages) onMessage(message);
    if (messages.length === 0)
      this.end({ code: 'upstream_refused', reason: 'the answer of the server cannot be read' });
  }
}

/** What has to stand in the head as well as in the body (MCP 2026-07-28, Streamable HTTP, standard headers). */
function standardHeaders(request: RpcRequest): Readonly<Record<string, string>> {
  const revision = claimedRevision(request);
  return {
    [methodHeader]: request.method,
    ...(typeof revision === 'string' ? { [revisionHeader]: revision } : {}),
  };
}
