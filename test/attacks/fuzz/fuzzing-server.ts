// An MCP server over Streamable HTTP and HTTP+SSE that is right, but for the streams of the tool `fuzz`.
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { listenOnLoopback } from '../../harness/loopback-server.ts';
import { parseJson } from '../../harness/parse-json.ts';
import type { Random } from '../../harness/random.ts';
import { openSession } from '../../harness/raw-mcp.ts';
import { mutant } from './mutation.ts';
import { eventVocabulary } from './rpc-bytes.ts';

/** A call whose stream has brought no answer is given up after this time, in milliseconds. */
const callMs = 40;

interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: {
    readonly name?: string;
    readonly protocolVersion?: string;
    readonly arguments?: { readonly text?: string; readonly key?: number };
  };
}

export interface FuzzingServer {
  readonly url: string;
  /** Has a session of its own read `count` streams. */
  attack(random: Random, exposed: { readonly url: string; readonly token: string }, count: number): Promise<void>;
  close(): void;
}

export async function createFuzzingServer(): Promise<FuzzingServer> {
  const inputs = new Map<number, { readonly bytes: Buffer; readonly isCut: boolean }>();
  const streams = new Map<string, ServerResponse>();
  let lastKey = 0;
  let sessions = 0;

  function fuzz(stream: ServerResponse, { params }: Message): boolean {
    const input = inputs.get(params?.arguments?.key ?? 0);
    stream.write(input?.bytes ?? '');
    return input?.isCut === true;
  }

  function answer(message: Message, url: URL, response: ServerResponse): void {
    const isFuzz = message.params?.name === 'fuzz';
    const body = JSON.stringify({ jsonrpc: '2.0', id: message.id, result: resultOf(message) });
    if (url.pathname === '/messages') {
      response.writeHead(202).end();
      const stream = streams.get(url.searchParams.get('session') ?? '');
      if (stream === undefined || message.id === undefined || message.method === undefined) return;
      if (!isFuzz) stream.write(`event: message\ndata: ${body}\n\n`);
      else if (fuzz(stream, message)) stream.destroy();
    } else if (message.id === undefined || message.method === undefined) {
      response.writeHead(202).end();
    } else if (isFuzz) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      if (fuzz(response, message)) response.destroy();
      else response.end();
    } else {
      const session = message.method === 'initialize' ? { 'mcp-session-id': `s${++sessions}` } : {};
      response.writeHead(200, { 'content-type': 'application/json', ...session }).end(body);
    }
  }

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', 'http://localhost');
    if (incoming.method === 'POST') {
      answer(parseJson<Message>(await text(incoming)), url, response);
    } else if (incoming.method === 'GET' && url.pathname === '/sse') {
      const session = String(++sessions);
      streams.set(session, response);
      response.on('close', () => streams.delete(session));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`event: endpoint\ndata: /messages?session=${session}\n\n`);
    } else response.writeHead(incoming.method === 'DELETE' ? 200 : 405).end();
  }

  const server = createServer((incoming, response) => {
    response.on('error', () => {});
    handle(incoming, response).catch(() => response.destroy());
  });
  const port = await listenOnLoopback(server);
  return {
    url: `http://127.0.0.1:${port}`,
    async attack(random, { url, token }, count) {
      const keys = Array.from({ length: count }, () => {
        const key = ++lastKey;
        const events = Array.from({ length: 1 + random.below(4) }, () => mutant(random, eventVocabulary));
        inputs.set(key, { bytes: Buffer.concat(events), isCut: random.below(4) === 0 });
        return key;
      });
      const session = await openSession(url, token);
      await Promise.all(keys.map((key) => callFuzz(url, session.headers, key)));
      await session.end();
      for (const key of keys) inputs.delete(key);
    },
    close() {
      server.closeAllConnections();
    },
  };
}

/** Resolves when the call is over or given up, whatever came of it. */
function callFuzz(url: string, headers: [string, string][], key: number): Promise<void> {
  return new Promise((resolve) => {
    const call = request(url, { method: 'POST', headers: Object.fromEntries(headers), agent: false });
    const startTimeout = setTimeout(() => call.destroy(), callMs);
    call.on('response', (response) => response.on('error', () => {}).resume());
    call.on('error', () => {});
    call.on('close', () => {
      clearTimeout(startTimeout);
      resolve();
    });
    const params = { name: 'fuzz', arguments: { key }, _meta: { progressToken: key } };
    call.end(JSON.stringify({ jsonrpc: '2.0', id: key, method: 'tools/call', params }));
  });
}

/** What a server answers that is right. */
function resultOf({ method, params }: Message): object {
  if (method === 'initialize') {
    const serverInfo = { name: 'fuzzing', version: '1' };
    return { protocolVersion: params?.protocolVersion, capabilities: { tools: {}, logging: {} }, serverInfo };
  }
  if (method !== 'tools/call') return { tools: [] };
  return { content: [{ type: 'text', text: params?.arguments?.text }] };
}
