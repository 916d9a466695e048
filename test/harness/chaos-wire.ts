// One HTTP exchange of a client that may hang up at any moment, with what arrives told as it arrives.
import http from 'node:http';
import { createParser } from 'eventsource-parser';

export interface WireRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: string;
  /** Bytes of the body that are promised and never sent. */
  readonly missing?: number;
  /** A JSON body, or the data of one event. */
  readonly onMessage?: (json: string, eventId?: string) => void;
  /** Other events than messages. */
  readonly onEvent?: (name: string, data: string) => void;
  /** For so long the client does not read, in milliseconds. */
  readonly asleepMs?: number;
}

export interface WireOutcome {
  /** Undefined when the connection ended before there was a response. */
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  /** Whether the response came to its proper end. */
  readonly isComplete: boolean;
}

export interface Wire {
  /** How it ended, whoever ended it. */
  readonly outcome: Promise<WireOutcome>;
  /** The last event that has come, where events have ids. */
  lastEventId(): string | undefined;
  hangUp(): void;
}

export function openWire(options: WireRequest): Wire {
  const { url, method, headers, body = '', missing = 0, onMessage, onEvent, asleepMs = 0 } = options;
  const { hostname: host, port, pathname, search } = new URL(url);
  const length: [string, string][] =
    method === 'POST' ? [['Content-Length', `${Buffer.byteLength(body) + missing}`]] : [];
  const all = Object.fromEntries([...headers, ...length]);
  const request = http.request({ host, port, method, path: pathname + search, headers: all, agent: false });
  let lastEventId: string | undefined;

  function read(response: http.IncomingMessage): void {
    const type = response.headers['content-type'] ?? '';
    let text = '';
    const parser = createParser({
      onEvent({ id, event, data }) {
        if (id !== undefined) lastEventId = id;
        if (event !== undefined && event !== 'message') onEvent?.(event, data);
        else if (data !== '') onMessage?.(data, id);
      },
    });
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      if (type.startsWith('text/event-stream')) parser.feed(chunk);
      else text += chunk;
    });
    if (asleepMs > 0) {
      response.pause();
      setTimeout(() => response.resume(), asleepMs);
    }
    response.on('end', () => {
      if (type.startsWith('application/json')) onMessage?.(text);
    });
  }

  const outcome = new Promise<WireOutcome>((resolve) => {
    let hasBegun = false;
    request.on('error', () => {}); // told by `close`
    request.on('close', () => {
      if (!hasBegun) resolve({ status: undefined, headers: {}, isComplete: false });
    });
    request.on('response', (response) => {
      hasBegun = true;
      read(response);
      response.on('error', () => {}); // told by `close`
      response.on('close', () => {
        resolve({ status: response.statusCode, headers: response.headers, isComplete: response.complete });
      });
    });
  });
  if (missing === 0) request.end(body);
  else request.write(body);
  return { outcome, lastEventId: () => lastEventId, hangUp: () => void request.destroy() };
}
