// The older HTTP+SSE transport without an SDK: everything that arrives on the stream is kept, also what belongs to others.
import { createParser } from 'eventsource-parser';
import { within } from '../harness/eventually.ts';
import type { JsonRpcMessage } from '../harness/json-rpc-message.ts';
import { atEnd } from '../harness/lifetime.ts';
import { parseJson } from '../harness/parse-json.ts';
import { openRequest, type RawReply, send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest } from '../harness/raw-mcp.ts';

export interface LegacySession {
  /** Everything that the stream has brought. */
  messages: JsonRpcMessage[];
  /** POSTs one message; what answers it comes on the stream. */
  post(message: object | string): Promise<RawReply>;
  /** The next message that fits, those that have arrived included. */
  next(fits: (message: JsonRpcMessage) => boolean): Promise<JsonRpcMessage>;
  call(id: string | number, method: string, params?: object): Promise<JsonRpcMessage>;
  /** Takes nothing from the stream any more, and does not hang up: what is left when a client's network has gone. */
  freeze(): void;
  /** Resolves when the stream has ended. */
  ended: Promise<void>;
  hangUp(): void;
}

/** Opens the stream beside the MCP endpoint, initializes, and is ready. */
export async function openLegacySession(mcpUrl: string, token: string): Promise<LegacySession> {
  const url = mcpUrl.replace(/\/mcp$/, '/sse');
  const headers = clientHeaders(token);
  const stream = await within(10_000, 'the head of the stream', openRequest(url, { headers }));
  atEnd('test', () => void stream.destroy());
  const messages: JsonRpcMessage[] = [];
  const looking = new Set<() => void>();
  let address: string | undefined;
  const parser = createParser({
    onEvent({ event, data }) {
      if (event === 'endpoint') address = new URL(data, url).href;
      else messages.push(parseJson<JsonRpcMessage>(data));
      for (const look of looking) look();
    },
  });
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => parser.feed(chunk));
  const ended = new Promise<void>((resolve) => {
    stream.on('close', () => resolve());
    stream.on('error', () => resolve());
  });

  function until<T>(what: string, find: () => T | undefined): Promise<T> {
    const found = new Promise<T>((resolve, reject) => {
      const look = () => {
        const value = find();
        if (value === undefined) return;
        looking.delete(look);
        resolve(value);
      };
      looking.add(look);
      look();
      void ended.then(() => reject(new Error(`the stream ended without ${what}`)));
    });
    return within(15_000, `${what}; so far ${JSON.stringify(messages).slice(0, 2000)}`, found);
  }

  const endpoint = await until('the address to POST to', () => address);
  const post: LegacySession['post'] = (message) =>
    send(endpoint, {
      method: 'POST',
      headers,
      body: typeof message === 'string' ? message : JSON.stringify(message),
    });
  const next: LegacySession['next'] = (fits) => until('a message', () => messages.find((message) => fits(message)));
  await post(initializeRequest('2024-11-05'));
  await next(({ id }) => id === 1);
  await post({ jsonrpc: '2.0', method: 'notifications/initialized' });
  return {
    messages,
    post,
    next,
    call: async (id, method, params) => {
      await post({ jsonrpc: '2.0', id, method, ...(params && { params }) });
      return next((message) => message.id === id && message.method === undefined);
    },
    freeze: () => void stream.pause(),
    ended,
    hangUp: () => void stream.destroy(),
  };
}
