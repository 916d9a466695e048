// MCP over raw HTTP: sessions, JSON or SSE answers as they arrive, and nothing that an SDK would add or repair.
import type http from 'node:http';
import { createParser } from 'eventsource-parser';
import { within } from './eventually.ts';
import type { JsonRpcMessage, Result } from './json-rpc-message.ts';
import { atEnd } from './lifetime.ts';
import { parseJson } from './parse-json.ts';
import { openRequest, type RawReply, type RawRequest, send } from './raw-http.ts';

export interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  /** json | sse | none, by the content type. */
  kind: 'json' | 'sse' | 'none';
  /** What has arrived so far. */
  messages: JsonRpcMessage[];
  /** The next message that fits, those that have arrived included; rejects when the response ends without one. */
  next(fits: (message: JsonRpcMessage) => boolean, withinMs?: number): Promise<JsonRpcMessage>;
  /** Resolves with all messages when the response has ended. */
  ended: Promise<JsonRpcMessage[]>;
  /** Hangs up, as a client does that goes away. */
  abort(): void;
}

/** The headers of a well-behaved client. */
export function clientHeaders(token: string, more: [string, string][] = []): [string, string][] {
  return [
    ['Authorization', `Bearer ${token}`],
    ['Accept', 'application/json, text/event-stream'],
    ['Content-Type', 'application/json'],
    ...more,
  ];
}

export const initializeRequest = (protocolVersion = '2025-11-25', capabilities: object = {}, id: unknown = 1): string =>
  JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'initialize',
    params: { protocolVersion, capabilities, clientInfo: { name: 'raw-mcp', version: '0' } },
  });

function reader(response: http.IncomingMessage): Reply {
  const type = response.headers['content-type'] ?? '';
  const kind = type.startsWith('text/event-stream') ? 'sse' : type.startsWith('application/json') ? 'json' : 'none';
  const messages: JsonRpcMessage[] = [];
  const looking = new Set<() => void>();
  const take = (data: string) => {
    messages.push(...[parseJson<JsonRpcMessage | JsonRpcMessage[]>(data)].flat());
    for (const look of looking) look();
  };
  const parser = createParser({ onEvent: ({ data }) => data !== '' && take(data) });
  let body = '';
  response.setEncoding('utf8');
  response.on('data', (chunk: string) => {
    if (kind === 'sse') parser.feed(chunk);
    else body += chunk;
  });
  const ended = new Promise<JsonRpcMessage[]>((resolve) => {
    const finish = () => resolve(messages);
    response.on('end', () => {
      if (kind === 'json') take(body);
      finish();
    });
    response.on('error', finish);
    response.on('close', finish);
  });
  const next: Reply['next'] = (fits, withinMs = 10_000) => {
    const found = new Promise<JsonRpcMessage>((resolve, reject) => {
      const look = () => {
        const match = messages.find((message) => fits(message));
        if (!match) return;
        looking.delete(look);
        resolve(match);
      };
      looking.add(look);
      look();
      void ended.then(() => reject(new Error(`the response ended with only ${JSON.stringify(messages)}`)));
    });
    return within(withinMs, () => `a message; so far ${JSON.stringify(messages).slice(0, 2000)}`, found);
  };
  atEnd('test', () => void response.destroy());
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    kind,
    messages,
    next,
    ended,
    abort: () => response.destroy(),
  };
}

/** Sends a request and reads JSON-RPC messages from the response, be it JSON or SSE, as they arrive. */
export async function exchange(url: string, request: RawRequest): Promise<Reply> {
  return reader(await within(15_000, `response headers of ${url}`, openRequest(url, request)));
}

export interface RawSession {
  id: string;
  initializeResult: Result;
  headers: [string, string][];
  /** POSTs one message, or a body as it is. */
  post(message: object | string): Promise<Reply>;
  /** Calls a method and resolves with its answer. */
  call(id: string | number, method: string, params?: object): Promise<JsonRpcMessage>;
  /** Opens the GET stream. */
  listen(): Promise<Reply>;
  end(): Promise<RawReply>;
}

export interface SessionOptions {
  protocolVersion?: string;
  capabilities?: object;
}

/** initialize and notifications/initialized. */
export async function openSession(url: string, token: string, options: SessionOptions = {}): Promise<RawSession> {
  const { protocolVersion = '2025-11-25', capabilities = {} } = options;
  const reply = await exchange(url, {
    method: 'POST',
    headers: clientHeaders(token),
    body: initializeRequest(protocolVersion, capabilities),
  });
  const answer = await reply.next(({ id }) => id === 1);
  const id = reply.headers['mcp-session-id'];
  if (typeof id !== 'string' || !answer.result) {
    throw new Error(`initialize was answered with ${reply.status} ${JSON.stringify(answer)}, session id ${String(id)}`);
  }
  const headers = clientHeaders(token, [
    ['Mcp-Session-Id', id],
    ['Mcp-Protocol-Version', protocolVersion],
  ]);
  const post: RawSession['post'] = (message) =>
    exchange(url, { method: 'POST', headers, body: typeof message === 'string' ? message : JSON.stringify(message) });
  const accepted = await post({ jsonrpc: '2.0', method: 'notifications/initialized' });
  if (accepted.status !== 202) throw new Error(`notifications/initialized was answered with ${accepted.status}`);
  return {
    id,
    initializeResult: answer.result,
    headers,
    post,
    call: async (requestId, method, params) => {
      const call = await post({ jsonrpc: '2.0', id: requestId, method, ...(params && { params }) });
      return call.next((message) => message.id === requestId && message.method === undefined, 20_000);
    },
    listen: () => exchange(url, { headers }),
    end: () => send(url, { method: 'DELETE', headers }),
  };
}
