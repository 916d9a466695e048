import type { Caller } from '../auth/caller.ts';
import { accepts } from '../mcp/headers.ts';
import { eventStreamType } from '../mcp/sse.ts';
import { findSession } from './find-session.ts';
import type { McpParts } from './mcp-parts.ts';
import { valueOf, type HttpRequest, type HttpResponse } from './message.ts';
import type { ActiveResponse } from './responses/active-responses.ts';
import { EventStream } from './responses/event-stream.ts';
import { refuse, refuseAccept } from './responses/json-response.ts';
import { listeningStream } from './responses/message-stream.ts';

/**
 * Opens a stream for messages that belong to no request, or resumes an interrupted one (MCP 2025-11-25, Streamable
 * HTTP, "Listening for Messages from the Server" and "Resumability and Redelivery").
 */
export function serveGet(parts: McpParts, request: HttpRequest, response: HttpResponse, caller: Caller): void {
  const { sessions, active, streamsOf } = parts;
  if (!accepts(request.headers.accept, eventStreamType)) {
    refuseAccept(request, response, eventStreamType);
    return;
  }
  const session = findSession(sessions, request, response, caller);
  if (session === undefined) return;
  const lastEventId = valueOf(request, 'last-event-id') ?? '';
  const streams = streamsOf(session);
  const resumed = lastEventId === '' ? ({ kind: 'listening' } as const) : streams.resume(lastEventId);
  if (resumed.kind === 'nothing') {
    // MCP requires 405 if a GET opens no stream, and the official clients accept it silently. On 404 they would end the
    // session; on any other error, or an empty stream, they would retry again and again.
    const message = 'no events follow this Last-Event-ID';
    refuse(request, response, { status: 405, message, headers: { allow: 'POST, DELETE' } });
    return;
  }
  if (resumed.kind === 'unknown') {
    const message = `the Last-Event-ID ${JSON.stringify(lastEventId.slice(0, 64))} was never sent in this session`;
    refuse(request, response, { status: 400, message });
    return;
  }
  const { stream, after } = 'stream' in resumed ? resumed : { stream: streams.openListening(), after: 0 };
  const connection = new EventStream(response);
  stream.connect(connection, after);
  if (resumed.kind === 'reply stream') {
    const reply: ActiveResponse = { place: -1, keepAlive: (checksStalls) => connection.keepAlive(checksStalls) };
    active.begin(reply);
    connection.whenClosed(() => active.end(reply));
  } else {
    active.listen(connection);
    session.listen(listeningStream(stream, connection));
  }
}
